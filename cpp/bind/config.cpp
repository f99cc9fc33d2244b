// What this build is: instruction set, compiler, libraries, threads.
#include <omp.h>

#include <Eigen/Core>

#include "bind/arrays.hpp"
#include "bind/bind.hpp"
#include "core/team.hpp"

#define FG_STRING(x) FG_STRING_(x)
#define FG_STRING_(x) #x

namespace fg {

namespace {

// x - x is zero exactly when x is finite, and adding zeros costs less than testing each number.
template <class T>
bool finite_block(const T* x, Index n) {
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (Index i = 0; i < n; ++i) sum += x[i] - x[i];
    return sum == T(0);
}

template <class T>
class FiniteJob final : public Job {
public:
    FiniteJob(const T* x, Index n) : x_(x), left_(n) {}
    bool advance() override {
        const Index n = std::min<Index>(left_, 1 << 18);
        finite_ = finite_ && finite_block(x_, n);
        x_ += n;
        left_ -= n;
        return finite_ && left_ > 0;
    }
    bool finite() const { return finite_; }

private:
    const T* x_;
    Index left_;
    bool finite_ = true;
};

template <class T>
bool all_finite_of(const T* x, Index n, int threads) {
    if (n < (1 << 16)) return finite_block(x, n);
    std::vector<FiniteJob<T>> parts;
    const Index each = (n + threads - 1) / threads;
    for (Index i = 0; i < n; i += each) parts.emplace_back(x + i, std::min(each, n - i));
    std::vector<Job*> jobs;
    for (auto& part : parts) jobs.push_back(&part);
    Team(threads).run(jobs, [] {});
    return std::all_of(parts.begin(), parts.end(), [](const auto& part) { return part.finite(); });
}

bool all_finite(const py::array& x, int threads) {
    threads = threads > 0 ? threads : omp_get_max_threads();
    const Index n = x.size();
    if (py::isinstance<py::array_t<double, py::array::c_style>>(x)) {
        const auto* data = static_cast<const double*>(x.data());
        py::gil_scoped_release release;
        return all_finite_of(data, n, threads);
    }
    const auto* data = data_of<float>(x, n, "x");
    py::gil_scoped_release release;
    return all_finite_of(data, n, threads);
}

}  // namespace

void bind_config(py::module_& m) {
    m.def("max_threads", [] { return omp_get_max_threads(); }, "Threads that OpenMP would use now.");
    m.def("all_finite", &all_finite, py::arg("x"), py::arg("threads") = 0, "Whether no number is NaN or infinite.");
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
        d["eigen"] =
            FG_STRING(EIGEN_WORLD_VERSION) "." FG_STRING(EIGEN_MAJOR_VERSION) "." FG_STRING(EIGEN_MINOR_VERSION);
        d["openmp"] = _OPENMP;
        return d;
    });
}

}  // namespace fg
