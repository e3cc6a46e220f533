# Makes llama.cpp small where that does not cost speed; CMake reads it after each `project()` if CMAKE_PROJECT_INCLUDE names it,
# as scripts/small.sh does. Other builds are llama.cpp's own.
#
# The kernels keep -O3: matrix products, quantized dot products and their layouts, attention's tiles. The code that runs once
# per token, per load or per file is compiled for size: model graphs, chat templates, the vocabulary, the file format, the
# scheduler. Element-wise operations have -O2. Quantizers that only make models are left out.
#
# `make size` prints what the library weighs with it.

if(NEARSIDE_SMALL)
  return()
endif()
set(NEARSIDE_SMALL ON)

add_compile_options(-fvisibility=hidden $<$<COMPILE_LANGUAGE:CXX>:-fvisibility-inlines-hidden>)
# An assertion of llama.cpp reaches the caller as a C++ exception, also through C: those frames must be unwindable.
add_compile_options(-fasynchronous-unwind-tables -fexceptions)

function(nearside_make_small)
  foreach(target llama llama-common llama-common-base ggml)
    if(TARGET ${target})
      target_compile_options(${target} PRIVATE -Os)
    endif()
  endforeach()

  get_target_property(folder ggml-base SOURCE_DIR)
  # nearside_compile(FLAG FILE...): adds a flag to files of ggml. A source is named by its full path here, because this runs
  # in the top directory.
  function(nearside_compile flag)
    foreach(file ${ARGN})
      set_property(SOURCE ${folder}/${file} DIRECTORY ${folder} APPEND PROPERTY COMPILE_OPTIONS ${flag})
    endforeach()
  endfunction()
  nearside_compile(-Os ggml.c ggml-alloc.c ggml-backend-meta.cpp ggml-backend-reg.cpp ggml-backend.cpp ggml-opt.cpp gguf.cpp)
  nearside_compile(-O2 ggml-quants.c ggml-cpu/binary-ops.cpp ggml-cpu/ops.cpp ggml-cpu/unary-ops.cpp)

  # `ggml_quantize_chunk` names them all. The KV cache is f16 or q8_0, and nothing else is quantized here.
  set(left_out)
  foreach(type q1_0 q2_0 q4_0 q4_1 q5_0 q5_1 mxfp4 nvfp4 q2_K q3_K q4_K q5_K q6_K tq1_0 tq2_0 iq1_s iq1_m iq2_xxs iq2_xs iq2_s
      iq3_xxs iq3_s iq4_nl iq4_xs)
    list(APPEND left_out quantize_${type}=nearside_no_quantizer)
  endforeach()
  list(APPEND left_out iq2xs_init_impl=nearside_no_grid iq3xs_init_impl=nearside_no_large_grid)
  set_property(SOURCE ${folder}/ggml.c DIRECTORY ${folder} APPEND PROPERTY COMPILE_DEFINITIONS ${left_out})
endfunction()

# After llama.cpp has declared its targets.
cmake_language(DEFER DIRECTORY ${CMAKE_SOURCE_DIR} CALL nearside_make_small)
