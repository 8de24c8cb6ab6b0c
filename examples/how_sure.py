"""Estimate the uncertainty of a learned model.

Run `python examples/how_sure.py arm.npz --out how-sure`.

The script fits the arm of `record_an_arm.py` with a Kalman filter, to a few trajectories with
noisy accelerations. It evaluates the posterior over the weights: the width and the coverage of
its predictive intervals, and the spread of rollouts of models sampled from it.
"""

import argparse
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

import lagdyna
from lagdyna import State
from lagdyna.config import DataConfig
from lagdyna.data import Trajectory, TrajectorySet, read, write
from lagdyna.parts import DeLaNConfig
from lagdyna.simulate import LearnedModel

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("recordings")
parser.add_argument("--out", type=Path, default=Path("how-sure"))
parser.add_argument("--noise", type=float, default=0.5, help="of accelerations, rad/s^2")
options = parser.parse_args()
options.out.mkdir(parents=True, exist_ok=True)
random = np.random.default_rng(0)
recorded = read(options.recordings)


def noisy(each: Trajectory) -> Trajectory:
    """Add Gaussian noise to the accelerations of a trajectory."""
    arrays = dict(each.arrays)
    arrays["qdd"] = arrays["qdd"] + options.noise * random.normal(size=arrays["qdd"].shape)
    return each.replaced(arrays)


def learned(count: int) -> Path:
    """Fit a model to `count` trajectories, validate on four more, return its run directory."""
    file, directory = options.out / f"arm-{count}.npz", options.out / f"run-{count}"
    if not (directory / "report.json").exists():
        write(file, TrajectorySet(kept[-count - 4 :]), overwrite=True)
        config = lagdyna.FitConfig(
            data=DataConfig(file=str(file), angles="all", validation=4 / (count + 4)),
            model=DeLaNConfig(hidden=(24, 24)),
            learner="auto",
            solver="dopri5",
        )
        lagdyna.fit_model(config, directory)
    return directory


def ask(directory: Path) -> LearnedModel:
    """Print statistics of the posterior and return models sampled from it."""
    # --8<-- [start:ask]
    run = lagdyna.load_fit(directory)
    assert run.posterior is not None  # only filters provide a posterior
    q, qd, tau = jnp.array([0.1, 0.5]), jnp.array([0.0, 1.0]), jnp.zeros(2)

    qdd, covariance = run.posterior.predict(lambda model: model.forward_dynamics(q, qd, tau))
    models = run.posterior.sample(jax.random.key(0), 64)  # one model with a leading axis
    masses = eqx.filter_vmap(lambda model: model.mass_matrix(q, qd))(models)
    # --8<-- [end:ask]
    deviations, spread = np.sqrt(np.diagonal(covariance)), np.asarray(masses).std(0)
    print("  qdd", *(f"{a:.3f} +- {s:.3f}" for a, s in zip(qdd, deviations, strict=True)))
    print(f"  mass matrix +- {spread[0, 0]:.3f}, {spread[1, 1]:.3f} kg m^2;", end=" ")
    print(f"smallest eigenvalue of 64 samples {np.linalg.eigvalsh(masses).min():.3f} kg m^2")
    if run.report is not None:
        found = run.report["calibration"]
        told = ", ".join(f"{100 * x:.1f}" for x in found["coverage"])
        print(f"  50, 90, 99 % intervals cover {told} % of unseen accelerations,", end=" ")
        print(f"at a temperature of {found['temperature']:.3f}")
    return models


def draw(axis: Axes, models: LearnedModel, motion: Trajectory) -> None:
    """Plot rollouts of the models and a recorded motion outside the training data."""
    start = State(jnp.asarray(motion.q[0]), jnp.asarray(motion.arrays["qd"][0]))
    actions = jnp.asarray(motion.arrays["tau"][:-1])
    roll = eqx.filter_vmap(lambda model: model.rollout(start, actions).q[:, 1])
    paths = np.unwrap(np.asarray(eqx.filter_jit(roll)(models)))
    true = np.unwrap(motion.q[:, 1])
    low, middle, high = np.quantile(np.asarray(paths, np.float64), [0.05, 0.5, 0.95], axis=0)
    axis.plot(motion.t, paths[:12].T, color="tab:blue", lw=0.5, alpha=0.5)
    axis.fill_between(motion.t, low, high, color="tab:blue", alpha=0.25, lw=0, label="90 %")
    axis.plot(motion.t, middle, color="tab:blue", label="median")
    axis.plot(motion.t, true, color="black", ls="--", label="recorded")
    axis.set(xlabel="seconds", ylim=(true.min() - 3, true.max() + 3))


kept = [noisy(each) for each in recorded]
figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), sharey=True)
for axis, count in zip(axes, (3, 15), strict=True):
    print(f"{count} trajectories of two seconds:")
    draw(axis, ask(learned(count)), recorded[0])
    axis.set_title(f"learned from {count} trajectories")
axes[0].set_ylabel("second joint, rad")
axes[0].legend(loc="upper left", frameon=False)
figure.tight_layout()
figure.savefig(options.out / "how_sure.png", dpi=130)
print(f"-> {options.out / 'how_sure.png'}")
