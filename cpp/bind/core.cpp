// The extension module of one instruction set (_core_v2, _core_v3, ...).
#include "bind/bind.hpp"
#include "core/team.hpp"

PYBIND11_MODULE(FG_MODULE, m) {
    m.doc() = "fusedgrad's compiled core";
    fg::watch_for_fork();
    fg::bind_losses(m);
    fg::bind_optimizers(m);
    fg::bind_session(m);
    fg::bind_minibatch(m);
    fg::bind_network(m);
    fg::bind_scores(m);
    fg::bind_linear_algebra(m);
    fg::bind_config(m);
}
