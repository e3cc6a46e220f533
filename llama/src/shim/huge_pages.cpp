// Huge pages by madvise: those that the system still makes later, and at once where the kernel can (6.1 and later).

#include "huge_pages.h"

#if defined(__linux__)

#include "ggml-backend.h"
#include "llama-model.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <set>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

// A piece is copied in some milliseconds, so that a cancel is soon seen.
static const size_t piece_bytes = 32u << 20;
// A slower piece means that the system must make room first. Ordinary pages are better than a late answer.
static const std::chrono::milliseconds longest_piece(200);

// Returns false once `go_on` does. Ends early where the system has no more huge pages.
static bool collapse(uint8_t * at, uint8_t * end, llama_progress_callback go_on, void * data) {
    while (at < end) {
        if (go_on && !go_on(1.0f, data)) {
            return false;
        }
        const size_t size  = std::min<size_t>(piece_bytes, end - at);
        const auto   begun = std::chrono::steady_clock::now();
        if (madvise(at, size, MADV_COLLAPSE) != 0 || std::chrono::steady_clock::now() - begun > longest_piece) {
            return true;
        }
        at += size;
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

bool ns::use_huge_pages(const llama_model * model, llama_progress_callback go_on, void * data) {
    std::set<ggml_backend_buffer_t> buffers;
    for (const auto & [name, tensor] : model->tensors_by_name) {
        if (tensor->buffer && is_private(tensor->buffer)) {
            buffers.insert(tensor->buffer);
        }
    }
    // One entry of the second level of a page table: 2 MiB with pages of 4 KiB, 32 MiB with 16 KiB.
    const uintptr_t page = (uintptr_t) sysconf(_SC_PAGESIZE), huge = page * (page / sizeof(void *));
    for (const auto buffer : buffers) {
        const auto base = (uintptr_t) ggml_backend_buffer_get_base(buffer);
        const auto from = (base + huge - 1) / huge * huge, to = (base + ggml_backend_buffer_get_size(buffer)) / huge * huge;
        if (from >= to) {
            continue;
        }
        madvise((void *) from, to - from, MADV_HUGEPAGE);
        if (!collapse((uint8_t *) from, (uint8_t *) to, go_on, data)) {
            return false;
        }
    }
    return true;
}

#else

bool ns::use_huge_pages(const llama_model *, llama_progress_callback, void *) {
    return true;
}

#endif
