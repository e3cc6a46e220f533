// Huge pages by madvise: those that the system still makes later, and at once where the kernel can (6.1 and later).

#include "huge_pages.h"
#include "shim.h"

#if defined(__linux__)

#include "ggml-backend.h"
#include "ggml-cpp.h"
#include "llama-kv-cache-iswa.h"
#include "llama-memory-hybrid-iswa.h"
#include "llama-memory-hybrid.h"
#include "llama-model.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <set>
#include <stdexcept>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

using ms = std::chrono::milliseconds;

// The sum for all weights of a model, and for the cache of a context, which may grow in the middle of an answer.
static const ms weights_time(1000), cache_time(400);
// A piece is copied in 4 to 30 ms, so that a cancel is soon seen.
static const size_t piece_bytes = 8u << 20;
// A slower piece means that the system must make room first. Ordinary pages are better than a late answer.
static const ms longest_piece(100);

// One entry of the second level of a page table: 2 MiB with pages of 4 KiB, 32 MiB with 16 KiB.
static uintptr_t huge_page_bytes() {
    const uintptr_t page = (uintptr_t) sysconf(_SC_PAGESIZE);
    return page * (page / sizeof(void *));
}

struct range {
    uint8_t * from;
    uint8_t * to;
};

// Copies these ranges to huge pages, for `most` at most. Returns false once `go_on` does. Ends early where the system has no more
// huge pages.
static bool collapse(const std::vector<range> & ranges, ms most, llama_progress_callback go_on, void * data) {
    using clock = std::chrono::steady_clock;
    const size_t largest = std::max<size_t>(piece_bytes, huge_page_bytes());
    const auto   end     = clock::now() + most;
    for (auto [at, to] : ranges) {
        while (at < to) {
            if (go_on && !go_on(1.0f, data)) {
                return false;
            }
            const size_t size  = std::min<size_t>(largest, to - at);
            const auto   begun = clock::now();
            if (begun >= end || madvise(at, size, MADV_COLLAPSE) != 0 || clock::now() - begun > longest_piece) {
                return true;
            }
            at += size;
        }
    }
    return true;
}

// Memory of the processor that is no part of a file.
static bool is_private(ggml_backend_buffer_t buffer) {
    const auto type   = ggml_backend_buffer_get_type(buffer);
    const auto device = ggml_backend_buft_get_device(type);
    const bool is_cpu = !device || ggml_backend_dev_type(device) == GGML_BACKEND_DEVICE_TYPE_CPU;
    return is_cpu && std::strcmp(ggml_backend_buft_name(type), "CPU_Mapped") != 0;
}

using buffers = std::set<ggml_backend_buffer_t>;

// Returns whether `go_on` always returned true.
static bool use_huge_pages(const buffers & all, ms most, llama_progress_callback go_on, void * data) {
    const uintptr_t    huge = huge_page_bytes();
    std::vector<range> ranges;
    for (const auto buffer : all) {
        if (!is_private(buffer)) {
            continue;
        }
        const auto base = (uintptr_t) ggml_backend_buffer_get_base(buffer);
        const auto from = (base + huge - 1) / huge * huge, to = (base + ggml_backend_buffer_get_size(buffer)) / huge * huge;
        if (base == 0 || from >= to) {
            continue;
        }
        // For all of it, so that the system makes later what there is no time for now.
        madvise((void *) from, to - from, MADV_HUGEPAGE);
        ranges.push_back({ (uint8_t *) from, (uint8_t *) to });
    }
    return collapse(ranges, most, go_on, data);
}

bool ns::use_huge_pages(const llama_model * model, llama_progress_callback go_on, void * data) {
    buffers weights;
    for (const auto & [name, tensor] : model->tensors_by_name) {
        if (tensor->buffer) {
            weights.insert(tensor->buffer);
        }
    }
    return ::use_huge_pages(weights, weights_time, go_on, data);
}

// Adds the buffers of the layers that a cache has. It tells its tensors only as views.
static void add_buffers(const llama_kv_cache * cache, int32_t layers, buffers & out) {
    const ggml_context_ptr views(ggml_init({ (size_t) layers * ggml_tensor_overhead(), nullptr, true }));
    llama_kv_cache::slot_info first = {};
    for (int32_t layer = 0; cache && layer < layers; layer++) {
        try {
            const ggml_tensor * keys = cache->get_k(views.get(), layer, 1, first)->view_src;
            if (keys && keys->buffer) {
                out.insert(keys->buffer);
            }
        } catch (const std::out_of_range &) {
            // A layer without attention, or of the other one of two caches.
        }
    }
}

void ns::use_huge_pages(const llama_context * context) {
    const auto    memory = llama_get_memory(context);
    const int32_t layers = llama_model_n_layer(llama_get_model(context));
    const auto    add_both = [&](const llama_kv_cache_iswa * cache, buffers & out) {
        add_buffers(cache->get_base(), layers, out);
        add_buffers(cache->get_swa(), layers, out);
    };
    buffers caches;
    if (const auto * plain = dynamic_cast<const llama_kv_cache *>(memory)) {
        add_buffers(plain, layers, caches);
    } else if (const auto * sliding = dynamic_cast<const llama_kv_cache_iswa *>(memory)) {
        add_both(sliding, caches);
    } else if (const auto * hybrid = dynamic_cast<const llama_memory_hybrid *>(memory)) {
        add_buffers(hybrid->get_mem_attn(), layers, caches);
    } else if (const auto * both = dynamic_cast<const llama_memory_hybrid_iswa *>(memory)) {
        add_both(both->get_mem_attn(), caches);
    }
    ::use_huge_pages(caches, cache_time, nullptr, nullptr);
}

bool ns_collapse_for_test(uint8_t * at, size_t size, uint32_t most_ms, llama_progress_callback go_on, void * data) {
    return collapse({ { at, at + size } }, ms(most_ms), go_on, data);
}

#else

bool ns::use_huge_pages(const llama_model *, llama_progress_callback, void *) {
    return true;
}

void ns::use_huge_pages(const llama_context *) {}

bool ns_collapse_for_test(uint8_t *, size_t, uint32_t, llama_progress_callback, void *) {
    return true;
}

#endif
