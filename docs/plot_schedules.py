"""Draw every schedule of the catalog: rate against step.

python docs/plot_schedules.py            # writes docs/schedules.png
python docs/plot_schedules.py OTHER.png
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from fusedgrad import schedules

STEPS = 100
COLUMNS = 4
EXAMPLES = {
    "constant": {"rate": 0.1},
    "step": {"rate": 0.1, "steps": 25, "decay": 0.5},
    "piecewise": {"boundaries": (20, 60), "values": (0.04, 0.1, 0.02)},
    "multi_step": {"rate": 0.1, "milestones": (50, 80), "gamma": 0.3},
    "exponential": {"rate": 0.1, "decay": 0.96},
    "polynomial": {"rate": 0.1, "steps": 80, "power": 2},
    "linear": {"rate": 0.1, "steps": 80, "end_rate": 0.01},
    "inverse_time": {"rate": 0.1, "decay": 1.0, "steps": 20},
    "inverse_scaling": {"rate": 0.1, "power": 0.5},
    "optimal": {"alpha": 0.2, "t0": 50},
    "cosine": {"rate": 0.1, "steps": 80},
    "cosine_restarts": {"rate": 0.1, "steps": 15, "t_mult": 2},
    "one_cycle": {"rate": 0.1, "steps": 100},
    "cyclic": {"rate": 0.01, "max_rate": 0.1, "steps_up": 15, "mode": "triangular2"},
    "warmup": {"schedule": schedules.Cosine(0.1, 80), "steps": 20, "start_factor": 0.1},
    "reduce_on_plateau": {"rate": 0.1, "factor": 0.5, "patience": 5},
}


def rates(schedule):
    """The rates of the first steps; a plateau watches a loss that falls up to step 40 and then stays."""
    if not isinstance(schedule, schedules.ReduceOnPlateau):
        return schedules.table(schedule, 0, STEPS)
    state, seen = schedule.start(), []
    for loss in 1 + np.maximum(1 - np.arange(STEPS) / 40, 0):
        seen.append(state.rate)
        state = schedule.update(state, loss)
    return np.array(seen)


def caption(parameters):
    """The parameters, in lines of about equal length."""
    words = [f"{name}={value!r}".replace(", end_rate=0.0", "") for name, value in parameters.items()]
    lines = [words[0]]
    for word in words[1:]:
        joined = f"{lines[-1]}, {word}"
        lines = [*lines[:-1], joined] if len(joined) <= 38 else [*lines[:-1], f"{lines[-1]},", word]
    return "\n".join(lines)


def draw(path):
    """Save the picture: a panel for each schedule."""
    rows = -(-len(schedules.names()) // COLUMNS)
    figure, axes = plt.subplots(
        rows, COLUMNS, figsize=(3.2 * COLUMNS, 2.6 * rows), sharex=True, sharey=True, layout="constrained"
    )
    for panel in axes.flat[len(schedules.names()) :]:
        panel.remove()
    for name, panel in zip(schedules.names(), axes.flat, strict=False):
        schedule = schedules.get(name, **EXAMPLES[name])
        panel.step(range(STEPS), rates(schedule), where="post", linewidth=1.8, color="#1f5fa8", clip_on=False)
        panel.set_title(type(schedule).__name__, fontsize=12, fontweight="bold", loc="left", pad=34)
        below = {"xy": (0, 1), "xycoords": "axes fraction", "xytext": (0, 30), "textcoords": "offset points"}
        panel.annotate(caption(EXAMPLES[name]), **below, va="top", fontsize=8.5, color="0.3")
        panel.set(ylim=(0, 0.105), yticks=[0, 0.05, 0.1])
        panel.grid(color="0.9")
        panel.spines[["top", "right"]].set_visible(False)
    figure.get_layout_engine().set(h_pad=0.08, w_pad=0.08)
    figure.supxlabel("step (ReduceOnPlateau: of a loss that is flat from step 40)")
    figure.supylabel("learning rate")
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    draw(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("schedules.png"))
