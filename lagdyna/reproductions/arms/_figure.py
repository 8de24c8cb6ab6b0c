"""Pictures: torque errors of all models, and torques along an unseen motion."""

from pathlib import Path

import numpy as np

from ...plot import BLUE, GREEN, GREY, ORANGE, blank, finish, save
from .._reproduction import Results
from ._motions import DT

_COLOURS = {
    "truth": "black",
    "least-squares": GREY,
    "mujoco-sysid": "#c9a227",
    "robot": BLUE,
    "robot-curve": "#1f3f6e",
    "robot-residual": GREEN,
    "delan-structure": "#8a5fb0",
    "delan": ORANGE,
    "mlp": "#b03a48",
}


def plot_errors(path: Path, results: Results) -> None:
    """Plot the mean torque NMSE over joints and seeds as bars, one group for each data."""
    bars: dict[str, dict[str, float]] = {}
    for kind in results.parts:
        data, _, model = kind.rpartition(".")
        if "torque_nmse" in results.parts[kind][0] and model != "truth":
            value = float(np.mean(results.stacked(kind, "torque_nmse")))
            bars.setdefault(data, {})[model] = value
    if not bars:
        return
    figure = blank(1.2 + 1.5 * len(bars), 4.2)
    axes = figure.subplots()
    shown: set[str] = set()
    for i, models in enumerate(bars.values()):
        width = 0.8 / len(models)
        for j, (model, value) in enumerate(models.items()):
            label = None if model in shown else model
            place = i - 0.4 + (j + 0.5) * width
            axes.bar(place, value, width, color=_COLOURS[model], label=label)
            shown.add(model)
    axes.set_yscale("log")
    names = [data.replace("_", " ").replace(".", "\n") for data in bars]
    axes.set_xticks(range(len(bars)), names)
    axes.set(ylabel="torque MSE / variance", title="unseen motions, mean of the joints")
    figure.legend(frameon=False, ncols=4, loc="outside lower center")
    finish(axes)
    save(figure, path)


def plot_torque(path: Path, results: Results) -> None:
    """Plot torques along an unseen motion: the last three joints, where errors are largest."""
    kinds = [kind for kind in results.parts if "shown_tau" in results.parts[kind][0]]
    if not kinds:
        return
    data = kinds[0].rpartition(".")[0]
    kinds = [
        kind
        for kind in kinds
        if kind.rpartition(".")[0] == data and not kind.endswith(".truth")
    ]
    true = results.parts[kinds[0]][0]["shown_tau"]
    joints = range(max(0, true.shape[1] - 3), true.shape[1])
    figure = blank(7.0, 1.6 * len(joints) + 1.0)
    several = figure.subplots(len(joints), sharex=True, squeeze=False)[:, 0]
    t = DT * np.arange(len(true))
    for axes, joint in zip(several, joints, strict=True):
        axes.plot(t, true[:, joint], color="black", lw=2.4, alpha=0.5, label="true")
        for kind in kinds:
            model = kind.rpartition(".")[2]
            found = results.parts[kind][0]["shown_predicted"][:, joint]
            axes.plot(t, found, color=_COLOURS[model], lw=1.0, label=model)
        room = 0.3 * np.ptp(true[:, joint]) + 1e-9
        axes.set_ylim(true[:, joint].min() - room, true[:, joint].max() + room)
        axes.set_ylabel(f"joint {joint + 1}, N m")
        finish(axes)
    several[0].set_title(f"an unseen motion: {data.replace('.', ', ')}")
    several[-1].set_xlabel("t, s")
    handles, labels = several[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, ncols=4, loc="outside lower center")
    save(figure, path)
