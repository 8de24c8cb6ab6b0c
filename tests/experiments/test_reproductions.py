"""Experiments of papers: their data are what they say, their results are written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna import State
from lagdyna.experiments import (
    REPRODUCTIONS,
    AbstractReproduction,
    Entry,
    UserError,
    reproduce,
    resume_reproduction,
)
from lagdyna.experiments._config import FilterName
from lagdyna.experiments.reproductions._cranmer2020_double_pendulum import (
    energy_discrepancy,
    random_motion,
)
from lagdyna.experiments.reproductions._cranmer2020_relativistic_particle import (
    CANONICAL,
    random_steps,
)
from lagdyna.experiments.reproductions._das2026_learning_curves import (
    Training,
    checkpoints,
    episodes,
    make_task,
    needed,
    prepare,
    to_adam_error,
    train,
)
from lagdyna.experiments.reproductions._lutter2019_arm import strokes
from lagdyna.experiments.reproductions._reproduction import Result, Results, entry
from lagdyna.systems import DoublePendulum, PlanarChain


def test_strokes_are_exact_motions_of_the_arm(x64: None) -> None:
    made = strokes(PlanarChain.two_link_arm(), jax.random.key(0), 3)
    t = np.linspace(0, 2.0, 200)
    q, qd, qdd = (np.asarray(x) for x in (made.q, made.qd, made.qdd))
    # Derivatives, by differences of fourth order.
    for x, xd in ((q, qd), (qd, qdd)):
        slope = (x[:, :-4] - 8 * x[:, 1:-3] + 8 * x[:, 3:-1] - x[:, 4:]) / (12 * (t[1] - t[0]))
        np.testing.assert_allclose(xd[:, 2:-2], slope, atol=1e-3 * np.abs(xd).max())
    np.testing.assert_allclose(qd[:, [0, -1]], 0, atol=1e-12)
    # The tip stays in its box before the arm.
    theta = np.cumsum(q, axis=-1)
    x, z = np.sin(theta).sum(-1), np.cos(theta).sum(-1)
    assert np.all((np.abs(x - 1.1) <= 0.4) & (np.abs(z - 0.3) <= 0.4))
    # Torques, from the textbook's equations of two rods, angles from upright.
    c, s, w1, w2 = np.cos(q[..., 1]), np.sin(q[..., 1]), qd[..., 0], qd[..., 1]
    m11, m12, m22 = 5 / 3 + c, 1 / 3 + c / 2, 1 / 3
    g1 = -9.81 * (1.5 * np.sin(theta[..., 0]) + 0.5 * np.sin(theta[..., 1]))
    g2 = -9.81 * 0.5 * np.sin(theta[..., 1])
    first = m11 * qdd[..., 0] + m12 * qdd[..., 1] - s * w2 * (w1 + w2 / 2) + g1
    second = m12 * qdd[..., 0] + m22 * qdd[..., 1] + s / 2 * w1**2 + g2
    np.testing.assert_allclose(made.tau, np.stack([first, second], -1), atol=1e-9)
    np.testing.assert_allclose(made.parts.conservative, np.stack([g1, g2], -1), atol=1e-9)


def test_strokes_at_another_speed_follow_the_same_way(x64: None) -> None:
    arm, key = PlanarChain.two_link_arm(), jax.random.key(1)
    once, twice = strokes(arm, key, 2), strokes(arm, key, 2, 2.0)
    np.testing.assert_allclose(twice.q, once.q, atol=1e-12)
    np.testing.assert_allclose(twice.qd, 2 * once.qd, atol=1e-9)
    np.testing.assert_allclose(twice.qdd, 4 * once.qdd, atol=1e-8)
    np.testing.assert_allclose(twice.parts.coriolis, 4 * once.parts.coriolis, atol=1e-8)


class Counting(AbstractReproduction):
    """Figures that take no time; what was made is counted."""

    name = "counting"
    title = "counts"
    kinds = ("up", "down")

    def __init__(self) -> None:
        self.made: list[str] = []
        self.until = 100

    def make(
        self, kind: str, seed: int, quick: bool, directory: Path, tell: Callable[[str], None]
    ) -> Result:
        if len(self.made) == self.until:
            raise KeyboardInterrupt
        self.made.append(f"{kind}-{seed}")
        tell("half way")
        return {
            "count": np.asarray(float(seed if kind == "up" else -seed)),
            "all": np.arange(seed),
        }

    def report(self, out: Path, results: Results, quick: bool) -> list[Entry]:
        note = "quick" if quick else ""
        counts = results.stacked("up", "count"), results.stacked("down", "count")
        return [
            entry(f"count.{kind}", values, "m", paper=1.5, note=note)
            for kind, values in zip(self.kinds, counts, strict=True)
        ]


def test_results_are_written_beside_the_paper_s(tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []
    reproduce(
        Counting(),
        tmp_path / "out",
        seeds=3,
        quick=True,
        progress=lambda *line: told.append(line),
    )
    assert told[:4] == [
        ("up, seed 0", "compiling"),
        ("up, seed 0", "half way"),
        ("up, seed 0", "done"),
        ("down, seed 0", "compiling"),
    ]
    up, down = json.loads((tmp_path / "out" / "results.json").read_text())
    assert up == {
        "name": "count.up",
        "paper": 1.5,
        "ours": 1.0,
        "low": 0.0,
        "high": 2.0,
        "unit": "m",
        "seeds": 3,
        "note": "quick",
    }
    assert (down["low"], down["high"]) == (-2.0, 0.0)


def test_seeds_without_a_value_are_left_out_and_counted(tmp_path: Path) -> None:
    some = entry("some", [1.0, np.nan, 3.0], "", note="five links", missing="never arrived")
    assert (some.ours, some.low, some.high, some.seeds) == (2.0, 1.0, 3.0, 3)
    assert some.note == "five links; 1 of 3 seeds never arrived"
    none = entry("none", [np.inf, np.nan], "")
    assert (none.ours, none.low, none.high, none.seeds) == (None, None, None, 2)
    assert none.note == "2 of 2 seeds without a value"
    assert "null" in json.dumps(none._asdict(), allow_nan=False)


def test_a_reproduction_says_how_many_seeds_it_needs(tmp_path: Path) -> None:
    class Twice(Counting):
        seeds = 2

    twice = Twice()
    assert reproduce(twice, tmp_path / "two")[0].seeds == 2
    assert reproduce(Counting(), tmp_path / "three")[0].seeds == 3
    assert twice.made == ["up-0", "down-0", "up-1", "down-1"]
    Twice.quick_seeds = 1
    assert reproduce(Twice(), tmp_path / "quick", quick=True)[0].seeds == 1
    assert reproduce(Twice(), tmp_path / "chosen", quick=True, seeds=3)[0].seeds == 3
    assert reproduce(Twice(), tmp_path / "whole")[0].seeds == 2


def test_an_interrupted_reproduction_goes_on_where_it_was(tmp_path: Path) -> None:
    out, experiment = tmp_path / "out", Counting()
    experiment.until = 3
    with pytest.raises(KeyboardInterrupt):
        reproduce(experiment, out, seeds=2)
    assert not (out / "results.json").exists()
    experiment.until = 100
    resume_reproduction({"counting": experiment}, out)
    assert experiment.made == ["up-0", "down-0", "up-1", "down-1"]
    assert len(json.loads((out / "results.json").read_text())) == 2
    # More seeds in the same directory are the only ones that are made.
    entries = reproduce(experiment, out, seeds=3)
    assert experiment.made[4:] == ["up-2", "down-2"]
    assert entries[0].seeds == 3


def test_another_reproduction_s_directory_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    reproduce(Counting(), out, seeds=1)
    with pytest.raises(UserError, match="counting was begun without --quick"):
        reproduce(Counting(), out, seeds=1, quick=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty"):
        reproduce(Counting(), tmp_path / "other")
    (out / "parts" / "up-0.npz").write_bytes(b"PK cut off")
    with pytest.raises(UserError, match="cut off or damaged"):
        reproduce(Counting(), out, seeds=1)
    with pytest.raises(UserError, match="names 'counting'; others are known"):
        resume_reproduction({"others": Counting()}, out)
    for damaged in ("[]", '{"name": "counting", "quick": false}', "{"):
        (out / "reproduction.json").write_text(damaged)
        with pytest.raises(UserError, match="damaged"):
            resume_reproduction({"counting": Counting()}, out)
        with pytest.raises(UserError, match="damaged"):
            reproduce(Counting(), out, seeds=1)


def test_energy_discrepancy_is_of_the_largest_potential_energy(x64: None) -> None:
    pendulum = DoublePendulum.unit()
    still, upright = jnp.zeros(2), jnp.full(2, jnp.pi)
    q = jnp.stack([still, upright, still])[None]
    # From hanging to upright the energy grows from -29.4 to 29.4 J.
    found = energy_discrepancy(pendulum, State(q, jnp.zeros((1, 3, 2))))
    np.testing.assert_allclose(found, [[0, 2, 0]], atol=1e-12)


def test_accelerations_of_the_double_pendulum_are_the_textbook_s(x64: None) -> None:
    data = random_motion(DoublePendulum.unit(), jax.random.key(0), 20)
    (a, b), (w, v) = np.asarray(data.state.q).T, np.asarray(data.state.qd).T
    assert np.abs(data.state.qd).max() > 5
    assert np.abs(data.state.q).max() > 2
    # Two point masses of 1 kg on rods of 1 m, solved by hand for both accelerations.
    c, s, g = np.cos(a - b), np.sin(a - b), 9.8
    x, y = -(v**2) * s - 2 * g * np.sin(a), w**2 * s - g * np.sin(b)
    expected = np.stack([x - c * y, 2 * y - c * x], -1) / (2 - c**2)[:, None]
    np.testing.assert_allclose(data.qdd, expected, rtol=1e-9)


def test_steps_of_the_relativistic_particle_are_the_closed_form(x64: None) -> None:
    data = random_steps(jax.random.key(0), 30)
    v, g = np.asarray(data.state.qd), np.asarray(data.action)
    momentum = v / np.sqrt(1 - v**2) + g * 0.02
    expected = momentum / np.sqrt(1 + momentum**2)
    np.testing.assert_allclose(data.next_state.qd, expected, atol=1e-9)
    assert np.abs(v).max() < 0.99
    assert np.abs(g).max() > 2
    p = CANONICAL.momentum(jnp.zeros(1), jnp.asarray([0.6]))
    np.testing.assert_allclose(p, 0.75)
    np.testing.assert_allclose(CANONICAL.velocity(jnp.zeros(1), p), 0.6)


def energy_of_the_suite(task: str, q: np.ndarray, qd: np.ndarray) -> np.ndarray:
    """Kinetic and potential energy from where the centres of mass are and how they move."""
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
def test_the_suite_s_energy_grows_by_the_work_of_its_actuator(
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
    # The force is constant within a step, so its work is its product with the way.
    way = (after - q)[:, actuated]
    if angles[actuated]:
        way = np.angle(np.exp(1j * way))
    work = scale * np.asarray(data.action)[:, 0] * way
    gained = energy_of_the_suite(name, after, qd_after) - energy_of_the_suite(name, q, qd)
    assert np.abs(work).max() > 1e-3
    np.testing.assert_allclose(gained, work, atol=1e-5 * np.abs(work).max())
    # Each episode begins at rest, a little off hanging.
    first = np.all(qd == 0, axis=1)
    off = q[first] - np.asarray(task.hanging)
    off = np.where(angles, np.angle(np.exp(1j * off)), off)
    assert first.sum() == 2
    assert 0 < np.abs(off).max() < 0.05


def test_models_are_judged_on_other_episodes_than_they_learn_from() -> None:
    given = prepare(make_task("acrobot"), 0)
    assert len(given.data.action) == 1600
    assert len(given.unseen.action) == 1000
    assert not np.isin(np.asarray(given.unseen.action), np.asarray(given.data.action)).any()
    other = prepare(make_task("acrobot"), 1)
    assert not np.isin(np.asarray(other.data.action), np.asarray(given.data.action)).any()


def test_what_a_filter_needs_is_counted_to_where_it_first_gets_to_adam_s_error() -> None:
    at, error = np.asarray([1, 2, 4, 8]), np.asarray([0.5, 0.1, 0.3, 0.1])
    assert needed(at, error, 0.2) == 2
    assert needed(at, error, 0.1) == 2
    assert needed(at, error, 0.6) == 1
    assert np.isnan(needed(at, error, 0.05))
    assert np.isnan(needed(at, np.full(4, np.nan), 0.05))
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
    learners = ("adam", *get_args(FilterName))
    tasks = ("pendulum", "acrobot", "cart2pole")
    assert set(kinds) == {f"{learner}.{task}" for learner in learners for task in tasks}
    assert len(kinds) == len(set(kinds))


def test_models_are_judged_after_ever_more_updates_up_to_the_last() -> None:
    for updates in (1, 7, 300, 10_000):
        at = checkpoints(updates)
        assert at[0] == 1
        assert at[-1] == updates
        assert np.all(np.diff(at) > 0)


@pytest.mark.parametrize("name", ["adam", "ekf-block"])
def test_all_seeds_and_sizes_are_trained_by_one_program(
    name: str, compilations: Callable[[], int]
) -> None:
    training, task = Training(60, 8, rate=1e-2), make_task("pendulum")
    curve = train(name, training, prepare(task, 0, (4,)), 1600)
    assert curve.updates.shape == curve.error.shape == curve.seconds.shape
    assert curve.updates[-1] == 60
    assert curve.error[-1] < curve.error[0]
    assert np.all(np.diff(curve.seconds) > 0)
    other = prepare(task, 1, (4,))
    before = compilations()
    again = train(name, training, other, 100)
    assert compilations() == before
    assert not np.array_equal(again.error, curve.error)


@pytest.mark.slow
def test_the_energy_of_a_learned_lagrangian_is_kept_where_a_network_s_is_not(
    tmp_path: Path,
) -> None:
    double = REPRODUCTIONS["cranmer2020-double-pendulum"]
    entries = reproduce(double, tmp_path / "out", seeds=1, quick=True)
    found = {each.name: each.ours for each in entries}
    assert found["energy_discrepancy.lnn"] < 1
    assert found["energy_discrepancy.lnn"] < found["energy_discrepancy.mlp"] / 5
    assert (tmp_path / "out" / "energy.png").exists()


@pytest.mark.slow
def test_only_velocities_for_momenta_fail_on_relativity(tmp_path: Path) -> None:
    particle = REPRODUCTIONS["cranmer2020-relativistic-particle"]
    entries = reproduce(particle, tmp_path / "out", seeds=1, quick=True)
    found = {each.name.partition(".")[2]: each.ours for each in entries[:3]}
    assert max(found["lnn"], found["hnn_canonical"]) < 0.02
    assert found["hnn_noncanonical"] > 0.2
    assert (tmp_path / "out" / "velocity.png").exists()


@pytest.mark.slow
def test_the_arm_is_learned_and_extrapolated_to(tmp_path: Path) -> None:
    entries = reproduce(REPRODUCTIONS["lutter2019-arm"], tmp_path / "out", seeds=1, quick=True)
    found = {each.name: each.ours for each in entries}
    assert found["torque_mse"] < 1e-2
    assert found["normalised_mse.delan.speed_2"] < found["normalised_mse.mlp.speed_2"] / 10
    assert (tmp_path / "out" / "torque.png").exists()
    assert (tmp_path / "out" / "extrapolation.png").exists()
    assert jnp.isfinite(jnp.asarray([each.ours for each in entries])).all()


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
