import functools
import json
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest

from lagdyna.parts import LEARNERS, AdamConfig, BlockEKFConfig, FilterConfig, LearnerConfig
from lagdyna.reproductions import REPRODUCTIONS, Result, reproduce
from lagdyna.reproductions.das2026_learning_curves._problem import (
    Problem,
    episodes,
    make_task,
    prepare,
)
from lagdyna.reproductions.das2026_learning_curves._reproduction import to_adam_error
from lagdyna.reproductions.das2026_learning_curves._training import (
    checkpoints,
    first_below,
    train,
)


@functools.cache
def pendulum_problem(seed: int) -> Problem:
    """Prepare the task whose equations of motion compile fastest, for a small network."""
    return prepare(make_task("pendulum"), seed, (4,))


def energy_of(task: str, q: np.ndarray, qd: np.ndarray) -> np.ndarray:
    """Kinetic and potential energy from the positions and velocities of centres of mass."""
    if task == "pendulum":
        return 0.5 * qd[:, 0] ** 2 + 9.8 * np.cos(q[:, 0])
    cart = task == "cart2pole"
    theta, omega = np.cumsum(q[:, cart:], axis=1), np.cumsum(qd[:, cart:], axis=1)
    x = np.stack([np.sin(theta), np.cos(theta)], -1)  # along each rod, of 1 m
    v = omega[..., None] * np.stack([np.cos(theta), -np.sin(theta)], -1)
    base = np.stack([qd[:, 0], 0 * qd[:, 0]], -1) if cart else np.zeros((len(q), 2))
    velocities = base + v[:, 0] / 2, base + v[:, 0] + v[:, 1] / 2
    heights = x[:, 0, 1] / 2, x[:, 0, 1] + x[:, 1, 1] / 2
    energy = 0.5 * qd[:, 0] ** 2 if cart else np.zeros(len(q))
    for i in range(2):
        energy += 0.05 * np.sum(velocities[i] ** 2, -1) + 0.1 * 9.8 * heights[i]
        energy += 0.5 * (0.1 / 12) * omega[:, i] ** 2
    return energy


@pytest.mark.parametrize(
    ("name", "n", "actuated", "scale", "dt"),
    [
        ("pendulum", 1, 0, 2.0, 0.02),
        ("acrobot", 2, 1, 1.75, 0.01),
        ("cart2pole", 3, 0, 10.0, 0.01),
    ],
)
def test_the_energy_grows_by_the_work_of_the_actuator(
    x64: None, name: str, n: int, actuated: int, scale: float, dt: float
) -> None:
    task = make_task(name)
    data = jax.jit(lambda key: episodes(task, key, 2))(jax.random.key(0))
    assert task.dt == dt
    assert data.state.q.shape == data.next_state.qd.shape == (400, n)
    assert data.action.shape == (400, 1)
    assert 0.9 < np.abs(data.action).max() <= 1
    assert len(np.unique(data.action)) == 2 * 200 // task.hold  # each is held
    (q, qd), (after, qd_after) = (map(np.asarray, s) for s in (data.state, data.next_state))
    angles = np.asarray(task.system.coordinates.angles)
    # The force is constant within a step, so its work is force times displacement.
    moved = (after - q)[:, actuated]
    if angles[actuated]:
        moved = np.angle(np.exp(1j * moved))
    work = scale * np.asarray(data.action)[:, 0] * moved
    gained = energy_of(name, after, qd_after) - energy_of(name, q, qd)
    assert np.abs(work).max() > 1e-3
    np.testing.assert_allclose(gained, work, atol=1e-5 * np.abs(work).max())
    # Each episode starts at rest, close to hanging.
    first = np.all(qd == 0, axis=1)
    off = q[first] - np.asarray(task.hanging)
    off = np.where(angles, np.angle(np.exp(1j * off)), off)
    assert first.sum() == 2
    assert 0 < np.abs(off).max() < 0.05


def test_training_and_unseen_episodes_differ() -> None:
    problem = pendulum_problem(0)
    assert len(problem.data.action) == 1600
    assert len(problem.unseen.action) == 1000
    assert not np.isin(np.asarray(problem.unseen.action), np.asarray(problem.data.action)).any()
    other = pendulum_problem(1)
    assert not np.isin(np.asarray(other.data.action), np.asarray(problem.data.action)).any()


def test_the_effort_is_counted_until_adam_s_last_error() -> None:
    at, error = np.asarray([1, 2, 4, 8]), np.asarray([0.5, 0.1, 0.3, 0.1])
    assert first_below(at, error, 0.2) == 2
    assert first_below(at, error, 0.1) == 2
    assert first_below(at, error, 0.6) == 1
    assert np.isnan(first_below(at, error, 0.05))
    assert np.isnan(first_below(at, np.full(4, np.nan), 0.05))
    adam: Result = {
        "updates": np.asarray([1, 100]),
        "seconds": np.asarray([0.1, 4.0]),
        "error": np.asarray([0.01, 0.2]),  # the last counts, not the best
    }
    found: Result = {"updates": at, "seconds": 0.5 * at, "error": error}
    never = {**found, "error": error + 1}
    assert to_adam_error("updates", [found], [adam]) == [0.02]
    assert to_adam_error("seconds", [found], [adam]) == [0.25]
    some = to_adam_error("updates", [found, never], [adam, adam])
    assert some[0] == 0.02
    assert np.isnan(some[1])


def test_every_filter_is_compared_on_every_task() -> None:
    kinds = REPRODUCTIONS["das2026-learning-curves"].kinds
    filters = [
        name for name, kind in LEARNERS.variants.items() if issubclass(kind, FilterConfig)
    ]
    learners = {"adam", *filters} - {"auto"}  # stands for one of the others
    tasks = ("pendulum", "acrobot", "cart2pole")
    assert set(kinds) == {f"{learner}.{task}" for learner in learners for task in tasks}
    assert len(kinds) == len(set(kinds))


def test_evaluations_end_with_the_last_update() -> None:
    for updates in (1, 7, 300, 10_000):
        at = checkpoints(updates)
        assert at[0] == 1
        assert at[-1] == updates
        assert np.all(np.diff(at) > 0)


@pytest.mark.parametrize(
    "config",
    [AdamConfig(updates=60, batch=8, rate=1e-2), BlockEKFConfig(updates=60, batch=8)],
    ids=["adam", "ekf-block"],
)
def test_all_seeds_and_sizes_share_one_program(
    config: LearnerConfig, compilations: Callable[[], int]
) -> None:
    curve = train(config, pendulum_problem(0), 1600)
    assert curve.updates.shape == curve.error.shape == curve.seconds.shape
    assert curve.updates[-1] == 60
    assert curve.error[-1] < curve.error[0]
    assert np.all(np.diff(curve.seconds) > 0)
    other = pendulum_problem(1)
    before = compilations()
    again = train(config, other, 100)
    assert compilations() == before
    assert not np.array_equal(again.error, curve.error)


@pytest.mark.slow
def test_a_filter_needs_far_fewer_updates_than_adam(tmp_path: Path) -> None:
    curves = REPRODUCTIONS["das2026-learning-curves"]
    assert curves.seeds == 5
    entries = reproduce(curves, tmp_path / "out", seeds=1, quick=True)
    found = {each.name: each for each in entries}
    for task in ("pendulum", "acrobot", "cart2pole"):
        error = found[f"error.adam.{task}"].ours
        assert error is not None
        assert error < 0.3
        assert f"seconds_to_adam_error.ekf.{task}" in found
    ratio = found["updates_to_adam_error.ekf.pendulum"].ours
    assert ratio is not None
    assert ratio < 0.1
    assert (tmp_path / "out" / "learning_curves.png").exists()
    written = (tmp_path / "out" / "results.json").read_text()
    assert len(json.loads(written, parse_constant=pytest.fail)) == len(entries)
