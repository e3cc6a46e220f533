// The place of quantizers that only make models: small.cmake leaves them out of the library that apps ship. None is ever called,
// because the KV cache, which alone is quantized, has no such type; if one were, ggml would find that too few bytes were written.

#include <cstddef>
#include <cstdint>

extern "C" {

size_t nearside_no_quantizer(const float *, void *, int64_t, int64_t, const float *) {
    return 0;
}

void nearside_no_grid(int) {}

void nearside_no_large_grid(int) {}
}
