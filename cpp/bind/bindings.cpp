// The extension module: Python's side of the seam (engine.hpp). Compiled for the baseline, so that it loads everywhere;
// it then loads the kernels that the processor runs best.
#include <dlfcn.h>
#include <pybind11/stl.h>

#include <string>
#include <vector>

#include "bind/bind.hpp"
#include "bind/levels.hpp"

namespace fg {

namespace {

const Engine* loaded = nullptr;

std::vector<std::string> levels() {
    std::vector<std::string> levels;
#if defined(__x86_64__)
    for (int level = best_level(); level >= 2; --level) levels.push_back("v" + std::to_string(level));
#else
    levels.emplace_back("base");
#endif
    return levels;
}

// The library stays loaded as long as the process: objects of Python point into it.
void load(const std::string& path) {
    if (loaded) throw py::import_error("The kernels are loaded already.");
    void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) throw py::import_error(dlerror());
    const auto entry = reinterpret_cast<FusedgradEngine>(dlsym(library, "fusedgrad_engine"));
    if (!entry) throw py::import_error(path + ": not a library of fusedgrad's kernels");
    loaded = entry();
}

}  // namespace

const Engine& engine() {
    if (!loaded) throw py::import_error("The kernels are not loaded; import fusedgrad.");
    return *loaded;
}

}  // namespace fg

PYBIND11_MODULE(_bindings, m) {
    m.doc() = "fusedgrad's compiled core";
    m.def("levels", &fg::levels, "x86-64 levels that this processor can run, best first.");
    m.def("load", &fg::load, pybind11::arg("path"), "Load the kernels of a level; once.");
    fg::bind_catalogs(m);
    fg::bind_stepper(m);
    fg::bind_sequential(m);
    fg::bind_minibatch(m);
    fg::bind_network(m);
    fg::bind_arrays(m);
    fg::bind_curvature(m);
    fg::bind_config(m);
}
