// Limits of work whose size a file decides, such as running a chat template: memory, stack, and a signal that ends it.
//
// llama.cpp's template engine has no hook, but all that it does allocates. This program's `operator new` therefore checks,
// on a thread with a `limit_guard`, what the work has taken, and throws where a limit is passed; everywhere else it is
// malloc. The exception is no std::exception, so that no handler of llama.cpp takes it for an error of the template.
//
// It unwinds like any other, unless it comes out of a function that must not throw, such as the destructor of a JSON value,
// which allocates. C++ then calls the terminate handler, and that of `ns_init` reports the work as stuck and lets the thread
// sleep for ever, instead of ending the process. So the work needs a thread of its own, and nothing outside it may wait for
// what it holds. Only work that reached a limit is ended like that, and work that goes on for seconds after its caller has left.
//
// Not covered, so that a template without an end runs on after its caller has left: MSVC and sanitizers, which have an
// `operator new` of their own, and an app that replaces the operators. Nor covered: a value that contains itself, which llama.cpp
// follows without allocating until the stack ends; an app that replaces the terminate handler; and the text of a std::string that
// a shared C++ library grows for itself where that library does not use this program's operator (a shared library of Linux and
// Android).
#pragma once

#include "shim.h"

namespace ns {

struct limit_reached {
    const char * text;
};

// Puts the limits in force on this thread while it lives.
class limit_guard {
  public:
    explicit limit_guard(ns_limits * limits);
    ~limit_guard();
    limit_guard(const limit_guard &) = delete;
    limit_guard & operator=(const limit_guard &) = delete;
};

// Makes the terminate handler of the process stop a thread whose work reached a limit. Once, at the start.
void keep_terminate_from_limited_threads();

} // namespace ns
