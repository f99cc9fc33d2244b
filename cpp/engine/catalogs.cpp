// The catalogs of parts, and what losses and activations are at points.
#include "core/pack.hpp"
#include "engine/dispatch.hpp"
#include "engine/kernel_engine.hpp"
#include "kernel/activate.hpp"
#include "parts/activations.hpp"
#include "parts/losses.hpp"
#include "parts/rules.hpp"

namespace fg {

namespace {

template <class Parts>
std::vector<PartDescription> describe() {
    std::vector<PartDescription> catalog;
    Parts::each([&](const auto& part) {
        PartDescription description{part.name, part.doc, {}};
        std::apply(
            [&](const auto&... field) {
                (description.fields.push_back({field.name, part.*field.member, field.low, field.high, field.open_low(),
                                               field.open_high(), field.doc}),
                 ...);
            },
            part.fields());
        if constexpr (requires { part.negative; }) description.negative = part.negative;
        if constexpr (requires { part.curvature; }) description.curvature = part.curvature;
        catalog.push_back(std::move(description));
    });
    return catalog;
}

template <class T>
void activation_points_of(const PartSpec& spec, Index n, const T* x, T* values, T* slopes) {
    std::copy_n(x, n, values);
    std::fill_n(slopes, n, T(1));
    with_part<Activations>(spec, [&](auto part) {
        const ActivateOf<T, decltype(part)> activate(part);
        activate.forward(values, n);
        activate.slope(activate.from_output() ? values : x, slopes, n);
    });
}

}  // namespace

std::vector<PartDescription> KernelEngine::losses() const { return describe<Losses>(); }
std::vector<PartDescription> KernelEngine::rules() const { return describe<Rules>(); }
std::vector<PartDescription> KernelEngine::activations() const { return describe<Activations>(); }

void KernelEngine::loss_points(const PartSpec& spec, Index n, const double* y, const double* p, double* values,
                               double* slopes) const {
    with_part<Losses>(spec, [&](auto loss) {
        for (Index i = 0; i < n; ++i) {
            const auto point = loss.at(y[i], p[i]);
            values[i] = point.value;
            slopes[i] = point.slope;
        }
    });
}

void KernelEngine::activation_points(const PartSpec& spec, Dtype dtype, Index n, const void* x, void* values,
                                     void* slopes) const {
    with_type(dtype, [&](auto number) {
        using T = decltype(number);
        activation_points_of(spec, n, static_cast<const T*>(x), static_cast<T*>(values), static_cast<T*>(slopes));
    });
}

}  // namespace fg
