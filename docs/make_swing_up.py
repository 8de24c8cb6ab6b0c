"""Film a swing-up of `Pendulum-v1` beside its learned energies, in a light and a dark version.

Run `lagdyna train --out runs/home && python docs/make_swing_up.py runs/home`.
"""

import sys
from pathlib import Path

import gymnasium as gym
import jax
import matplotlib as mpl
import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.figure import Figure

import lagdyna

IMAGES = Path(__file__).parent / "images"
STEPS, DT = 90, 0.05  # dt of the environment, s
COLOURS = {"kinetic": "#d9761a", "potential": "#3f9a5c", "total": "#3f7fd0"}
SCHEMES = {"light": ("#ffffff", "#3c4043"), "dark": ("#1e2129", "#c9d1d9")}


def swing_up(folder: str) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Let the policy of a run swing up from rest.

    **Returns:** angles from upright, rad; actions in [-1, 1]; learned energies, J.
    """
    run, policy = lagdyna.load_run(folder), lagdyna.load_policy(folder)
    env = gym.make("Pendulum-v1")
    env.reset(seed=0)
    env.unwrapped.state = np.array([np.pi, 0.0])  # hanging at rest
    observation, memory = np.array([-1.0, 0.0, 0.0]), None
    angles, speeds, actions = [np.pi], [0.0], []
    for _ in range(STEPS):
        action, memory = policy.predict(observation, memory)
        observation, *_ = env.step(action)
        angles.append(float(env.unwrapped.state[0]))
        speeds.append(float(observation[2]))
        actions.append(float(action[0]) / 2.0)
    q, qd = np.array(angles)[:, None], np.array(speeds)[:, None]
    total = np.asarray(jax.vmap(run.model.energy)(q, qd))
    potential = np.asarray(jax.vmap(run.model.potential)(q))
    zero = potential.min()
    energies = {
        "kinetic": total - potential,
        "potential": potential - zero,
        "total": total - zero,
    }
    return q[:, 0], np.array([*actions, actions[-1]]), energies


def film(path: Path, scheme: str, motion: tuple) -> None:
    """Draw the motion as a GIF."""
    angles, actions, energies = motion
    ground, ink = SCHEMES[scheme]
    times = DT * np.arange(len(angles))
    with mpl.rc_context({"text.color": ink, "axes.labelcolor": ink, "axes.edgecolor": ink}):
        figure = Figure(figsize=(7.6, 3.0), facecolor=ground, layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1, 2.2))
        left.set(xlim=(-1.3, 1.3), ylim=(-1.3, 1.3), aspect="equal")
        left.set_axis_off()
        (rod,) = left.plot([], [], color=COLOURS["total"], lw=7, solid_capstyle="round")
        left.plot(0, 0, "o", color=ink, ms=6)
        (torque,) = left.plot([], [], color=COLOURS["kinetic"], lw=2.5)
        right.set(xlim=(0, times[-1]), ylim=(-0.6, 1.08 * max(energies["total"])))
        right.set(xlabel="time / s", ylabel="learned energy / J", facecolor=ground)
        right.spines[["top", "right"]].set_visible(False)
        right.tick_params(colors=ink)
        lines = {
            name: right.plot([], [], color=COLOURS[name], lw=2, label=name)[0]
            for name in energies
        }
        right.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))

    def draw(i: int) -> None:
        x, y = -np.sin(angles[i]), np.cos(angles[i])
        rod.set_data([0, x], [0, y])
        arc = np.pi / 2 + np.linspace(0, 1.6 * actions[i], 20)
        torque.set_data(0.3 * np.cos(arc), 0.3 * np.sin(arc))
        for name, line in lines.items():
            line.set_data(times[: i + 1], energies[name][: i + 1])

    frames = [*range(len(angles)), *[len(angles) - 1] * 15]
    writer = PillowWriter(fps=round(1 / DT))
    FuncAnimation(figure, draw, frames=frames).save(path, writer, dpi=100)
    print(f"-> {path}, {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    found = swing_up(sys.argv[1])
    for each in SCHEMES:
        film(IMAGES / f"swing_up_{each}.gif", each, found)
