// What the kernels in use are, and how many threads they may take.
#include "bind/bind.hpp"

namespace fg {

void bind_config(py::module_& m) {
    m.def("openmp_threads", [] { return engine().openmp_threads(); }, "Threads that OpenMP would use now.");
    m.def("max_threads", [] { return engine().allowed_threads(); }, "The same, within what set_usable_threads said.");
    m.def(
        "set_usable_threads", [](int threads) { engine().set_usable_threads(threads); }, py::arg("threads"),
        "How many threads the process may use, whatever OpenMP says.");
    m.def("team_policy", [] { return engine().team_policy(); });
    m.def(
        "set_team_policy", [](const std::string& name) { engine().set_team_policy(name); }, py::arg("policy"),
        "How large teams are, for tests and measurements: measured, whole or random.");
    m.def("build", [] {
        const auto build = engine().build();
        py::dict d;
        d["isa"] = build.isa;
        d["register_bits"] = build.register_bits;
        d["compiler"] = build.compiler;
        d["eigen"] = build.eigen;
        d["openmp"] = build.openmp;
        return d;
    });
}

}  // namespace fg
