"""Fits do not depend on the units of mass, length and time."""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna.config import DataConfig, FitConfig, fit_config
from lagdyna.identification import fit_problem, initial_state
from lagdyna.identification._relative import relative_errors, warnings_of
from lagdyna.identification._state import (
    parametrisation,
    partition_learned,
)
from lagdyna.learners import FrozenLoss, received
from lagdyna.mechanics import (
    AbstractRigidBody,
    Coordinates,
    FixedActuation,
    MechanicalSystem,
    State,
    Units,
    ViscousDissipation,
    scaled_system,
    unscaled_system,
)
from lagdyna.parts import AdamConfig, DeLaNConfig
from lagdyna.runs import fit_model
from lagdyna.simulate import LagrangianField, LearnedModel, ScaledTransition, SolvedTransition

pytestmark = pytest.mark.usefixtures("no_pictures")

SCALE = (1e-4, 1e4, 1e-3)


class SpringAndPendulum(AbstractRigidBody):
    """A mass on a spring and a pendulum, as coordinates of one system."""

    mass: jax.Array
    inertia: jax.Array
    stiffness: jax.Array
    moment: jax.Array

    def mass_factor(self, q: jax.Array) -> jax.Array:
        return jnp.diag(jnp.sqrt(jnp.stack([self.mass, self.inertia])))

    def potential_energy(self, q: jax.Array) -> jax.Array:
        return 0.5 * self.stiffness * q[0] ** 2 - self.moment * jnp.cos(q[1])


def system(mass: float, length: float, time: float) -> SpringAndPendulum:
    """The same system in other sizes."""
    energy = mass * length**2 / time**2
    return SpringAndPendulum(
        jnp.asarray(1.5 * mass),
        jnp.asarray(0.3 * mass * length**2),
        jnp.asarray(20.0 * energy / length**2),
        jnp.asarray(3.0 * energy),
    )


def recording(path: Path, mass: float, length: float, time: float) -> Path:
    """Write two trajectories of a linear coordinate and an angle, in other units."""
    t = 0.02 * np.arange(24)
    rows = []
    for k in range(2):
        phase = np.array([1.0, 2.0]) + k
        w = np.array([5.0, 3.0])
        a = np.array([0.3, 1.2])
        q = a * np.sin(w * t[:, None] + phase)
        qd, qdd = a * w * np.cos(w * t[:, None] + phase), -(w**2) * q
        force = np.array([1.5, 0.3]) * qdd + np.array([20.0, 3.0]) * np.stack(
            [q[:, 0], np.sin(q[:, 1])], axis=1
        )
        unit = np.array([length, 1.0])
        energy = mass * length**2 / time**2
        columns = (q * unit, qd * unit / time, qdd * unit / time**2, force * energy / unit)
        for i in range(len(t)):
            values = (float(x) for column in columns for x in column[i])
            rows.append(",".join(map(repr, (k, float(time * t[i]), *values))))
    names = [f"{name}{i}" for name in ("q", "qd", "qdd", "tau") for i in (0, 1)]
    path.write_text("\n".join([",".join(["trajectory", "t", *names]), *rows]) + "\n")
    return path


def loss_of(path: Path, scale: tuple[float, float, float], model: str, loss: str) -> np.ndarray:
    """Compute the loss at the initial weights, and at others near by.

    The same function of the weights has the same gradient, so all learners do the same.
    """
    options: dict[str, Any] = {} if model in ("known", "residual") else {"hidden": [4]}
    if model == "residual":
        options = {"hidden": [4], "learn_known": True}
    known = system(*scale) if model in ("known", "residual", "constrained-mlp") else None
    table = {
        "data": {"file": str(recording(path, *scale)), "angles": [1], "validation": 0.5},
        "model": {"name": model, **options},
        "loss": loss,
        "learner": {"updates": 1},
    }
    if model in ("delan", "lnn", "hnn", "structured-hnn", "known"):
        table["model"]["dissipation"] = "both"  # pyright: ignore[reportIndexIssue]
    problem = fit_problem(fit_config(table), known=known)
    state = initial_state(problem.config, problem.plant)
    free, frozen = partition_learned(problem.config, state.transition)
    coordinates = parametrisation(problem.config, problem.plant)
    free = received(free, coordinates)
    whole = FrozenLoss(problem.loss, frozen, coordinates)
    arrays, rest = eqx.partition(free, eqx.is_inexact_array)
    rng = np.random.default_rng(0)
    other = jax.tree.map(
        lambda x: jnp.asarray(np.asarray(x) + 0.1 * rng.normal(size=x.shape)), arrays
    )
    compiled = eqx.filter_jit(whole)
    return np.array(
        [compiled(eqx.combine(each, rest), problem.training) for each in (arrays, other)]
    )


@pytest.mark.parametrize(
    ("model", "loss"),
    [
        ("delan", "forward"),
        ("delan", "inverse"),
        ("delan", "one-step"),
        ("lnn", "forward"),
        ("hnn", "one-step"),
        ("structured-hnn", "one-step"),
        ("neural-ode", "forward"),
        ("mlp", "one-step"),
        ("constrained-mlp", "one-step"),
        ("known", "one-step"),
        ("residual", "one-step"),
    ],
)
def test_the_loss_does_not_depend_on_units(model, loss, tmp_path, x64):
    expected = loss_of(tmp_path / "si.csv", (1.0, 1.0, 1.0), model, loss)
    assert abs(expected[0] - expected[1]) > 1e-3 * expected[1]
    found = loss_of(tmp_path / "other.csv", SCALE, model, loss)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.slow
def test_a_fit_in_other_units_has_the_same_relative_errors(tmp_path):
    found = []
    for i, each in enumerate([(1.0, 1.0, 1.0), (1e-4, 1e-4, 1e-4)]):
        file = recording(tmp_path / f"{i}.csv", *each)
        config = FitConfig(
            data=DataConfig(file=str(file), angles=(1,), validation=0.5),
            model=DeLaNConfig(hidden=(8,), dissipation="viscous"),
            learner=AdamConfig(updates=40, batch=16),
        )
        report = fit_model(config, tmp_path / f"run{i}")
        found.append(report["validation"]["relative"])
    for name, errors in found[0].items():
        np.testing.assert_allclose(found[1][name], errors, rtol=0.1)


def test_units_convert_states_and_back(x64):
    units = Units(0.1, 3.0, (0.2, 1.0), (5.0, 0.0), (2.0,))
    state = State(jnp.array([5.3, 0.4, 7.0]), jnp.array([1.0, -2.0, 0.0]))
    natural = units.natural(state)
    np.testing.assert_allclose(natural.q, [1.5, 0.4, 7.0])
    np.testing.assert_allclose(natural.qd, [0.5, -0.2, 0.0])
    for there, back in ((units.si(natural), state), (units.inverse().natural(state), None)):
        if back is not None:
            np.testing.assert_allclose(there.q, back.q)
            np.testing.assert_allclose(there.qd, back.qd)
    np.testing.assert_allclose(units.inverse().natural(natural).q, state.q)


def test_a_scaled_system_is_the_system_in_si_units(x64):
    """Every quantity of a system in natural units, converted, is that of the SI system."""
    inner = system(1.0, 1.0, 1.0)
    friction = ViscousDissipation(jnp.array([0.3, 0.2]))
    coordinates = Coordinates((False, True))
    natural = MechanicalSystem(
        inner, coordinates, FixedActuation(((1.0, 0.0), (0.5, 1.0))), friction
    )
    units = Units(2.0, 3.0, (0.5, 1.0), (0.1, 0.0), (4.0, 5.0))
    si = scaled_system(natural, units)
    dt = 0.01
    plain = SolvedTransition(LagrangianField(si), coordinates, dt, solver="dopri8")
    scaled = ScaledTransition(
        SolvedTransition(LagrangianField(natural), coordinates, dt / 2.0, solver="dopri8"),
        units,
    )

    @jax.jit
    def quantities(q, qd, action):
        lagrangian, model = si.lagrangian, LearnedModel(scaled)
        qdd = si.forward_dynamics(q, qd, action)
        # The Lagrangian itself gives every other quantity.
        momentum = jax.grad(lagrangian, argnums=1)(q, qd)
        mass = jax.hessian(lagrangian, argnums=1)(q, qd)
        energy = momentum @ qd - lagrangian(q, qd)
        found_and_expected = {
            "force": (si.inverse_dynamics(q, qd, qdd), si.actuation(q, action)),
            "momentum": (lagrangian.momentum(q, qd), momentum),
            "mass": (lagrangian.mass_matrix(q, qd), mass),
            "energy": (lagrangian.energy(q, qd), energy),
            "terms": (
                sum(lagrangian.forces(q, qd, qdd)),
                lagrangian.inverse_dynamics(q, qd, qdd),
            ),
            "energy of the model": (model.energy(q, qd), energy),
            "acceleration of the model": (model.forward_dynamics(q, qd, action), qdd),
            "mass of the model": (model.mass_matrix(q, qd), mass),
        }
        # A transition in natural units takes steps of the system in SI units.
        steps = (each.step(State(q, qd), action) for each in (scaled, plain))
        return found_and_expected, tuple(steps)

    motion = (np.array([0.4, 0.7]), np.array([0.2, -0.5]), np.array([1.0, -2.0]))
    found_and_expected, (found, expected) = quantities(*motion)
    for name, pair in found_and_expected.items():
        np.testing.assert_allclose(*pair, rtol=1e-10, err_msg=name)
    np.testing.assert_allclose(found.q, expected.q, rtol=1e-9)
    np.testing.assert_allclose(found.qd, expected.qd, rtol=1e-9)
    assert unscaled_system(si).lagrangian is inner


def part(error: float) -> dict[str, Any]:
    """A part of a report of two coordinates, of which the second does not move."""
    return {
        "one_step": {"q": [error, 0.0], "qd": [error, 0.0]},
        "acceleration": [2 * error, 0.0],
        "torque": None,
        "rollout": {"q": [[error, 0.0]], "qd": [[None, 0.0]]},
        "variation": {
            "step_q": [2.0, 0.0],
            "step_qd": [4.0, 0.0],
            "q": [8.0, 0.0],
            "qd": [1.0, 0.0],
            "qdd": [2.0, 0.0],
            "tau": None,
        },
    }


def test_errors_stand_beside_the_variation_of_the_data():
    relative = relative_errors(part(1.0))
    assert relative == {
        "one_step_q": [0.5, None],
        "one_step_qd": [0.25, None],
        "acceleration": [1.0, None],
        "torque": None,
        "rollout_q": [0.125, None],
        "rollout_qd": [None, None],
    }
    report = {"validation": {"relative": relative}, "loss_training": 1.0}
    (poor,) = warnings_of({**report, "loss_validation": 2.0})
    assert "error of qdd of coordinate 0 is 100 % of its variation" in poor
    far = {"validation": {"relative": relative_errors(part(25.0))}, "loss_training": 0.0}
    assert (
        "coordinate 0 is 12 times its change" in warnings_of({**far, "loss_validation": 1})[0]
    )
    notes = warnings_of({**report, "loss_validation": 20.0})
    assert "20 times that on training data" in notes[1]
    good = {"validation": {"relative": relative_errors(part(0.5))}}
    assert warnings_of({**good, "loss_training": 1.0, "loss_validation": 2.0}) == []
