// Loading, contexts, tokenizing, decoding and memory: llama.cpp's C functions in a guard, and its C++-only breakdown.

#include "guard.h"
#include "huge_pages.h"

#include "common.h"
#include "ggml-cpu.h"
#include "json.h"
#include "llama-context.h"
#include "llama-cpp.h"
#include "llama-ext.h"

#include <map>

#if defined(__GLIBC__) || defined(__ANDROID__)
#    include <malloc.h>
#endif

ns_status ns_model_load(const char * path, const llama_model_params * params, llama_model ** model, ns_text * error) {
    return ns::guarded_asserts(error, true, [&] {
        llama_model_ptr loaded(llama_model_load_from_file(path, *params));
        const bool is_wanted = !loaded || params->no_alloc ||
                               ns::use_huge_pages(loaded.get(), params->progress_callback, params->progress_callback_user_data);
        *model = is_wanted ? loaded.release() : nullptr;
    });
}

ns_status ns_context_new(llama_model * model, const llama_context_params * params, llama_context ** context, ns_text * error) {
    return ns::guarded_asserts(error, true, [&] {
        *context = llama_init_from_model(model, *params);
    });
}

ns_status ns_context_use_huge_pages(const llama_context * context, ns_text * error) {
    return ns::guarded_asserts(error, true, [&] { ns::use_huge_pages(context); });
}

bool ns_context_has_flash_attention(const llama_context * context) {
    return context->get_cparams().flash_attn;
}

ns_status ns_tokenize(const llama_vocab * vocab, ns_slice text, bool add_special, bool parse_special,
                      llama_token * tokens, int32_t capacity, int32_t * count, ns_text * error) {
    return ns::guarded_asserts(error, false, [&] {
        *count = llama_tokenize(vocab, text.data, (int32_t) text.size, tokens, capacity, add_special, parse_special);
    });
}

ns_status ns_decode(llama_context * context, llama_batch batch, int32_t * result, ns_text * error) {
    return ns::guarded(error, true, [&] { *result = llama_decode(context, batch); });
}

ns_status ns_threadpool_new(uint32_t threads, ggml_threadpool ** pool, ns_text * error) {
    return ns::guarded_asserts(error, true, [&] {
        ggml_threadpool_params params = ggml_threadpool_params_default((int) threads);
        *pool                         = ggml_threadpool_new(&params);
    });
}

uint32_t ns_performance_cores(void) {
    try {
        const int32_t cores = common_cpu_get_num_physical_cores();
        return cores > 0 ? (uint32_t) cores : 0;
    } catch (...) {
        return 0;
    }
}

void ns_trim_heap(void) {
#if defined(__GLIBC__)
    malloc_trim(0);
#elif defined(M_PURGE) && __ANDROID_API__ >= 28
    mallopt(M_PURGE, 0);
#endif
}

ns_status ns_memory(const llama_context * context, ns_text * json, ns_text * error) {
    return ns::guarded(error, true, [&] {
        std::map<std::string, llama_memory_breakdown_data> parts; // two devices may share a buffer type's name
        for (const auto & [type, data] : llama_get_memory_breakdown(context)) {
            auto & part = parts[ggml_backend_buft_name(type)];
            part.model   += data.model;
            part.context += data.context;
            part.compute += data.compute;
        }
        common_json out = common_json::array();
        for (const auto & [name, part] : parts) {
            out.push_back({
                { "buffer",  name },
                { "weights", (uint64_t) part.model },
                { "cache",   (uint64_t) part.context },
                { "compute", (uint64_t) part.compute },
            });
        }
        ns::set_text(json, out.dump_safe());
    });
}
