"""Experiments of papers: their data are what they say, their results are written."""

import json
from collections.abc import Callable
from pathlib import Path

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
from lagdyna.experiments.reproductions._cranmer2020_double_pendulum import (
    energy_discrepancy,
    random_motion,
)
from lagdyna.experiments.reproductions._cranmer2020_relativistic_particle import (
    CANONICAL,
    random_steps,
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

    def make(self, kind: str, seed: int, quick: bool, tell: Callable[[str], None]) -> Result:
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
