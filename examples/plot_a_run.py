"""Draw a figure of a fit for a paper.

Run `python examples/plot_a_run.py`. It fits a network to swings of a pendulum, and writes
`swings.npz`, `swings/`, `swings.pdf` and `swings.png` into the working directory.
"""

# --8<-- [start:all]
import numpy as np
from matplotlib.figure import Figure

import lagdyna
from lagdyna.data import Trajectory, TrajectorySet, write

t = 0.05 * np.arange(100)
swings = [
    Trajectory(t, a * np.cos(3 * t)[:, None], -3 * a * np.sin(3 * t)[:, None])
    for a in (0.05, 0.1, 0.15, 0.2)
]
write("swings.npz", TrajectorySet(swings))
lagdyna.fit("swings.npz", "swings", angles="all", model="mlp")

fit = lagdyna.load_fit("swings")
assert fit.report is not None
figure = Figure(figsize=(9.0, 2.8), layout="constrained")
left, *right = figure.subplots(1, 3)
lagdyna.plot.loss_curve(fit.records, title="multilayer perceptron", axes=left)
rollout = fit.report["validation"]["rollout"]
lagdyna.plot.rollout_errors({"mlp": rollout}, axes=right)
lagdyna.plot.save(figure, "swings.pdf")
lagdyna.plot.save(figure, "swings.png")
# --8<-- [end:all]
