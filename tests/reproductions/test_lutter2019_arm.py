from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna.reproductions import REPRODUCTIONS, reproduce
from lagdyna.reproductions._lutter2019_arm import strokes
from lagdyna.systems import PlanarChain


def test_strokes_are_exact_motions_of_the_arm(x64: None) -> None:
    made = eqx.filter_jit(strokes)(PlanarChain.two_link_arm(), jax.random.key(0), 3)
    t = np.linspace(0, 2.0, 200)
    q, qd, qdd = (np.asarray(x) for x in (made.q, made.qd, made.qdd))
    # Compare derivatives with fourth-order differences.
    for x, xd in ((q, qd), (qd, qdd)):
        slope = (x[:, :-4] - 8 * x[:, 1:-3] + 8 * x[:, 3:-1] - x[:, 4:]) / (12 * (t[1] - t[0]))
        np.testing.assert_allclose(xd[:, 2:-2], slope, atol=1e-3 * np.abs(xd).max())
    np.testing.assert_allclose(qd[:, [0, -1]], 0, atol=1e-12)
    # The tip stays in its box in front of the arm.
    theta = np.cumsum(q, axis=-1)
    x, z = np.sin(theta).sum(-1), np.cos(theta).sum(-1)
    assert np.all((np.abs(x - 1.1) <= 0.4) & (np.abs(z - 0.3) <= 0.4))
    # Torques by the textbook's equations of two rods, angles from upright.
    c, s, w1, w2 = np.cos(q[..., 1]), np.sin(q[..., 1]), qd[..., 0], qd[..., 1]
    m11, m12, m22 = 5 / 3 + c, 1 / 3 + c / 2, 1 / 3
    g1 = -9.81 * (1.5 * np.sin(theta[..., 0]) + 0.5 * np.sin(theta[..., 1]))
    g2 = -9.81 * 0.5 * np.sin(theta[..., 1])
    first = m11 * qdd[..., 0] + m12 * qdd[..., 1] - s * w2 * (w1 + w2 / 2) + g1
    second = m12 * qdd[..., 0] + m22 * qdd[..., 1] + s / 2 * w1**2 + g2
    np.testing.assert_allclose(made.tau, np.stack([first, second], -1), atol=1e-9)
    np.testing.assert_allclose(made.parts.conservative, np.stack([g1, g2], -1), atol=1e-9)


def test_faster_strokes_follow_the_same_path(x64: None) -> None:
    arm, key = PlanarChain.two_link_arm(), jax.random.key(1)
    once, twice = eqx.filter_jit(
        lambda: [strokes(arm, key, 2, speed) for speed in (1.0, 2.0)]
    )()
    once, twice = jax.tree.map(np.asarray, (once, twice))
    np.testing.assert_allclose(twice.q, once.q, atol=1e-12)
    np.testing.assert_allclose(twice.qd, 2 * once.qd, atol=1e-9)
    np.testing.assert_allclose(twice.qdd, 4 * once.qdd, atol=1e-8)
    np.testing.assert_allclose(twice.parts.coriolis, 4 * once.parts.coriolis, atol=1e-8)


@pytest.mark.slow
def test_the_arm_is_learned_and_extrapolates(tmp_path: Path) -> None:
    entries = reproduce(REPRODUCTIONS["lutter2019-arm"], tmp_path / "out", seeds=1, quick=True)
    found = {each.name: each.ours for each in entries}
    error = found["torque_mse"]
    assert error is not None
    assert error < 1e-2
    ours, baseline = (
        found[f"normalised_mse.{kind}.speed_2"] or np.nan for kind in ("delan", "mlp")
    )
    assert ours < baseline / 10
    assert (tmp_path / "out" / "torque.png").exists()
    assert (tmp_path / "out" / "extrapolation.png").exists()
    assert jnp.isfinite(jnp.asarray([each.ours for each in entries])).all()
