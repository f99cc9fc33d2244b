// Layers, where their parameters lie, and what they make of rows.
#include <algorithm>
#include <atomic>

#include "engine/design.hpp"
#include "engine/kernel_engine.hpp"
#include "train/network/inference.hpp"
#include "train/network/network.hpp"

namespace fg {

namespace {

using Specs = std::shared_ptr<const std::vector<NodeSpec>>;

template <class T>
Layout layout_of(const Network<T>& network) {
    const auto placed = [](const std::vector<Placed>& all) {
        std::vector<PlacedArray> arrays;
        for (const auto& one : all)
            arrays.push_back({one.node, one.array.name, one.offset, one.array.rows, one.array.columns});
        return arrays;
    };
    return {network.trained_size(), network.kept_size(), placed(network.trained()), placed(network.kept())};
}

template <class T>
std::vector<T*> pointers_of(const std::vector<Numbers>& arrays, const std::vector<Placed>& placed) {
    require(arrays.size() == placed.size(), "not as many arrays as the network has");
    std::vector<T*> pointers;
    for (std::size_t i = 0; i < placed.size(); ++i) {
        if (arrays[i].size != placed[i].array.size())
            throw BadArgument(std::string(placed[i].array.name) + ": expected " +
                              std::to_string(placed[i].array.size()) + " numbers");
        pointers.push_back(static_cast<T*>(arrays[i].data));
    }
    return pointers;
}

// Layers ready for a row, between calls: to make them takes as long as a small network does.
template <class T>
struct Ready {
    Ready(const Specs& specs, const Masking& masking, Index last, bool sparse)
        : network(specs, masking), last(last), sparse(sparse) {
        require(last >= 1 && last <= network.nodes(), "layer: there is none of that number");
        network.defer_activations(last);
    }
    void bind(std::vector<T*> trained, std::vector<T*> kept) {
        if (trained == trained_ && kept == kept_) return;
        network.bind(trained, kept);
        trained_ = std::move(trained), kept_ = std::move(kept);
    }

    Network<T> network;
    const Index last;
    const bool sparse;
    std::unique_ptr<Inference<T>> inference;

private:
    std::vector<T*> trained_, kept_;
};

// Each has layers of its own, so that several may run side by side; those of a single row it takes from `ready`, and
// leaves there when it ends. (Both happen under the lock of the network's owner.)
template <class T>
class PredictionOf final : public Prediction {
public:
    PredictionOf(const Specs& specs, const Masking& masking, std::unique_ptr<Ready<T>>& ready, TeamSize::Memory& sizes,
                 const std::vector<Numbers>& trained, const std::vector<Numbers>& kept, const Matrix& X, Index last)
        : ready_(ready), sizes_(sizes), design_(design_of<T>(X)), one_row_(design_->rows == 1) {
        if (one_row_) own_ = std::move(ready_);
        if (!own_ || own_->last != last || own_->sparse != design_->sparse())
            own_ = std::make_unique<Ready<T>>(specs, masking, last, design_->sparse());
        const auto& network = own_->network;
        own_->bind(pointers_of<T>(trained, network.trained()), pointers_of<T>(kept, network.kept()));
        require(design_->cols == network.size_of(0), "X: not as many columns as the network takes");
    }
    ~PredictionOf() override {
        if (one_row_ && whole_) ready_ = std::move(own_);
    }

    Index columns() const override { return own_->network.size_of(own_->last); }

    void run(void* out, int threads, Callback callback) override {
        Watch watch(std::move(callback));
        auto& network = own_->network;
        T* const to = static_cast<T*>(out);
        for (Index k = 0; k < own_->last; ++k) network.layer(k).refresh(design_->rows);
        if (one_row_) {
            if (!own_->inference) own_->inference = inference();
            own_->inference->run(*design_, 0, 1, to, watch, 0);
            whole_ = !watch.off();
            return;
        }
        const Index block = Inference<T>::rows_at_a_time(network, own_->last);
        const Index blocks = (design_->rows + block - 1) / block;
        const double work = network.work() * double(design_->rows);
        const int most = Team::most(std::min(work / 1e6, double(blocks)), threads);
        TeamSize::call(sizes_, most, 1e-10 * work, [&](int members) {
            std::vector<std::unique_ptr<Inference<T>>> inferences;
            for (int m = 0; m < members; ++m) inferences.push_back(inference());
            std::atomic<Index> next{0};  // a member whose processor is taken away holds up one block
            Team::together(members, [&](int m) {
                for (Index k = next++; k < blocks && !watch.off(); k = next++)
                    inferences[std::size_t(m)]->run(*design_, k * block, std::min((k + 1) * block, design_->rows),
                                                    to + k * block * columns(), watch, m);
            });
        });
    }

private:
    std::unique_ptr<Inference<T>> inference() const {
        return std::make_unique<Inference<T>>(own_->network, *design_, own_->last);
    }

    std::unique_ptr<Ready<T>>& ready_;
    TeamSize::Memory& sizes_;
    const std::unique_ptr<Design<T>> design_;
    const bool one_row_;
    std::unique_ptr<Ready<T>> own_;
    bool whole_ = false;  // the row has been worked out
};

class NetworkLayersByName final : public NetworkLayers {
public:
    NetworkLayersByName(std::vector<NodeSpec> nodes, const Masking& masking)
        : specs_(std::make_shared<const std::vector<NodeSpec>>(std::move(nodes))), masking_(masking) {}

    Layout layout(Dtype dtype) const override {
        return with_type(dtype, [&](auto number) { return layout_of(Network<decltype(number)>(specs_, masking_)); });
    }
    double work() const override { return Network<double>(specs_, masking_).work(); }
    std::unique_ptr<Prediction> predict(const std::vector<Numbers>& trained, const std::vector<Numbers>& kept,
                                        const Matrix& X, Index last) override {
        if (X.dtype == Dtype::float32)
            return std::make_unique<PredictionOf<float>>(specs_, masking_, ready32_, sizes_, trained, kept, X, last);
        return std::make_unique<PredictionOf<double>>(specs_, masking_, ready64_, sizes_, trained, kept, X, last);
    }

private:
    const Specs specs_;
    const Masking masking_;
    std::unique_ptr<Ready<float>> ready32_;
    std::unique_ptr<Ready<double>> ready64_;
    TeamSize::Memory sizes_;
};

}  // namespace

std::unique_ptr<NetworkLayers> KernelEngine::network_layers(std::vector<NodeSpec> nodes, const Masking& masking) const {
    return std::make_unique<NetworkLayersByName>(std::move(nodes), masking);
}

}  // namespace fg
