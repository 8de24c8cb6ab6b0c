"""Adapt the inverse dynamics model of an arm online after it picks up a payload.

Run `python examples/payload.py --out DIR [--seeds N]` to print a table and plot payload.png.

A two-link arm tracks strokes with a PD controller and the feedforward torques of an inverse
dynamics model. The model, a DeLaN, was fitted to recordings of other strokes. Halfway through,
the arm picks up a payload that doubles the mass of its last link. An extended Kalman filter
adapts the model during the motion. Baselines: no model, a fixed model, online Adam, and the
true equations of motion.
"""

import argparse
import time
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree, Scalar
from matplotlib.figure import Figure

from lagdyna import State
from lagdyna.filters import KalmanLearner
from lagdyna.learners import (
    AbstractLearner,
    Accelerations,
    GradientLearner,
    InverseLoss,
    fit,
    root_mean_square,
)
from lagdyna.mechanics import Coordinates, FixedActuation, MechanicalSystem
from lagdyna.models import DeLaN
from lagdyna.simulate import LagrangianField, SolvedTransition
from lagdyna.systems import PlanarChain

DT, TICKS = 0.005, 400  # control at 200 Hz, strokes of two seconds
RECORDED, UNSEEN = 20, 16  # numbers of strokes for training and evaluation
HIDDEN = (12, 12)
ADAM_RATE, FILTER_NOISE, PROCESS = 1e-3, 0.1, 1e-3
KP, KD = jnp.asarray([300.0, 100.0]), jnp.asarray([40.0, 10.0])
Q_NOISE, QD_NOISE = 1e-4, 2e-3  # standard deviations of the sensor noise, rad and rad/s
coordinates = Coordinates((True, True))
motors = FixedActuation(((1.0, 0.0), (0.0, 1.0)))
arm = PlanarChain.two_link_arm()
# The payload is 1 kg at the tip. The centre of mass of link and payload is at 3/4 of the
# length.
loaded = eqx.tree_at(
    lambda a: (a.mass, a.centre, a.inertia),
    arm,
    (jnp.asarray([1.0, 2.0]), jnp.asarray([0.5, 0.75]), arm.inertia + jnp.asarray([0, 1 / 8])),
)


class Reference(NamedTuple):
    """Reference trajectory at the control steps and halfway between them."""

    q: Float[Array, "*time 2"]
    qd: Float[Array, "*time 2"]
    qdd: Float[Array, "*time 2"]


def tip(q: Float[Array, " 2"]) -> Float[Array, " 2"]:
    """Compute the position of the arm's tip in metres."""
    return jnp.stack(
        [jnp.sin(q[0]) + jnp.sin(q[0] + q[1]), jnp.cos(q[0]) + jnp.cos(q[0] + q[1])]
    )


@eqx.filter_jit
def strokes(key: PRNGKeyArray, count: int) -> Reference:
    """Sample random strokes of the tip in a box 0.8 m wide, from its centre and back to it."""
    harmonics = jnp.arange(1, 6)
    waves = jax.random.normal(key, (count, 2, 5)) / harmonics

    def angles(wave: Array, t: Scalar) -> Array:
        part = t / (TICKS * DT)
        along = part**3 * (10 - 15 * part + 6 * part**2)  # minimum-jerk profile
        curve = wave @ jnp.sin(jnp.pi * harmonics * along)
        x, z = jnp.asarray([1.1, 0.3]) + 0.4 * jnp.tanh(curve)
        elbow = jnp.arccos((x**2 + z**2) / 2 - 1)
        return jnp.stack([jnp.arctan2(x, z) - elbow / 2, elbow])

    def motion(wave: Array, t: Scalar) -> Reference:
        q = lambda time: angles(wave, time)  # noqa: E731
        qd = jax.jacfwd(q)
        return Reference(q(t), qd(t), jax.jacfwd(qd)(t))

    t = 0.5 * DT * jnp.arange(2 * TICKS)
    motions = jax.vmap(lambda wave: jax.vmap(lambda s: motion(wave, s))(t))(waves)
    return jax.tree.map(lambda x: x.reshape(-1, 2, 2), motions)


class Drive(NamedTuple):
    """Result of a tracking run at every control step.

    **Attributes:**

    - `error`: distance of the tip from its reference, m.
    - `path`: position of the tip, m.
    - `rows`: measured states, torques and accelerations.
    """

    error: Float[Array, " time"]
    path: Float[Array, "time 2"]
    rows: Accelerations


# --8<-- [start:measure]
def sense(true: State, key: PRNGKeyArray) -> State:
    """Simulate encoder and tachometer readings with white noise."""
    q_key, qd_key = jax.random.split(key)
    q = true.q + Q_NOISE * jax.random.normal(q_key, (2,))
    return State(q, true.qd + QD_NOISE * jax.random.normal(qd_key, (2,)))


def row(before: State, tau: Float[Array, " 2"], after: State) -> Accelerations:
    """Compute one training sample from two consecutive measurements.

    The torque is constant between them. The difference of the velocities gives the mean
    acceleration over the control step, so position and velocity are taken at its midpoint.
    """
    q = before.q + 0.5 * coordinates.difference(after.q, before.q)
    middle = State(q, 0.5 * (before.qd + after.qd))
    return Accelerations(middle, tau, (after.qd - before.qd) / DT)


# --8<-- [end:measure]


@eqx.filter_jit
def drive(
    model: MechanicalSystem | None,
    learner: AbstractLearner | None,
    state: PyTree,
    reference: Reference,
    carries: Bool[Array, " time"],
    *,
    key: PRNGKeyArray,
) -> Drive:
    """Track a reference with one `scan` over the control steps.

    **Arguments:**

    - `model`: model that computes the feedforward torques; `None` for no feedforward.
    - `learner`, `state`: online learner of the model and its state; `None` for a fixed
        model.
    - `reference`: the reference trajectory.
    - `carries`: whether the arm carries the payload at each control step.
    - `key`: random key for the sensor noise.
    """
    arrays, static = eqx.partition(model, eqx.is_array)

    # --8<-- [start:tick]
    def tick(carry: Any, now: Any) -> tuple[Any, Drive]:
        true, measured, arrays, state = carry
        target, carried, key = now
        model = eqx.combine(arrays, static)
        # Feedback uses the reference at this control step, feedforward that at its midpoint.
        here, middle = (jax.tree.map(lambda x, i=i: x[i], target) for i in (0, 1))
        tau = KP * coordinates.difference(here.q, measured.q) + KD * (here.qd - measured.qd)
        if model is not None:
            tau = tau + model.inverse_dynamics(middle.q, middle.qd, middle.qdd)
        following = plant(carried).step(true, tau)
        after = sense(following, key)
        seen = row(measured, tau, after)
        if learner is not None:
            batch = jax.tree.map(lambda x: x[None], seen)
            model, state, _ = learner.update(model, state, batch)
        error = jnp.linalg.norm(tip(true.q) - tip(here.q))
        arrays = eqx.filter(model, eqx.is_array)
        return (following, after, arrays, state), Drive(error, tip(true.q), seen)

    # --8<-- [end:tick]

    start = State(reference.q[0, 0], jnp.zeros(2))
    ticks = (reference, carries, jax.random.split(key, len(carries)))
    return jax.lax.scan(tick, (start, start, arrays, state), ticks)[1]


def plant(carried: Bool[Array, ""]) -> SolvedTransition:
    """Build the transition of the true arm, with or without the payload."""
    body = jax.tree.map(lambda x, y: jnp.where(carried, x, y), loaded, arm)
    field = LagrangianField(MechanicalSystem(body, coordinates, motors))
    return SolvedTransition(field, coordinates, DT, solver="dopri5", substeps=2)


# --8<-- [start:learners]
ADAM = optax.adam(ADAM_RATE)


def learners(loss: InverseLoss) -> tuple[KalmanLearner, KalmanLearner, GradientLearner]:
    """Build the offline filter, the online filter and online Adam."""
    offline = KalmanLearner(loss, prior=1.0, noise=0.05, repeats=2.0)
    online = KalmanLearner(loss, noise=FILTER_NOISE, process=PROCESS)
    return offline, online, GradientLearner(ADAM, loss)


# --8<-- [end:learners]


class Drives(NamedTuple):
    """Results of all methods on the same evaluation strokes, and the update times in ms."""

    reference: Reference
    methods: dict[str, Drive]
    update: Float[np.ndarray, " rows"]


def compare(seed: int) -> Drives:
    """Fit the model to recordings, then track the evaluation strokes with every method.

    **Arguments:** `seed`, random seed for strokes, noise and initial weights.
    """
    keys = jax.random.split(jax.random.key(seed), 7)
    recorded, unseen = strokes(keys[0], RECORDED), strokes(keys[1], UNSEEN)
    # --8<-- [start:offline]
    empty = jnp.zeros(RECORDED * TICKS, bool)
    data = drive(None, None, None, recorded, empty, key=keys[2]).rows
    offline, online, adam = learners(InverseLoss(root_mean_square(data.action)))
    delan = DeLaN(coordinates, hidden=HIDDEN, key=keys[3])
    untrained = MechanicalSystem(delan, coordinates, motors)
    fitted = fit(untrained, offline, data, key=keys[4], steps=500, batch_size=32)
    model: MechanicalSystem = fitted.model
    # Keep the posterior over the weights; use the process noise of the online filter.
    state = online.init(model)._replace(belief=fitted.state.belief)
    # --8<-- [end:offline]
    true = MechanicalSystem(arm, coordinates, motors)
    knowing = MechanicalSystem(loaded, coordinates, motors)
    half = jnp.arange(UNSEEN * TICKS) >= UNSEEN * TICKS // 2
    ways = {
        "PD alone": (None, None, None, half),
        "fixed model": (model, None, None, half),
        "online Adam": (model, adam, adam.init(model), half),
        "Kalman filter": (model, online, state, half),
        "true arm, payload unknown": (true, None, None, half),
        # Carry the payload from the start, so that the model is correct throughout.
        "true arm and payload": (knowing, None, None, jnp.ones_like(half)),
    }
    methods = {
        name: drive(model, learner, state, unseen, carries, key=keys[5])
        for name, (model, learner, state, carries) in ways.items()
    }
    rows = methods["Kalman filter"].rows
    return Drives(unseen, methods, milliseconds(online, model, state, rows))


def milliseconds(
    learner: AbstractLearner, model: MechanicalSystem, state: PyTree, rows: Accelerations
) -> Float[np.ndarray, " rows"]:
    """Measure the duration of single-sample updates, as in a control loop."""
    sample = jax.jit(lambda i: jax.tree.map(lambda x: x[i][None], rows))
    times = []
    # --8<-- [start:update]
    update = eqx.filter_jit(learner.update)
    for i in range(1000):
        batch = jax.block_until_ready(sample(i))
        begun = time.perf_counter()
        model, state, _ = jax.block_until_ready(update(model, state, batch))
        times.append(1e3 * (time.perf_counter() - begun))
    # --8<-- [end:update]
    return np.asarray(times[10:])


COLOURS = {
    "PD alone": "#6b6b6b",
    "fixed model": "#d9731a",
    "online Adam": "#2d8a57",
    "Kalman filter": "#1f5fa8",
    "true arm, payload unknown": "#b3589a",
    "true arm and payload": "#111111",
}
SPANS = {
    "before": (-6.0, 0.0),
    "0-1 s after": (0.0, 1.0),
    "1-4 s": (1.0, 4.0),
    "10-16 s": (10.0, 16.0),
}


def rms(error: Float[Array, " time"], span: tuple[float, float]) -> float:
    """Compute the rms tip error in mm over a time span, in seconds after the pick-up."""
    first, last = (UNSEEN * TICKS // 2 + round(second / DT) for second in span)
    return 1e3 * float(jnp.sqrt(jnp.mean(error[first:last] ** 2)))


def report(seeds: list[Drives]) -> str:
    """Format a table of the mean over seeds, with the largest value in brackets."""
    lines = [" " * 26 + "".join(f"{span:>16}" for span in SPANS)]
    for name in COLOURS:
        cells = []
        for span in SPANS.values():
            found = [rms(each.methods[name].error, span) for each in seeds]
            cells.append(f"{np.mean(found):.2f} ({max(found):.2f})".rjust(16))
        lines.append(f"{name:26}" + "".join(cells))
    return "\n".join(lines)


def draw(path: Path, seeds: list[Drives]) -> None:
    """Plot errors over time, averaged over seeds, and two strokes of the first seed."""
    figure = Figure(figsize=(9.6, 4.6), layout="constrained")
    over_time, strokes_after = figure.subplots(1, 2, width_ratios=(2.1, 1))
    t = DT * (np.arange(UNSEEN * TICKS) - UNSEEN * TICKS // 2)
    window = np.ones(TICKS // 4) / (TICKS // 4)
    for name, colour in COLOURS.items():
        square = np.mean([each.methods[name].error ** 2 for each in seeds], axis=0)
        smooth = 1e3 * np.sqrt(np.convolve(square, window)[: len(t)])
        style = "--" if name.endswith("unknown") else "-"  # it coincides with the fixed model
        over_time.semilogy(t, smooth, style, color=colour, lw=1.4, label=name)
    over_time.axvline(0, color="#111111", lw=1, ls=":")
    over_time.set(xlabel="time since the payload / s", ylabel="error of the tip, rms / mm")
    over_time.set(xlim=(t[0], t[-1]), ylim=(0.02, 400))
    over_time.set_yticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
    over_time.text(0.2, 0.026, "payload taken up")
    over_time.set_title(f"tracking unseen strokes, mean of {len(seeds)} seeds")
    after = slice(UNSEEN * TICKS // 2 + TICKS, UNSEEN * TICKS // 2 + 3 * TICKS)
    for name in ("PD alone", "fixed model", "online Adam", "Kalman filter"):
        strokes_after.plot(*seeds[0].methods[name].path[after].T, color=COLOURS[name], lw=1.3)
    wanted = jax.vmap(tip)(seeds[0].reference.q[after, 0])
    strokes_after.plot(*wanted.T, color="#111111", lw=1, ls="--", label="wanted")
    strokes_after.set(xlabel="x / m", ylabel="z / m", aspect="equal")
    strokes_after.set_title("the tip, 2 to 6 s after")
    for axes in (over_time, strokes_after):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, lw=0.5)
    figure.legend(frameon=False, ncols=4, loc="outside lower center")
    figure.savefig(path, dpi=130)


def main() -> None:
    """Run all seeds, print the table and plot the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="where payload.png goes")
    parser.add_argument("--seeds", type=int, default=5, help="how many times all is done")
    arguments = parser.parse_args()
    seeds = [compare(seed) for seed in range(arguments.seeds)]
    print(f"error of the tip, rms in mm: mean (worst) of {len(seeds)} seeds")
    print(report(seeds))
    times = np.concatenate([each.update for each in seeds])
    print(
        f"an update of the filter, one sample at a time: {np.median(times):.2f} ms, "
        f"99 of 100 within {np.quantile(times, 0.99):.2f} ms"
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    draw(arguments.out / "payload.png", seeds)


if __name__ == "__main__":
    main()
