// Asks the processor what it can run. Compiled for the baseline, so that it loads everywhere.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>
#include <vector>

PYBIND11_MODULE(_cpu, m) {
    m.doc() = "x86-64 levels that this processor can run, best first";
    m.def("levels", [] {
        std::vector<std::string> levels;
#if defined(__x86_64__)
        __builtin_cpu_init();
        if (__builtin_cpu_supports("x86-64-v4")) levels.emplace_back("v4");
        if (__builtin_cpu_supports("x86-64-v3")) levels.emplace_back("v3");
        if (__builtin_cpu_supports("x86-64-v2")) levels.emplace_back("v2");
#else
        levels.emplace_back("base");
#endif
        return levels;
    });
}
