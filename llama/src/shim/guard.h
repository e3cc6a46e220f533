// What keeps C++ inside C++: every entry of the shim runs its body through one of the two functions below.
//
// `guarded` turns exceptions into a status. `guarded_asserts` also survives GGML_ASSERT, which would end the process:
// ggml calls an abort callback before abort(), and while this thread is armed the callback throws instead. The exception
// passes through frames of C and C++; both carry unwind tables on every target we build for, and where they did not, the
// process would end as it would have anyway. C++ frames are cleaned up, C frames leak what they had allocated.
// Armed are loading, context creation, tokenising and sampling: code that runs on the calling thread alone and holds no
// lock of C's at its asserts. Never computing: worker threads wait for each other there, and an exception would strand them.
#pragma once

#include "shim.h"

#include <exception>
#include <stdexcept>
#include <string>

namespace ns {

// Not a std::exception: llama.cpp's own handlers must not take it for one of theirs.
struct asserted {
    std::string text;
};

// An error whose text is known to be free of what people wrote.
struct failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class armed {
  public:
    armed();
    ~armed();
    armed(const armed &) = delete;
    armed & operator=(const armed &) = delete;

  private:
    bool before;
};

void        set(ns_text * out, const std::string & text) noexcept;
std::string str(ns_slice slice);

// `show`: whether the texts of exceptions may be shown; else only those of `failure`.
template <typename F> ns_status guarded(ns_text * error, bool show, F && body) noexcept {
    try {
        body();
        return NS_OK;
    } catch (const asserted & e) {
        set(error, e.text);
        return NS_ASSERTED;
    } catch (const failure & e) {
        set(error, e.what());
    } catch (const std::bad_alloc &) {
        set(error, "out of memory");
    } catch (const std::exception & e) {
        set(error, show ? e.what() : "");
    } catch (...) {
        set(error, "");
    }
    return NS_FAILED;
}

template <typename F> ns_status guarded_asserts(ns_text * error, bool show, F && body) noexcept {
    return guarded(error, show, [&] {
        armed here;
        body();
    });
}

} // namespace ns
