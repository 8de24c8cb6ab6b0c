"""Inverse dynamics of a two-link arm, learned from strokes (Lutter et al. 2019)."""

import time
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Scalar

from ..learners import AbstractLoss, Accelerations, InverseLoss, root_mean_square
from ..mechanics import Coordinates, FixedActuation, Forces, MechanicalSystem, State
from ..models import DeLaN, Network, softplus
from ..plot import BLUE, GREY, ORANGE, blank, finish, save, torques
from ..systems import PlanarChain
from ._entries import Entry, entry
from ._learning import adam
from ._reproduction import AbstractReproduction, PartProgress, Result, Results

COORDINATES = Coordinates((True, True))
_TRAINING, _UNSEEN, _ROWS = 20, 10, 200
_SECONDS, _SPEEDS = 2.0, (1.0, 1.25, 1.5, 2.0, 3.0)


class Strokes(NamedTuple):
    """Motions with exact torques, arrays of shape `(strokes, time, 2)`.

    **Attributes:** `q`, `qd`, `qdd`, in rad and s; `tau`, N m, and its `parts`.
    """

    q: Float[Array, "strokes time 2"]
    qd: Float[Array, "strokes time 2"]
    qdd: Float[Array, "strokes time 2"]
    tau: Float[Array, "strokes time 2"]
    parts: Forces


def strokes(arm: PlanarChain, key: PRNGKeyArray, count: int, speed: float = 1.0) -> Strokes:
    """Draw character-like motions of the arm's tip that begin and end at rest.

    The tip follows a random curve in a box 0.8 m wide in front of the arm. The curve has five
    harmonics with falling amplitudes, and its minimum-jerk profile lasts two seconds. Joint
    angles come from the inverse kinematics; derivatives and torques are exact.

    **Arguments:** `arm`, of two links of one metre; `key`, for the curves; `count`, number of
    strokes; `speed`, factor on the speed of the motion.
    """
    harmonics = jnp.arange(1, 6)
    waves = jax.random.normal(key, (count, 2, 2, 5)) / harmonics
    t = jnp.linspace(0, _SECONDS / speed, _ROWS)

    def angles(wave: Array, t: Scalar) -> Array:
        part = t * speed / _SECONDS
        along = part**3 * (10 - 15 * part + 6 * part**2)  # minimum jerk
        phase = jnp.pi * harmonics * along
        curve = wave[0] @ jnp.sin(phase) + wave[1] @ jnp.cos(phase)
        x, z = jnp.asarray([1.1, 0.3]) + 0.4 * jnp.tanh(0.6 * curve)
        return _inverse_kinematics(x, z)

    def motion(wave: Array, t: Scalar) -> tuple[Array, Array, Array]:
        q = lambda time: angles(wave, time)  # noqa: E731
        qd = jax.jacfwd(q)
        return q(t), qd(t), jax.jacfwd(qd)(t)

    q, qd, qdd = jax.vmap(lambda wave: jax.vmap(lambda s: motion(wave, s))(t))(waves)
    parts = jax.vmap(jax.vmap(arm.forces))(q, qd, qdd)
    return Strokes(q, qd, qdd, sum(parts, jnp.zeros_like(q)), parts)


def _inverse_kinematics(x: Scalar, z: Scalar) -> Float[Array, " 2"]:
    """Compute the joint angles, from upright, that bring the tip to `(x, z)`."""
    square = x**2 + z**2
    elbow = jnp.arccos(square / 2 - 1)
    shoulder = jnp.arctan2(x, z) - elbow / 2
    return jnp.stack([shoulder, elbow])


class InverseNetwork(eqx.Module):
    """Baseline: network from `(q, qd, qdd)` to `tau`.

    **Arguments:** `scale`, of velocities, accelerations and torques, shape `(3, 2)`, not
    learned; `key`, for the initial weights.
    """

    network: Network
    scale: tuple[tuple[float, float], ...] = eqx.field(static=True)

    def __init__(self, scale: tuple[tuple[float, float], ...], *, key: PRNGKeyArray):
        size = COORDINATES.embedding_size + 4
        self.network = Network(size, 2, (64, 64), softplus, output_scale=0.1, key=key)
        self.scale = scale

    def inverse_dynamics(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], qdd: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        """Compute the torques, shape `(2,)`."""
        scale = jnp.asarray(self.scale, q.dtype)
        inputs = [COORDINATES.embed(q), qd / scale[0], qdd / scale[1]]
        return scale[2] * self.network(jnp.concatenate(inputs))


class _NetworkLoss(AbstractLoss[InverseNetwork, Accelerations]):
    """Inverse loss of the baseline."""

    scale: Float[Array, " n"]

    def __call__(self, model: InverseNetwork, batch: Accelerations) -> Scalar:
        tau = jax.vmap(model.inverse_dynamics)(batch.state.q, batch.state.qd, batch.qdd)
        return jnp.mean(((tau - batch.action) / self.scale) ** 2)


class Lutter2019Arm(AbstractReproduction):
    """Torque decomposition on unseen strokes, and extrapolation to higher speeds.

    Twenty strokes are learned from and ten are unseen, with 200 samples each. The DeLaN has
    two layers of 64 and is fitted by 40,000 updates of the inverse loss on 512 samples; the
    baseline has as many. The arm is [`lagdyna.systems.PlanarChain.two_link_arm`][].
    """

    name = "lutter2019-arm"
    title = "inverse dynamics of a two-link arm on unseen strokes (Lutter et al. 2019)"
    kinds = ("delan", "mlp")

    def make(
        self, kind: str, seed: int, quick: bool, directory: Path, progress: PartProgress
    ) -> Result:
        updates = 2_000 if quick else 40_000
        arm = PlanarChain.two_link_arm()
        keys = jax.random.split(jax.random.key(seed), 6)
        make = jax.jit(strokes, static_argnums=(2, 3))
        rows = jax.tree.map(lambda x: x.reshape(-1, 2), make(arm, keys[0], _TRAINING, 1.0))
        data = Accelerations(State(rows.q, rows.qd), rows.tau, rows.qdd)
        tests = [make(arm, keys[5], _UNSEEN, speed) for speed in _SPEEDS]
        start = time.perf_counter()
        if kind == "mlp":
            scales = tuple(
                tuple(np.asarray(root_mean_square(x), np.float64).tolist())
                for x in (rows.qd, rows.qdd, rows.tau)
            )
            untrained = InverseNetwork(scales, key=keys[3])
            loss = _NetworkLoss(root_mean_square(rows.tau))
            network = adam(untrained, loss, data, updates, 1e-2, progress, key=keys[4])
            return {"faster": np.asarray([_error(_baseline(network, t), t) for t in tests])}
        motors = FixedActuation(((1.0, 0.0), (0.0, 1.0)))
        untrained = MechanicalSystem(DeLaN(COORDINATES, key=keys[1]), COORDINATES, motors)
        loss = InverseLoss(root_mean_square(rows.tau))
        system = adam(untrained, loss, data, updates, 1e-2, progress, key=keys[2])
        seconds = time.perf_counter() - start
        unseen = tests[0]
        predicted, parts = _predicted(system, unseen)
        power = [jnp.sum(unseen.qd * tau, axis=-1) for tau in (predicted, unseen.tau)]
        errors = {
            "torque_mse": _mse(predicted, unseen.tau),
            "inertial_mse": _mse(parts.inertial, unseen.parts.inertial),
            "coriolis_mse": _mse(parts.coriolis, unseen.parts.coriolis),
            "gravitational_mse": _mse(parts.conservative, unseen.parts.conservative),
            "power_mse": _mse(*power),
            "seconds": seconds,
        }
        return {
            **{name: np.asarray(value) for name, value in errors.items()},
            "faster": np.asarray([_error(_predicted(system, t)[0], t) for t in tests]),
            "shown_tau": np.asarray(unseen.tau[0]),
            "shown_predicted": np.asarray(predicted[0]),
            "shown_parts": np.stack([np.asarray(part[0]) for part in parts]),
        }

    def report(self, out: Path, results: Results, quick: bool) -> list[Entry]:
        _plot(out, results)
        paper = {
            "torque_mse": 4.3e-4,
            "inertial_mse": 7.3e-4,
            "coriolis_mse": 2.2e-4,
            "gravitational_mse": 7.3e-4,
            "power_mse": 4.5e-5,
            "seconds": None,
        }
        units = {"power_mse": "W^2", "seconds": "s"}
        note = "another arm and other strokes than the paper's" + (", --quick" if quick else "")
        entries = []
        for name, figure in paper.items():
            values, unit = results.stacked("delan", name), units.get(name, "(N m)^2")
            entries.append(entry(name, values, unit, paper=figure, note=note))
        for i, speed in enumerate(_SPEEDS):
            for kind in self.kinds:
                values = results.stacked(kind, "faster")[:, i]
                name = f"normalised_mse.{kind}.speed_{speed:g}"
                entries.append(entry(name, values, "", note=note))
        return entries


@eqx.filter_jit
def _predicted(system: MechanicalSystem, test: Strokes) -> tuple[Array, Forces]:
    over = lambda f: jax.vmap(jax.vmap(f))(test.q, test.qd, test.qdd)  # noqa: E731
    return over(system.inverse_dynamics), over(system.lagrangian.forces)


@eqx.filter_jit
def _baseline(model: InverseNetwork, test: Strokes) -> Array:
    return jax.vmap(jax.vmap(model.inverse_dynamics))(test.q, test.qd, test.qdd)


def _mse(a: Array, b: Array) -> float:
    return float(jnp.mean((a - b) ** 2))


def _error(tau: Array, test: Strokes) -> float:
    """Compute the mean squared error of the torques over their variance."""
    variance = float(jnp.mean((test.tau - jnp.mean(test.tau, axis=(0, 1))) ** 2))
    return _mse(tau, test.tau) / variance


def _plot(out: Path, results: Results) -> None:
    t = np.linspace(0, _SECONDS, _ROWS)
    first = results.parts["delan"][0]
    shown = (first["shown_tau"], first["shown_predicted"], Forces(*first["shown_parts"]))
    save(torques(t, *shown, title="delan: forces along an unseen stroke"), out / "torque.png")
    figure = blank(6.4, 4.0)
    axes = figure.subplots()
    for model, colour in (("delan", BLUE), ("mlp", ORANGE)):
        values = results.stacked(model, "faster")
        axes.fill_between(_SPEEDS, values.min(0), values.max(0), color=colour, alpha=0.2, lw=0)
        axes.semilogy(_SPEEDS, values.mean(0), "o-", color=colour, label=model)
    axes.axvline(1.0, color=GREY, lw=1, ls="--", label="speed of the training data")
    axes.set(
        xlabel="speed of unseen strokes, times that of the training data",
        ylabel="torque MSE / variance",
        title=f"extrapolation, mean and range of {len(values)} seeds",
    )
    figure.legend(frameon=False, ncols=3, loc="outside lower center")
    finish(axes)
    save(figure, out / "extrapolation.png")
