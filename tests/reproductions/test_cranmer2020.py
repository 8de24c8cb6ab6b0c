from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna import State
from lagdyna.reproductions import REPRODUCTIONS, reproduce
from lagdyna.reproductions._cranmer2020_double_pendulum import (
    energy_discrepancy,
    random_motion,
)
from lagdyna.reproductions._cranmer2020_relativistic_particle import CANONICAL, random_steps
from lagdyna.systems import DoublePendulum


def test_energy_discrepancy_is_relative_to_the_largest_potential_energy(x64: None) -> None:
    pendulum = DoublePendulum.unit()
    q = np.broadcast_to(np.asarray([[0], [np.pi], [0]]), (1, 3, 2))
    # From hanging to upright the energy grows from -29.4 to 29.4 J.
    found = eqx.filter_jit(energy_discrepancy)(pendulum, State(q, np.zeros((1, 3, 2))))
    np.testing.assert_allclose(found, [[0, 2, 0]], atol=1e-12)


def test_accelerations_of_the_double_pendulum_are_the_textbook_s(x64: None) -> None:
    data = eqx.filter_jit(random_motion)(DoublePendulum.unit(), jax.random.key(0), 20)
    (a, b), (w, v) = np.asarray(data.state.q).T, np.asarray(data.state.qd).T
    assert np.abs(data.state.qd).max() > 5
    assert np.abs(data.state.q).max() > 2
    # Two point masses of 1 kg on rods of 1 m, solved by hand for both accelerations.
    c, s, g = np.cos(a - b), np.sin(a - b), 9.8
    x, y = -(v**2) * s - 2 * g * np.sin(a), w**2 * s - g * np.sin(b)
    expected = np.stack([x - c * y, 2 * y - c * x], -1) / (2 - c**2)[:, None]
    np.testing.assert_allclose(data.qdd, expected, rtol=1e-9)


def test_steps_of_the_relativistic_particle_are_the_closed_form(x64: None) -> None:
    data = eqx.filter_jit(random_steps)(jax.random.key(0), 30)
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
def test_a_learned_lagrangian_keeps_its_energy_and_a_network_does_not(tmp_path: Path) -> None:
    double = REPRODUCTIONS["cranmer2020-double-pendulum"]
    entries = reproduce(double, tmp_path / "out", seeds=1, quick=True)
    found = {each.name: each.ours or np.nan for each in entries}
    assert found["energy_discrepancy.lnn"] < 1
    assert found["energy_discrepancy.lnn"] < found["energy_discrepancy.mlp"] / 5
    assert (tmp_path / "out" / "energy.png").exists()


@pytest.mark.slow
def test_only_velocities_as_momenta_fail_on_relativity(tmp_path: Path) -> None:
    particle = REPRODUCTIONS["cranmer2020-relativistic-particle"]
    entries = reproduce(particle, tmp_path / "out", seeds=1, quick=True)
    found = {each.name.partition(".")[2]: each.ours or np.nan for each in entries[:3]}
    assert max(found["lnn"], found["hnn_canonical"]) < 0.02
    assert found["hnn_noncanonical"] > 0.2
    assert (tmp_path / "out" / "velocity.png").exists()
