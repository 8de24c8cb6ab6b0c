"""Experiments of papers: their data are what they say, their results are written."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna.experiments import REPRODUCTIONS, AbstractReproduction, Entry, UserError, reproduce
from lagdyna.experiments._lutter2019_arm import strokes
from lagdyna.experiments._reproduction import Progress, entry
from lagdyna.systems import PlanarChain


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
    """Three figures that take no time."""

    name = "counting"
    title = "counts"

    def run(self, out: Path, seeds: int, quick: bool, progress: Progress) -> list[Entry]:
        for seed in range(seeds):
            progress(f"seed {seed}")
        values = [float(seed) for seed in range(seeds)]
        return [entry("count", values, "m", paper=1.5, note="quick" if quick else "")]


def test_results_are_written_beside_the_paper_s(tmp_path: Path) -> None:
    told: list[str] = []
    reproduce(Counting(), tmp_path / "out", seeds=3, quick=True, progress=told.append)
    assert told == ["seed 0", "seed 1", "seed 2"]
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == [
        {
            "name": "count",
            "paper": 1.5,
            "ours": 1.0,
            "low": 0.0,
            "high": 2.0,
            "unit": "m",
            "seeds": 3,
            "note": "quick",
        }
    ]
    with pytest.raises(UserError, match="is not empty"):
        reproduce(Counting(), tmp_path / "out")


@pytest.mark.slow
def test_the_arm_is_learned_and_extrapolated_to(tmp_path: Path) -> None:
    entries = reproduce(REPRODUCTIONS["lutter2019-arm"], tmp_path / "out", seeds=1, quick=True)
    found = {each.name: each.ours for each in entries}
    assert found["torque_mse"] < 1e-2
    assert found["normalised_mse.delan.speed_2"] < found["normalised_mse.mlp.speed_2"] / 10
    assert (tmp_path / "out" / "torque.png").exists()
    assert (tmp_path / "out" / "extrapolation.png").exists()
    assert jnp.isfinite(jnp.asarray([each.ours for each in entries])).all()
