"""Relativistic particle in a uniform potential (Cranmer et al. 2020, figure 3)."""

import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..data import Experience
from ..learners import OneStepLoss, step_scale
from ..mechanics import (
    FixedActuation,
    GivenMomentum,
    LearnedActuation,
    MechanicalSystem,
    State,
    VelocityMomentum,
)
from ..models import HNN, LNN
from ..plot import BLUE, GREEN, GREY, ORANGE, blank, finish, save
from ..simulate import (
    AbstractTransition,
    HamiltonianField,
    LagrangianField,
    SolvedTransition,
    rollout,
)
from ..systems import RelativisticParticle
from ._entries import Entry, entry
from ._learning import least_squares
from ._reproduction import AbstractReproduction, PartProgress, Result, Results

_DT, _STEPS, _STARTS, _SHOWN = 0.02, 50, 40, 3
_FORCE, _SPEED = 4.0, 0.99
_HIDDEN = (24, 24)
CANONICAL = GivenMomentum(
    lambda q, qd: qd / jnp.sqrt(1 - qd**2), lambda q, p: p / jnp.sqrt(1 + p**2)
)


def true_transition() -> AbstractTransition:
    """Create the transition of a particle of mass 1 with `c = 1`; its action is the force."""
    particle = RelativisticParticle(force=jnp.zeros(1))
    system = MechanicalSystem(particle, particle.coordinates, FixedActuation(((1.0,),)))
    return SolvedTransition(
        LagrangianField(system), particle.coordinates, _DT, solver="tsit5", substeps=4
    )


def random_steps(key: PRNGKeyArray, count: int, speed: float = _SPEED) -> Experience:
    """Draw steps from positions within 1 and velocities within `speed`, forces within 4."""
    keys = jax.random.split(key, 3)
    draw = lambda key, bound: jax.random.uniform(  # noqa: E731
        key, (count, 1), minval=-bound, maxval=bound
    )
    state = State(draw(keys[0], 1.0), draw(keys[1], speed))
    g = draw(keys[2], _FORCE)
    following = jax.vmap(true_transition().step)(state, g)
    nothing = jnp.zeros(count)
    return Experience(state, g, nothing, following, nothing.astype(bool))


def rolled_out(
    transition: AbstractTransition, start: State, g: Float[Array, "starts 1"]
) -> Float[Array, "starts time"]:
    """Compute the velocities of one second under a constant force `g`."""
    actions = jnp.repeat(g[:, None], _STEPS, axis=1)
    return jax.vmap(lambda s, a: rollout(transition, s, a).qd)(start, actions)[..., 0]


class Cranmer2020RelativisticParticle(AbstractReproduction):
    """LNN from `(q, qd)`, and HNNs with and without canonical momenta.

    All have two layers of 24 (tanh). They are fitted to 4000 single steps from random states
    under random forces by 200 Levenberg-Marquardt updates of the one-step loss. The actuation
    is learned too. The kinetic energy is that of special relativity, unlike the paper's
    formula; see [`lagdyna.systems.RelativisticParticle`][].
    """

    name = "cranmer2020-relativistic-particle"
    title = "a relativistic particle, LNN and HNN, by canonical momenta or not (Cranmer 2020)"
    kinds = ("lnn", "hnn_canonical", "hnn_noncanonical")

    def make(
        self, kind: str, seed: int, quick: bool, directory: Path, progress: PartProgress
    ) -> Result:
        coordinates = RelativisticParticle(force=jnp.zeros(1)).coordinates
        keys = jax.random.split(jax.random.key(seed), 4)
        rows, updates = (1000, 40) if quick else (4000, 200)
        data = jax.jit(random_steps, static_argnums=1)(keys[0], rows)
        # From velocities within 0.9 a force of 4 leads to 0.99 at most in one second.
        unseen = jax.jit(random_steps, static_argnums=(1, 2))(keys[1], _STARTS, 0.9)
        actuation = LearnedActuation(jnp.ones((1, 1)))
        size: dict[str, Any] = {"hidden": _HIDDEN, "activation": jnp.tanh, "key": keys[2]}
        if kind == "lnn":
            system = MechanicalSystem(LNN(coordinates, **size), coordinates, actuation)
            field = LagrangianField(system)
        else:
            momenta = CANONICAL if kind == "hnn_canonical" else VelocityMomentum()
            hamiltonian = HNN(coordinates, momentum_map=momenta, **size)
            field = HamiltonianField(hamiltonian, actuation)
        model = SolvedTransition(field, coordinates, _DT, solver="bosh3")
        loss = OneStepLoss(step_scale(data, coordinates))
        start = time.perf_counter()
        model = least_squares(model, loss, data, updates, progress, key=keys[3])
        seconds = time.perf_counter() - start
        velocities, truth = (
            np.asarray(eqx.filter_jit(rolled_out)(each, unseen.state, unseen.action))
            for each in (model, true_transition())
        )
        return {
            "rollout_error": np.asarray(np.sqrt(np.mean((velocities - truth) ** 2))),
            "seconds": np.asarray(seconds),
            "velocity": velocities[:_SHOWN],
            "true_velocity": truth[:_SHOWN],
        }

    def report(self, out: Path, results: Results, quick: bool) -> list[Entry]:
        _plot(out, results)
        note = f"{_STARTS} starts, {_STEPS * _DT:g} s" + (", --quick" if quick else "")
        return [
            entry(f"{name}.{kind}", results.stacked(kind, name), unit, note=note)
            for name, unit in (("rollout_error", "c"), ("seconds", "s"))
            for kind in self.kinds
        ]


def _plot(out: Path, results: Results) -> None:
    figure = blank(9.6, 3.6)
    t = _DT * np.arange(_STEPS + 1)
    titles = {
        "lnn": ("LNN from (q, qd)", BLUE),
        "hnn_canonical": ("HNN from (q, p)", GREEN),
        "hnn_noncanonical": ("HNN from (q, qd)", ORANGE),
    }
    panels = figure.subplots(1, 3, sharey=True)
    for axes, (kind, (title, colour)) in zip(panels, titles.items(), strict=True):
        shown = results.parts[kind][0]
        for i in range(_SHOWN):
            truth, learned = ("truth", "learned") if i == 0 else (None, None)
            axes.plot(t, shown["true_velocity"][i], color=GREY, lw=4, alpha=0.5, label=truth)
            axes.plot(t, shown["velocity"][i], color=colour, label=learned)
        error = results.stacked(kind, "rollout_error").mean()
        axes.set(xlabel="time", title=f"{title}\nerror {error:.2g} c")
        axes.set_ylim(-1.15, 1.15)
        finish(axes)
        axes.legend(frameon=False, fontsize="small")
    panels[0].set_ylabel("velocity / c")
    save(figure, out / "velocity.png")
