// The limits of a thread, the `operator new` that checks them, and what happens if its exception cannot unwind.

#include "limits.h"

#include <chrono>
#include <cstdlib>
#include <exception>
#include <new>
#include <thread>

#if defined(__APPLE__)
#include <malloc/malloc.h>
#elif !defined(_MSC_VER)
#include <malloc.h>
#endif

namespace {

struct limit_state {
    ns_limits *  limits; // null: no limits
    const char * stack_top;
    int64_t      used; // bytes; negative after freeing what was there before
    uint32_t     allocations;
    int          exceptions; // in flight when the limits came into force
};

thread_local limit_state active_limit = { nullptr, nullptr, 0, 0, 0 };

std::terminate_handler next_handler = nullptr;

[[noreturn]] void on_terminate() {
    ns_limits * limits = active_limit.limits;
    if (limits && limits->reached != NS_WITHIN) {
        active_limit.limits = nullptr;
        limits->on_stuck(limits->data);
        for (;;) {
            std::this_thread::sleep_for(std::chrono::hours(24));
        }
    }
    if (next_handler) {
        next_handler();
    }
    std::abort();
}

} // namespace

namespace ns {

limit_guard::limit_guard(ns_limits * limits) {
    const char here = 0;
    active_limit = { limits, &here, 0, 0, std::uncaught_exceptions() };
}

limit_guard::~limit_guard() {
    active_limit.limits = nullptr;
}

void keep_terminate_from_limited_threads() {
    next_handler = std::set_terminate(on_terminate);
}

} // namespace ns

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define NS_HAS_OWN_NEW
#endif
#endif
#if defined(_MSC_VER) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NS_HAS_OWN_NEW
#endif

#if !defined(NS_HAS_OWN_NEW)

static int64_t usable_bytes(void * block) {
#if defined(__APPLE__)
    return (int64_t) malloc_size(block);
#elif defined(_WIN32)
    return (int64_t) _msize(block);
#else
    return (int64_t) malloc_usable_size(block);
#endif
}

// Throws if this allocation would pass a limit, and again for each one after it: streams swallow exceptions.
static void check_limits(std::size_t size) {
    limit_state & state = active_limit;
    ns_limits *   limits = state.limits;
    if (limits->reached == NS_WITHIN) {
        const char here = 0;
        const auto depth = state.stack_top > &here ? state.stack_top - &here : &here - state.stack_top;
        if (size > limits->memory || state.used > (int64_t) (limits->memory - size)) {
            limits->reached = NS_MEMORY;
        } else if ((std::size_t) depth > limits->stack) {
            limits->reached = NS_STACK;
        } else if (++state.allocations % 256 == 0 && limits->is_stopped(limits->data)) {
            limits->reached = NS_STOPPED;
        }
    }
    // A destructor during unwinding must not throw.
    if (limits->reached != NS_WITHIN && std::uncaught_exceptions() <= state.exceptions) {
        throw ns::limit_reached{ limits->reached == NS_MEMORY ? "it takes too much memory" :
                                 limits->reached == NS_STACK  ? "it nests too deeply" :
                                                                "it was stopped" };
    }
}

// Weak, so that an app's own operators win; the limits are then not in force.
__attribute__((weak)) void * operator new(std::size_t size) {
    const bool is_limited = active_limit.limits != nullptr;
    if (is_limited) {
        check_limits(size);
    }
    void * block;
    while (!(block = std::malloc(size ? size : 1))) {
        const auto handler = std::get_new_handler();
        if (!handler) {
            throw std::bad_alloc();
        }
        handler();
    }
    if (is_limited) {
        active_limit.used += usable_bytes(block);
    }
    return block;
}

__attribute__((weak)) void operator delete(void * block) noexcept {
    if (block && active_limit.limits) {
        active_limit.used -= usable_bytes(block);
    }
    std::free(block);
}

__attribute__((weak)) void operator delete(void * block, std::size_t) noexcept {
    ::operator delete(block);
}

#endif
