// Limits of work whose size a file decides, such as running a chat template: memory, stack, and a signal that ends it.
//
// llama.cpp's template engine has no hook, but all that it does allocates. This program's `operator new` therefore checks,
// on a thread with a `limit_guard`, what the work has taken, and throws where a limit is passed; everywhere else it is
// malloc. The exception is no std::exception, so that no handler of llama.cpp takes it for an error of the template.
// Nothing is left behind: it unwinds like any other.
//
// Not covered: an exception out of a destructor that allocates, as that of a JSON value does, which ends the process; so that no
// ordinary cancel meets one, work is not stopped in its first second. A value that contains itself, or nests ten thousands deep, which llama.cpp follows without allocating; MSVC
// and sanitizers, which have an `operator new` of their own; and the text of a std::string that a shared C++ library grows
// for itself where that library does not use this program's operator (a shared library of Linux and Android).
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

} // namespace ns
