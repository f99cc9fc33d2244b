// The GIL while the core works, and who may work.
#pragma once

#include <pybind11/pybind11.h>
#include <unistd.h>

#include <atomic>
#include <stdexcept>
#if defined(__GLIBCXX__)
#include <cxxabi.h>
#endif

namespace fg {

namespace py = pybind11;

// The GIL is released for as long as this lives.
//
// A daemon thread that wants it back while the interpreter ends does not get it: CPython before 3.14 unwinds such a
// thread, and that would run destructors that touch Python's objects. Here it sleeps until the process is gone, as
// CPython lets it since 3.14.
class WithoutGil {
public:
    WithoutGil() : state_(PyEval_SaveThread()) {}
    ~WithoutGil() { take(); }
    WithoutGil(const WithoutGil&) = delete;
    WithoutGil& operator=(const WithoutGil&) = delete;

    // Calls f() with the GIL, on the thread that released it.
    template <class F>
    auto with_gil(const F& f) {
        take();
        struct Release {
            PyThreadState*& state;
            ~Release() { state = PyEval_SaveThread(); }
        } release{state_};
        return f();
    }

private:
    void take() noexcept {
        if (ending()) sleep();
#if defined(__GLIBCXX__)
        try {
            PyEval_RestoreThread(state_);
        } catch (abi::__forced_unwind&) {
            sleep();
        }
#else
        PyEval_RestoreThread(state_);
#endif
    }
    static bool ending() {
#if PY_VERSION_HEX >= 0x030d0000
        return Py_IsFinalizing();
#else
        return _Py_IsFinalizing();
#endif
    }
    [[noreturn]] static void sleep() {
        for (;;) ::pause();
    }

    PyThreadState* state_;
};

// An engine works for one thread at a time: its arrays and buffers have no locks.
class OneAtATime {
public:
    template <class F>
    auto run(const F& f) {
        if (busy_.exchange(true))
            throw std::runtime_error("This object is already running in another thread. Make one for each thread.");
        struct Leave {
            std::atomic<bool>& busy;
            ~Leave() { busy = false; }
        } leave{busy_};
        return f();
    }

private:
    std::atomic<bool> busy_{false};
};

}  // namespace fg
