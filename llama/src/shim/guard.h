// Exception guards: every function of the shim that can fail runs its body in one of the two templates below.
//
// `guarded` converts exceptions to a status. `guarded_asserts` also survives GGML_ASSERT, which would end the process:
// ggml calls an abort callback before abort(), and while this thread is armed the callback throws instead. The exception
// unwinds C and C++ frames; both have unwind tables on every target of this project, and without them the process would
// end as it would have anyway. C++ frames are cleaned up; C frames leak their allocations.
// Loading, context creation, tokenizing, sampling, templates and reply parsing are armed: they run on the calling thread
// alone and hold no C lock at their asserts. Decoding is not: its worker threads wait for each other, and would hang.
#pragma once

#include "limits.h"
#include "shim.h"

#include <exception>
#include <stdexcept>
#include <string>

namespace ns {

// Not a std::exception, so that no handler of llama.cpp catches it.
struct assert_failure {
    std::string text;
};

// An error whose text contains nothing of prompts and replies.
struct safe_error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Arms this thread while it lives.
class assert_guard {
  public:
    assert_guard();
    ~assert_guard();
    assert_guard(const assert_guard &) = delete;
    assert_guard & operator=(const assert_guard &) = delete;

  private:
    bool was_armed;
};

void        set_text(ns_text * out, const std::string & text) noexcept;
std::string to_string(ns_slice slice);

// `show_text`: whether the texts of all exceptions may be returned; else only those of `safe_error`.
template <typename F> ns_status guarded(ns_text * error, bool show_text, F && body) noexcept {
    try {
        body();
        return NS_OK;
    } catch (const assert_failure & e) {
        set_text(error, e.text);
        return NS_ASSERTED;
    } catch (const limit_reached & e) {
        set_text(error, e.text);
    } catch (const safe_error & e) {
        set_text(error, e.what());
    } catch (const std::bad_alloc &) {
        set_text(error, "out of memory");
    } catch (const std::exception & e) {
        set_text(error, show_text ? e.what() : "");
    } catch (...) {
        set_text(error, "");
    }
    return NS_FAILED;
}

template <typename F> ns_status guarded_asserts(ns_text * error, bool show_text, F && body) noexcept {
    return guarded(error, show_text, [&] {
        assert_guard here;
        body();
    });
}

} // namespace ns
