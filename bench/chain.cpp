// The time of a step of one sample that nothing but the step before holds up: product with the weights, slope of the
// log loss, weights += step x. Each waits for the one before: the product for the weights, the slope for the product,
// the weights for the slope. The rows are few and in cache, in order, and there is no rate, penalty, average or loss to
// see to.
//
//   chain FEATURES float32|float64     prints seconds of a step, the best of seven runs
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "parts/loss/log_loss.hpp"

template <class T>
double seconds(fg::Index features) {
    using namespace fg;
    constexpr Index rows = 8, steps = 100'000;
    std::vector<T> x(std::size_t(rows * features)), w(std::size_t(features), T(0));
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = T((i * 7919) % 1000) / T(500) - T(1);
    const LogLoss loss;
    double best = 1.0;
    for (int run = 0; run < 7; ++run) {
        const auto start = std::chrono::steady_clock::now();
        for (Index step = 0; step < steps; ++step) {
            const T* const row = x.data() + step % rows * features;
            const double margin = double(dot_square(w.data(), row, features)[0]);
            const double y = step % 2 ? 1.0 : -1.0;
            const double slope = loss.at(Lone{y, y}, Lone{margin, margin}).slope[0];
            axpy(T(-1e-3 * slope), row, w.data(), features);
        }
        best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return w[0] == w[0] ? best / double(steps) : -1.0;
}

int main(int count, char** words) {
    if (count != 3) return 1;
    const fg::Index features = std::atol(words[1]);
    std::printf("%.9g\n", words[2] == std::string("float32") ? seconds<float>(features) : seconds<double>(features));
}
