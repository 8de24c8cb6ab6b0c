"""Exported updates of filters, which go on learning in a control loop."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna import UserError
from lagdyna.data import Trajectory, TrajectorySet, write
from lagdyna.export import export
from lagdyna.identification import online_update
from lagdyna.parts import AdamConfig, DeLaNConfig, EKFConfig
from lagdyna.runs import load_fit, load_problem
from lagdyna.runtime import load_contract, load_initial, load_program

from ..identification.small import fit_without_report, small

TINY = DeLaNConfig(hidden=(4,))
MASS, LENGTH, GRAVITY = 0.8, 0.6, 9.81


def torque(q: np.ndarray, qdd: np.ndarray, payload: float = 0.0) -> np.ndarray:
    """Torque of a point mass on a rod; the angle is from the upward position."""
    mass = MASS + payload
    return mass * LENGTH**2 * qdd - mass * GRAVITY * LENGTH * np.sin(q)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fit by a filter, with the inverse loss."""
    out = tmp_path_factory.mktemp("filter")
    t = np.arange(0.0, 4.0, 0.02)
    trajectories = []
    for rate in (0.9, 1.3, 2.0, 2.6):
        q = 1.5 * np.sin(rate * t)[:, None]
        qd, qdd = 1.5 * rate * np.cos(rate * t)[:, None], -(rate**2) * q
        trajectories.append(Trajectory(t, q, qd, qdd, torque(q, qdd)))
    write(out / "swings.npz", TrajectorySet(trajectories))
    learner = EKFConfig(updates=60, batch=16)
    config = small(out / "swings.npz", model=TINY, learner=learner, loss="inverse")
    fit_without_report(config, out / "run")
    return out / "run"


def test_an_exported_filter_learns_a_payload(run: Path, tmp_path: Path) -> None:
    out, contract = export(run, "filter-update", "stablehlo", tmp_path / "out")
    assert contract.check is not None
    assert contract.check.largest_difference < 1e-5
    assert [port.name for port in contract.inputs] == [
        *("weights", "belief", "scalars"),
        *("q", "qd", "qdd", "action"),
    ]
    _, update = load_program(out)
    state, model = load_initial(out), load_fit(run).model
    errors, unadapted = [], []
    for q in np.linspace(-1.5, 1.5, 40):
        row = [np.asarray([x], np.float32) for x in (q, 0.4, 1.0)]
        measured = torque(row[0], row[2], payload=0.4).astype(np.float32)
        fixed = model.inverse_dynamics(*map(jnp.asarray, row))
        unadapted.append(abs(float(fixed[0] - measured[0])))
        if not errors:
            before = update(*state, *row, np.full(1, np.nan, np.float32))
            # Without a measured force there is a prediction, that of the fit, and no learning.
            np.testing.assert_allclose(before[3], fixed, rtol=1e-4, atol=1e-5)
            np.testing.assert_array_equal(before[0], state[0])
        *state, predicted, loss = update(*state, *row, measured)
        errors.append(abs(float(predicted[0] - measured[0])))
        assert np.isfinite(loss)
    assert np.mean(errors[-10:]) < 0.2 * np.mean(unadapted[-10:])
    rows = [[0.5], [0.4], [1.0], [2.0]]
    np.testing.assert_array_equal(
        update(*state, *rows)[3], update(*state, *map(np.array, rows))[3]
    )
    for wrong in (rows[:3], [*rows, [1.0]], [*rows[:3], [1.0, 2.0]]):
        with pytest.raises(
            ValueError, match=r"this program takes weights .*, qdd \[1\], action"
        ):
            update(*state, *wrong)


def test_a_measurement_lowers_its_own_error(run: Path) -> None:
    problem, state = load_problem(run)
    update = online_update(problem, state)
    function = jax.jit(update.function)
    row = [jnp.asarray([x]) for x in (0.7, -0.3, 1.1)]
    force = jnp.asarray(torque(np.asarray(row[0]), np.asarray(row[2]), payload=0.3))
    *after, predicted, loss = function(*update.initial, *row, force)
    *_, again, smaller = function(*after, *row, force)
    assert abs(float(again[0] - force[0])) < abs(float(predicted[0] - force[0]))
    assert float(smaller[0]) < float(loss[0])
    assert float(after[2][2]) == float(update.initial[2][2]) + 1  # the number of updates


def test_what_has_no_filter_is_refused(run: Path, tmp_path: Path, whole: Path) -> None:
    problem, state = load_problem(run)
    other = dataclasses.replace(problem.config, learner=AdamConfig(updates=1, batch=1))
    with pytest.raises(UserError, match="the learner of the fit is 'adam', no filter"):
        online_update(problem._replace(config=other), state)
    with pytest.raises(UserError, match="windows of steps"):
        online_update(problem._replace(training=(jnp.zeros(3), jnp.zeros(3))), state)
    with pytest.raises(UserError, match="holds no fit; a fit by a filter"):
        export(whole, "filter-update", "stablehlo", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_damaged_initial_values_are_refused(run: Path, tmp_path: Path) -> None:
    out, contract = export(run, "filter-update", "stablehlo", tmp_path / "out")
    file = out / contract.initial
    file.write_bytes(file.read_bytes()[:-40] + bytes(40))
    for load in (load_program, load_initial):
        with pytest.raises(UserError, match="is damaged"):
            load(out)
    file.unlink()
    with pytest.raises(UserError, match="does not exist; export the program again"):
        load_initial(out)
    assert load_contract(out).initial == "filter-update.initial.npz"
