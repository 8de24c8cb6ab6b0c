"""Known systems: a chain of two links, whose parameters are identified by default."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from lagdyna import FitConfig, UserError
from lagdyna.config import DataConfig
from lagdyna.data import Trajectory, TrajectorySet, write
from lagdyna.identification import (
    FitProblem,
    FitState,
    fit_loop,
    fit_problem,
    initial_state,
)
from lagdyna.identification._parameters import parameter_report
from lagdyna.mechanics import AbstractDissipation, NoDissipation, ViscousDissipation
from lagdyna.parts import KnownConfig
from lagdyna.systems import PlanarChain

LENGTH, CENTRE = (0.2, 0.3), (0.5, 0.4)
VISCOUS = ViscousDissipation(jnp.asarray([0.02, 0.01]))
KINEMATICS = ("gravity", "length", "centre")


def chain(mass: Any, inertia: Any) -> PlanarChain:
    length, centre, *rest = (jnp.asarray(x) for x in (LENGTH, CENTRE, mass, inertia, 9.81))
    return PlanarChain(rest[0], length, centre, rest[1], rest[2])


def driven(friction: AbstractDissipation, noise: float = 0.0, seed: int = 0) -> TrajectorySet:
    """Motions of two sines, with the torques that cause them; noise in the accelerations."""
    rng, t = np.random.default_rng(seed), 0.02 * np.arange(60)
    system = chain([0.5, 0.7], [0.004, 0.006])
    torque = jax.jit(
        jax.vmap(lambda q, v, a: system.inverse_dynamics(q, v, a) - friction(q, v))
    )
    found = []
    for _ in range(4):
        rate, phase = rng.uniform(2, 9, (2, 2, 1)), rng.uniform(0, 6, (2, 2, 1))
        waves = np.stack([np.sin(rate * t + phase), np.cos(rate * t + phase)])
        q = waves[0].sum(0).T
        qd = (rate * waves[1]).sum(0).T
        qdd = -(rate**2 * waves[0]).sum(0).T
        tau = np.asarray(torque(q, qd, qdd), np.float64)
        found.append(Trajectory(t, q, qd, qdd + noise * rng.normal(size=q.shape), tau))
    return TrajectorySet(found)


def free(system: PlanarChain) -> TrajectorySet:
    """Free motions without friction, from rest."""
    accelerate = jax.jit(lambda q, qd: system.forward_dynamics(q, qd, jnp.zeros(2)))
    t, found = 0.02 * np.arange(60), []
    for start in ([0.5, 1.0], [2.0, -1.0], [-1.5, 0.3], [2.8, 0.4]):
        solution = solve_ivp(
            lambda _, x: np.concatenate([x[2:], accelerate(x[:2], x[2:])]),
            (0, t[-1]),
            [*start, 0, 0],
            t_eval=t,
            rtol=1e-6,
            atol=1e-8,
        )
        q, qd = solution.y[:2].T, solution.y[2:].T
        qdd = np.stack([accelerate(*x) for x in zip(q, qd, strict=True)])
        found.append(Trajectory(t, q, qd, np.asarray(qdd, np.float64)))
    return TrajectorySet(found)


class Fitted(NamedTuple):
    problem: FitProblem
    state: FitState
    records: list[dict[str, Any]]
    parameters: dict[str, dict[str, Any]]
    identified: dict[str, Any]
    notes: list[str]


def fitted(
    recordings: TrajectorySet, folder: Path, start: PlanarChain, **options: Any
) -> Fitted:
    write(folder / "data.npz", recordings, overwrite=True)
    data = DataConfig(file=str(folder / "data.npz"), angles="all")
    config = FitConfig(data=data, model=KnownConfig(**{"fixed": KINEMATICS, **options}))
    problem = fit_problem(config, known=start)
    state = initial_state(problem.config, problem.plant)
    state, records = fit_loop(problem, state, [], lambda *_: None)
    lines, identified, notes = parameter_report(problem, state)
    assert identified is not None
    named = {each["name"].rpartition(".")[2]: each for each in lines}
    return Fitted(problem, state, records, named, identified, notes)


def test_a_chain_is_recovered_exactly_in_one_default_fit(tmp_path: Path, x64: None) -> None:
    # The start is off by factors of up to a hundred, from where Adam ended below zero.
    found = fitted(
        driven(VISCOUS), tmp_path, chain([20.0, 0.05], [1e-4, 0.5]), dissipation="viscous"
    )
    assert found.problem.config.learner.name == "levenberg-marquardt"
    assert found.records[-1]["converged"]
    assert found.records[-1]["updates"] < 200
    values = {name: each["fitted"] for name, each in found.parameters.items()}
    np.testing.assert_allclose(values["mass"], [0.5, 0.7], rtol=1e-6)
    np.testing.assert_allclose(values["inertia"], [0.004, 0.006], rtol=1e-6)
    np.testing.assert_allclose(values["viscous"], [0.02, 0.01], rtol=1e-6)
    assert found.notes == []
    for name in ("mass", "inertia", "viscous"):
        for value, (low, high) in zip(
            values[name], found.parameters[name]["interval"], strict=True
        ):
            assert 0.999 * value < low <= value <= high < 1.001 * value
    assert found.parameters["gravity"]["interval"] is None
    assert not found.parameters["gravity"]["learned"]


def test_free_motion_leaves_a_common_factor_which_is_named_and_held(tmp_path: Path) -> None:
    system = chain([0.5, 0.7], [0.008, 0.006])
    found = fitted(free(system), tmp_path, chain([1.0, 1.0], [0.01, 0.01]))
    common, impossible = found.notes
    assert common == (
        "`mass` and `inertia` have a common factor that these data do not tell; it was held at "
        "its start"
    )
    mass, inertia = (np.asarray(found.parameters[x]["fitted"]) for x in ("mass", "inertia"))
    assert found.parameters["mass"]["interval"] == [None, None]
    # The ratios are right, and the geometric mean is that of the start.
    np.testing.assert_allclose(mass[1] / mass[0], 1.4, rtol=1e-3)
    np.testing.assert_allclose(inertia / mass[0], [0.016, 0.012], rtol=3e-3)
    np.testing.assert_allclose(np.prod(mass) * np.prod(inertia), 1e-4, rtol=1e-3)
    # Whatever the factor is, no link of this length has the inertia of the first one.
    assert impossible.startswith("not physical: `inertia[0]` is ")


def test_intervals_of_noisy_data_cover_the_truth(tmp_path: Path) -> None:
    inside = []
    for seed in range(3):
        data = driven(NoDissipation(), 2.0, seed)
        found = fitted(data, tmp_path, chain([0.6, 0.6], [0.01, 0.01])).parameters
        for name, values in (("mass", [0.5, 0.7]), ("inertia", [0.004, 0.006])):
            ends = found[name]["interval"]
            inside += [low <= x <= high for x, (low, high) in zip(values, ends, strict=True)]
    assert np.mean(inside) >= 0.8


def test_a_mass_that_starts_at_zero_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"`lagrangian.mass` starts at \[0.0, 1.0\]") as raised:
        fitted(driven(VISCOUS), tmp_path, chain([0.0, 1.0], [0.01, 0.01]))
    assert "\n" not in str(raised.value)
