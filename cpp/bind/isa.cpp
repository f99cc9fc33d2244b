// Asks the processor what it can run. Compiled for the baseline, so that it loads everywhere.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>
#include <vector>

#include "bind/levels.hpp"

PYBIND11_MODULE(_cpu, m) {
    m.doc() = "x86-64 levels that this processor can run, best first";
    m.def("levels", [] {
        std::vector<std::string> levels;
#if defined(__x86_64__)
        for (int level = fg::best_level(); level >= 2; --level) levels.push_back("v" + std::to_string(level));
#else
        levels.emplace_back("base");
#endif
        return levels;
    });
}
