// The abort callback, the guard that arms a thread, and the texts that cross to Rust.

#include "guard.h"

#include "ggml.h"
#include "log.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

static thread_local bool ns_armed = false;

static void ns_on_abort(const char * message) {
// MSVC may assume that C functions do not throw; the exception would then skip destructors, so asserts stay fatal there.
#if !defined(_MSC_VER)
    if (ns_armed) {
        ns_armed = false; // an assert in a destructor during unwinding must not throw again
        const char * file = message; // the message starts with a path of the build machine
        for (const char * at = message; *at && *at != ' '; at++) {
            if (*at == '/') {
                file = at + 1;
            }
        }
        throw ns::assert_failure{ file };
    }
#endif
    fprintf(stderr, "%s\n", message); // the process is about to end
}

namespace ns {

assert_guard::assert_guard() : was_armed(ns_armed) {
    ns_armed = true;
}

assert_guard::~assert_guard() {
    ns_armed = was_armed;
}

void set_text(ns_text * out, const std::string & text) noexcept {
    out->data = nullptr;
    out->size = 0;
    if (text.empty()) {
        return;
    }
    out->data = static_cast<char *>(std::malloc(text.size()));
    if (out->data) {
        std::memcpy(out->data, text.data(), text.size());
        out->size = text.size();
    }
}

std::string to_string(ns_slice slice) {
    return slice.data ? std::string(slice.data, slice.size) : std::string();
}

} // namespace ns

void ns_text_free(ns_text text) {
    std::free(text.data);
}

void ns_init(ggml_log_callback log) {
    ns::keep_terminate_from_limited_threads();
    ggml_set_abort_callback(ns_on_abort);
    llama_log_set(log, nullptr); // sets ggml's too
    // The logger of `common` prints, and some of its lines quote prompts and replies; below 0 it formats nothing.
    common_log_set_verbosity_thold(-1);
    llama_backend_init();
}

ns_status ns_assert_for_test(ns_text * error) {
    return ns::guarded_asserts(error, true, [] {
        // Unwinds C frames (ggml.c) and C++ frames with a destructor, as a real assert does.
        const std::unique_ptr<ggml_context, decltype(&ggml_free)> context(ggml_init({ 1024 * 1024, nullptr, true }), ggml_free);
        ggml_new_tensor_1d(context.get(), GGML_TYPE_COUNT, 1);
    });
}

ns_status ns_stuck_for_test(ns_limits * limits, ns_text * error) {
    return ns::guarded(error, true, [&] {
        ns::limit_guard here(limits);
        limits->reached = NS_MEMORY;
        [&]() noexcept { ::operator delete(::operator new(1)); }();
    });
}
