import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from lagdyna.data import (
    DataError,
    Trajectory,
    TrajectorySet,
    estimate_accelerations,
    estimate_noise,
    estimate_velocities,
    quantisation_steps,
)
from lagdyna.mechanics import Coordinates

ANGLE = Coordinates((True,))


def pendulum(rows, dt, noise, uneven=False, seed=0):
    """Simulate a driven pendulum; return noisy wrapped angles and exact velocities."""
    rng = np.random.default_rng(seed)
    t = np.arange(rows) * dt
    if uneven:
        t = np.sort(t + 0.4 * dt * rng.uniform(-1, 1, rows))
    solution = solve_ivp(
        lambda t, y: [y[1], 15 * np.sin(y[0]) + 3 * np.sin(2.3 * t)],
        (t[0], t[-1]),
        [2.5, 0.5],
        t_eval=np.clip(t, t[0], t[-1]),
        rtol=1e-9,
        atol=1e-9,
    )
    q = solution.y[0] + noise * rng.normal(size=rows)
    wrapped = (q + np.pi) % (2 * np.pi) - np.pi
    return TrajectorySet([Trajectory(t, wrapped)]), solution.y[1]


def rms(x):
    return np.sqrt(np.mean(x**2))


def velocity(trajectories):
    (trajectory,) = trajectories
    assert trajectory.qd is not None
    return trajectory.qd[:, 0]


@pytest.mark.parametrize("uneven", [False, True])
@pytest.mark.parametrize("noise", [1e-3, 1e-2, 1e-1])
def test_noise_is_estimated(noise, uneven):
    trajectories, _ = pendulum(500, 0.02, noise, uneven)
    assert estimate_noise(trajectories, ANGLE)[0] == pytest.approx(noise, rel=0.15)


@pytest.mark.parametrize("uneven", [False, True])
@pytest.mark.parametrize(
    ("noise", "better"), [(0.0, 20), (1e-4, 3), (1e-3, 4), (1e-2, 7), (1e-1, 7)]
)
def test_velocities_are_more_accurate_than_finite_differences(noise, better, uneven):
    trajectories, qd = pendulum(500, 0.02, noise, uneven)
    estimated = velocity(estimate_velocities(trajectories, ANGLE))
    q = np.unwrap(trajectories[0].q[:, 0])
    differences = np.gradient(q, trajectories[0].t)
    assert rms(estimated - qd) * better < rms(differences - qd)


def test_known_noise_is_used():
    trajectories, qd = pendulum(500, 0.02, 1e-2)
    exact = velocity(estimate_velocities(trajectories, ANGLE, noise=0.0))
    smooth = velocity(estimate_velocities(trajectories, ANGLE, noise=1e-2))
    assert rms(smooth - qd) < 0.1 * rms(exact - qd)
    for noise in (-1.0, np.nan):
        with pytest.raises(DataError, match=r"`noise` was .*at least 0"):
            estimate_velocities(trajectories, ANGLE, noise=noise)


def test_estimate_is_independent_of_units():
    trajectories, _ = pendulum(200, 0.02, 1e-2)
    t, q = trajectories[0].t, np.unwrap(trajectories[0].q[:, 0])
    line = Coordinates((False,))
    metres = velocity(estimate_velocities(TrajectorySet([Trajectory(t, q)]), line))
    other = TrajectorySet([Trajectory(1e6 + 1e3 * t, 1e-9 * q)])
    scaled = velocity(estimate_velocities(other, line)) * 1e12
    np.testing.assert_allclose(scaled, metres, rtol=1e-3, atol=1e-3)


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 12), st.integers(0, 2**32 - 1), st.sampled_from([0, 1e-12, 1, 1e6]))
def test_trajectories_of_any_length_get_finite_velocities(rows, seed, size):
    rng = np.random.default_rng(seed)
    t = np.cumsum(rng.uniform(0.01, 1, rows))
    q = size * rng.normal(size=(rows, 2))
    trajectories = TrajectorySet([Trajectory(t, q)])
    (result,) = estimate_velocities(trajectories, Coordinates((False, True)))
    assert result.qd is not None
    assert np.isfinite(result.qd).all()
    np.testing.assert_array_equal(result.q, q)


def test_a_short_line_is_exact():
    for rows in range(2, 9):
        t = np.arange(rows) * 0.1
        (result,) = estimate_velocities(
            TrajectorySet([Trajectory(t, 3 * t)]), Coordinates((False,))
        )
        np.testing.assert_allclose(result.qd, 3, rtol=1e-6)


def test_recorded_velocities_are_not_replaced():
    trajectories = TrajectorySet([Trajectory([0, 1], [0, 1], qd=[1, 1])])
    with pytest.raises(DataError, match="already has `qd`"):
        estimate_velocities(trajectories, ANGLE)


def driven(rows, dt, seed, turns=1.0):
    """Prescribe a motion whose speed changes sign; return times, angles and velocities."""
    rng = np.random.default_rng(seed)
    t, phase = np.arange(rows) * dt, rng.uniform(0, 2 * np.pi, 2)
    w = turns * np.array([1.9, 4.4])
    q = (np.array([0.7, 0.3]) * np.sin(w * t[:, None] + phase)).sum(1)
    return t, q, (np.array([0.7, 0.3]) * w * np.cos(w * t[:, None] + phase)).sum(1)


@pytest.mark.parametrize("origin", [False, True])
@pytest.mark.parametrize(
    ("counts", "dt", "turns"), [(1024, 1e-3, 1.0), (4096, 1e-3, 1.0), (4096, 1e-3, 0.05)]
)
def test_steps_of_encoders_are_recognised(counts, dt, turns, origin):
    step, exact, trajectories = 2 * np.pi / counts, [], []
    for seed in range(3):
        t, q, qd = driven(2000, dt, seed, turns)
        q = q - q[0] if origin else q  # counted from the start
        trajectories.append(Trajectory(t, np.round(q / step) * step + 0.1 * seed * origin))
        exact.append(qd)
    trajectories = TrajectorySet(trajectories)
    assert quantisation_steps(trajectories)[0] == pytest.approx(step, rel=1e-3)

    def error(noise=None):
        found = estimate_velocities(trajectories, ANGLE, noise)
        pairs = zip(found, exact, strict=True)
        return rms(np.concatenate([x.qd[:, 0] - qd for x, qd in pairs]))

    assert error() < 1.1 * error(step / np.sqrt(12))
    assert error() < 0.1 * rms(np.concatenate(exact))


def test_an_encoder_on_a_noisy_axis_keeps_the_noise_that_differences_show():
    t, q, _ = driven(2000, 1e-3, 0)
    q = q + 0.01 * np.random.default_rng(0).normal(size=2000)
    step = 2 * np.pi / 4096
    trajectories = TrajectorySet([Trajectory(t, np.round(q / step) * step)])
    assert estimate_noise(trajectories, ANGLE)[0] == pytest.approx(0.01, rel=0.1)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 1e-3]), st.sampled_from([0.01, 0.05]))
def test_smooth_and_noisy_positions_are_on_no_grid(seed, noise, dt):
    t, q, _ = driven(300, dt, seed)
    q = q + noise * np.random.default_rng(seed).normal(size=300)
    assert quantisation_steps(TrajectorySet([Trajectory(t, q)]))[0] == 0
    # A wheel of constant speed has equal steps.
    assert quantisation_steps(TrajectorySet([Trajectory(t, 3 * t)]))[0] == 0


@pytest.mark.parametrize(
    ("noise", "velocity_noise", "error"),
    [(0, 0, 1e-3), (1e-5, 1e-2, 0.01), (1e-3, 1e-3, 0.01), (1e-3, 0.1, 0.06)],
)
def test_accelerations_come_from_the_less_noisy_of_positions_and_velocities(
    noise, velocity_noise, error
):
    rng = np.random.default_rng(0)
    t = np.arange(800) / 100
    waves = [(1, 1, 0.3), (0.5, 2.3, 1.1), (0.3, 3.7, 4), (0.05, 9, 2)]
    q, qd, qdd = (
        sum(a * w**k * np.sin(w * t + phase + k * np.pi / 2) for a, w, phase in waves)
        for k in range(3)
    )
    q = np.angle(np.exp(1j * (3 + q + noise * rng.normal(size=800))))  # wrapped
    recorded = Trajectory(t, q, qd + velocity_noise * rng.normal(size=800), joints=("elbow",))
    found = estimate_accelerations(TrajectorySet([recorded]), ANGLE)
    assert found.joints == ("elbow",)
    assert found[0].qdd is not None
    assert rms(found[0].qdd[5:-5, 0] - qdd[5:-5]) < error * rms(qdd)
    with pytest.raises(DataError, match="has the arrays t, q, qd, qdd; `qd` is needed"):
        estimate_accelerations(found, ANGLE)
