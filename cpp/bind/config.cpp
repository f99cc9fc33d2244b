// What this build is: instruction set, compiler, libraries, threads.
#include <omp.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <string_view>

#include <Eigen/Core>

#include "bind/arrays.hpp"
#include "bind/bind.hpp"
#include "bind/gil.hpp"
#include "core/math.hpp"
#include "core/team.hpp"

#define FG_STRING(x) FG_STRING_(x)
#define FG_STRING_(x) #x

namespace fg {

namespace {

// Members of the team read pieces side by side, and stop when one has found something.
template <class T>
bool all_finite_of(const T* x, Index n, int threads) {
    constexpr Index block = 1 << 16;
    const Index blocks = (n + block - 1) / block;
    static TeamSize::Memory sizes;
    std::atomic<bool> finite{true};
    Team::call(sizes, Team::most(double(blocks), threads), 1e-10 * double(n), [&](int member, int members) {
        for (Index k = blocks * member / members; k < blocks * (member + 1) / members; ++k) {
            if (!finite.load(std::memory_order_relaxed)) return;
            if (!are_finite(x + k * block, std::min(block, n - k * block))) finite = false;
        }
    });
    return finite;
}

bool all_finite(const py::array& x, int threads) {
    const Index n = x.size();
    if (py::isinstance<py::array_t<double, py::array::c_style>>(x)) {
        const auto* data = static_cast<const double*>(x.data());
        const WithoutGil unlocked;
        return all_finite_of(data, n, threads);
    }
    const auto* data = data_of<float>(x, n, "x");
    const WithoutGil unlocked;
    return all_finite_of(data, n, threads);
}

constexpr std::array<std::string_view, 3> policies{"measured", "whole", "random"};  // as TeamSize::Policy has them

}  // namespace

void bind_config(py::module_& m) {
    m.def("openmp_threads", [] { return omp_get_max_threads(); }, "Threads that OpenMP would use now.");
    m.def("max_threads", &allowed_threads, "The same, within what set_usable_threads said.");
    m.def(
        "set_usable_threads", [](int threads) { usable_threads() = threads; }, py::arg("threads"),
        "How many threads the process may use, whatever OpenMP says.");
    m.def("team_policy", [] { return policies.at(std::size_t(TeamSize::policy().load())); });
    m.def(
        "set_team_policy",
        [](const std::string& name) {
            const auto found = std::find(policies.begin(), policies.end(), name);
            require(found != policies.end(), "policy: must be measured, whole or random");
            TeamSize::policy() = TeamSize::Policy(found - policies.begin());
        },
        py::arg("policy"), "How large teams are, for tests and measurements: measured, whole or random.");
    m.def("all_finite", &all_finite, py::arg("x"), py::arg("threads") = 1, "Whether no number is NaN or infinite.");
    m.def("build", [] {
        py::dict d;
        d["isa"] = FG_STRING(FG_ISA);
        d["register_bits"] = register_bytes * 8;
        d["compiler"] =
#if defined(__clang__)
            "clang " __clang_version__;
#else
            "gcc " __VERSION__;
#endif
#if EIGEN_MAJOR_VERSION >= 5  // since when the first number is 3 for ever, and says nothing
        d["eigen"] =
            FG_STRING(EIGEN_MAJOR_VERSION) "." FG_STRING(EIGEN_MINOR_VERSION) "." FG_STRING(EIGEN_PATCH_VERSION);
#else
        d["eigen"] =
            FG_STRING(EIGEN_WORLD_VERSION) "." FG_STRING(EIGEN_MAJOR_VERSION) "." FG_STRING(EIGEN_MINOR_VERSION);
#endif
        d["openmp"] = _OPENMP;
        return d;
    });
}

}  // namespace fg
