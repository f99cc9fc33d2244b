// What these kernels are: instruction set, compiler, libraries, threads. And the name that the library exports.
#include <omp.h>

#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <string_view>

#include "core/pack.hpp"
#include "core/team.hpp"
#include "engine/kernel_engine.hpp"

#define FG_STRING(x) FG_STRING_(x)
#define FG_STRING_(x) #x

namespace fg {

namespace {

constexpr std::array<const char*, 3> policies{"measured", "whole", "random"};  // as TeamSize::Policy has them

}  // namespace

BuildDescription KernelEngine::build() const {
    return {
        .isa = FG_STRING(FG_ISA),
#if defined(__clang__)
        .compiler = "clang " __clang_version__,
#else
        .compiler = "gcc " __VERSION__,
#endif
#if EIGEN_MAJOR_VERSION >= 5  // since when the first number is 3 for ever, and says nothing
        .eigen = FG_STRING(EIGEN_MAJOR_VERSION) "." FG_STRING(EIGEN_MINOR_VERSION) "." FG_STRING(EIGEN_PATCH_VERSION),
#else
        .eigen = FG_STRING(EIGEN_WORLD_VERSION) "." FG_STRING(EIGEN_MAJOR_VERSION) "." FG_STRING(EIGEN_MINOR_VERSION),
#endif
        .register_bits = register_bytes * 8,
        .openmp = _OPENMP,
    };
}

int KernelEngine::openmp_threads() const { return omp_get_max_threads(); }
int KernelEngine::allowed_threads() const { return fg::allowed_threads(); }
void KernelEngine::set_usable_threads(int threads) const { usable_threads() = threads; }

const char* KernelEngine::team_policy() const { return policies.at(std::size_t(TeamSize::policy().load())); }
void KernelEngine::set_team_policy(const std::string& name) const {
    const auto found = std::find(policies.begin(), policies.end(), name);
    require(found != policies.end(), "policy: must be measured, whole or random");
    TeamSize::policy() = TeamSize::Policy(found - policies.begin());
}

}  // namespace fg

const fg::Engine* fusedgrad_engine() {
    static const fg::KernelEngine engine;
    fg::watch_for_fork();
    return &engine;
}
