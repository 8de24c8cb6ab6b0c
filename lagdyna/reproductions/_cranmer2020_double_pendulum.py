"""Energy of a double pendulum along rollouts of learned models (Cranmer et al. 2020)."""

import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..learners import Accelerations, ForwardLoss, root_mean_square
from ..mechanics import AbstractDynamics, Coordinates, FixedActuation, MechanicalSystem, State
from ..models import LNN, NeuralODE
from ..plot import BLUE, GREEN, GREY, ORANGE, blank, finish, save
from ..simulate import (
    AbstractTransition,
    AccelerationField,
    LagrangianField,
    SolvedTransition,
    rollout,
)
from ..systems import DoublePendulum
from ._entries import Entry, entry
from ._learning import adam, least_squares
from ._reproduction import AbstractReproduction, PartProgress, Result, Results

_SPEED, _DT, _STEPS, _STARTS = 10.0, 0.1, 100, 40
_UNDRIVEN = FixedActuation(((), ()))


def random_motion(pendulum: DoublePendulum, key: PRNGKeyArray, count: int) -> Accelerations:
    """Draw states with angles on the whole circle and velocities within 10 rad/s.

    **Returns:** the states with their true accelerations, leading axis `count`.
    """
    keys = jax.random.split(key)
    q = jax.random.uniform(keys[0], (count, 2), minval=-jnp.pi, maxval=jnp.pi)
    qd = jax.random.uniform(keys[1], (count, 2), minval=-_SPEED, maxval=_SPEED)
    qdd = jax.vmap(pendulum.forward_dynamics)(q, qd, jnp.zeros((count, 2)))
    return Accelerations(State(q, qd), jnp.zeros((count, 0)), qdd)


def simulate(model: AbstractDynamics, starts: State) -> State:
    """Simulate ten seconds from each start without forces.

    Eight steps of `dopri8` in each tenth of a second keep the solver's error far below the
    model's.

    **Returns:** the states, shapes `(starts, time, n)`.
    """
    field = (
        LagrangianField(model)
        if isinstance(model, MechanicalSystem)
        else AccelerationField(model)
    )
    transition: AbstractTransition = SolvedTransition(
        field, Coordinates((True, True)), _DT, solver="dopri8", substeps=8
    )
    return jax.vmap(lambda s: rollout(transition, s, jnp.zeros((_STEPS, 0))))(starts)


def energy_discrepancy(pendulum: DoublePendulum, states: State) -> Float[Array, "starts time"]:
    """Compute the change of the true energy, as a fraction of the largest potential energy."""
    energy = jax.vmap(jax.vmap(pendulum.energy))(states.q, states.qd)
    upright = pendulum.potential_energy(jnp.full(2, jnp.pi))  # zero at the pivot
    return jnp.abs(energy - energy[:, :1]) / upright


class Cranmer2020DoublePendulum(AbstractReproduction):
    """Energy along rollouts from forty unseen starts: an LNN and a network for `qdd`.

    The LNN has two layers of 40 (tanh). It is fitted to the accelerations at 6000 random
    states by 200 Levenberg-Marquardt updates. The paper uses 600,000 states and four layers
    of 500. Of the networks for `qdd`, `mlp_least_squares` is fitted in the same way. `mlp`
    has two layers of 128 and is fitted by 20,000 updates of Adam on 600,000 states, 512 in
    each update. Starts have random angles and velocities below 0.1 rad/s, as in the paper's
    code.
    """

    name = "cranmer2020-double-pendulum"
    title = "energy of a double pendulum along rollouts, LNN and MLP (Cranmer et al. 2020)"
    kinds = ("lnn", "mlp", "mlp_least_squares")

    def make(
        self, kind: str, seed: int, quick: bool, directory: Path, progress: PartProgress
    ) -> Result:
        pendulum, coordinates = DoublePendulum.unit(), Coordinates((True, True))
        keys = jax.random.split(jax.random.key(seed), 5)
        rows, updates = (3000, 80) if quick else (6000, 200)
        if kind == "mlp":
            rows, updates = 600_000, 4_000 if quick else 20_000
        sample = eqx.filter_jit(random_motion)
        data, unseen = sample(pendulum, keys[0], rows), sample(pendulum, keys[1], 4000)
        scale = root_mean_square(data.qdd)
        hidden = (128, 128) if kind == "mlp" else (40, 40)
        size: dict[str, Any] = {
            "hidden": hidden,
            "activation": jnp.tanh,
            "velocity_scale": (5.0, 5.0),
        }
        model: AbstractDynamics
        if kind == "lnn":
            lagrangian = LNN(coordinates, key=keys[2], **size)
            model = MechanicalSystem(lagrangian, coordinates, _UNDRIVEN)
        else:
            accelerations = tuple(np.asarray(scale, float).tolist())
            model = NeuralODE(
                coordinates, 0, acceleration_scale=accelerations, key=keys[2], **size
            )
        start = time.perf_counter()
        loss = ForwardLoss(scale)
        model = (
            adam(model, loss, data, updates, 3e-3, progress, key=keys[3])
            if kind == "mlp"
            else least_squares(model, loss, data, updates, progress, key=keys[3])
        )
        seconds = time.perf_counter() - start
        angles = jax.random.uniform(keys[4], (_STARTS, 2), minval=-jnp.pi, maxval=jnp.pi)
        speeds = jax.random.uniform(keys[4], (_STARTS, 2), maxval=0.1)
        starts = State(angles, speeds)
        states = eqx.filter_jit(simulate)(model, starts)
        truth = eqx.filter_jit(simulate)(
            MechanicalSystem(pendulum, coordinates, _UNDRIVEN), starts
        )
        predicted = eqx.filter_jit(
            jax.vmap(lambda row: model.forward_dynamics(row.state.q, row.state.qd, row.action))
        )(unseen)
        discrepancy = eqx.filter_jit(energy_discrepancy)
        return {
            "discrepancy": 100 * np.asarray(discrepancy(pendulum, states)),
            "of_solver": 100 * np.asarray(discrepancy(pendulum, truth)),
            "acceleration_error": np.asarray(jnp.mean(jnp.abs(predicted - unseen.qdd))),
            "seconds": np.asarray(seconds),
            "angle": np.asarray(states.q[0]),
            "true_angle": np.asarray(truth.q[0]),
        }

    def report(self, out: Path, results: Results, quick: bool) -> list[Entry]:
        _plot(out, results)
        note = f"{_STARTS} starts, {_STEPS} steps of {_DT:g} s" + (", --quick" if quick else "")
        entries = []
        for kind, paper in (("lnn", 0.4), ("mlp", 8.0), ("mlp_least_squares", None)):
            percent = results.stacked(kind, "discrepancy").mean(axis=(1, 2))
            entries.append(
                entry(f"energy_discrepancy.{kind}", percent, "%", paper=paper, note=note)
            )
        percent = results.stacked("lnn", "of_solver").mean(axis=(1, 2))
        entries.append(entry("energy_discrepancy.solver", percent, "%", note=note))
        for name, unit in (("acceleration_error", "rad/s^2"), ("seconds", "s")):
            for kind in self.kinds:
                found = results.stacked(kind, name)
                entries.append(entry(f"{name}.{kind}", found, unit, note=note))
        return entries


def _plot(out: Path, results: Results) -> None:
    figure = blank(9.0, 3.8)
    left, right = figure.subplots(1, 2)
    t = _DT * np.arange(_STEPS + 1)
    for kind, label, colour in (
        ("lnn", "LNN", BLUE),
        ("mlp", "MLP, 600,000 states", ORANGE),
        ("mlp_least_squares", "MLP, fitted as the LNN", GREEN),
    ):
        mean = results.stacked(kind, "discrepancy").mean(axis=1)[:, 1:]
        left.fill_between(t[1:], mean.min(0), mean.max(0), color=colour, alpha=0.2, lw=0)
        left.semilogy(t[1:], mean.mean(0), color=colour, label=label)
    solver = results.stacked("lnn", "of_solver").mean(axis=(0, 1))[1:]
    left.semilogy(t[1:], solver, color=GREY, lw=1, ls="--", label="true system, float32")
    left.set_ylim(1e-7, None)  # leave room for the legend
    left.set(
        xlabel="time / s",
        ylabel="energy discrepancy / %",
        title=f"mean of {_STARTS} starts, range of {len(results.parts['lnn'])} seeds",
    )
    angle = lambda kind, name: np.unwrap(results.parts[kind][0][name][:, 0])  # noqa: E731
    right.plot(t, angle("lnn", "true_angle"), color=GREY, lw=3, alpha=0.5, label="truth")
    right.plot(t, angle("lnn", "angle"), color=BLUE, label="LNN")
    right.plot(t, angle("mlp", "angle"), color=ORANGE, lw=1, label="MLP")
    right.set(xlabel="time / s", ylabel="first angle / rad", title="one rollout of seed 0")
    for axes in (left, right):
        finish(axes)
        axes.legend(frameon=False, fontsize="small")
    save(figure, out / "energy.png")
