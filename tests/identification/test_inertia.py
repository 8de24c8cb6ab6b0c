"""The inertia that recorded motions show, against systems whose equations are written out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagdyna.identification._inertia import Motion, usual_inertia

DT = 0.01


def arm(q: np.ndarray, qd: np.ndarray, qdd: np.ndarray) -> np.ndarray:
    """The torques of two rods of 1 kg and 1 m with viscous friction, from the textbook."""
    c, s = np.cos(q[:, 1]), np.sin(q[:, 1])
    m11, m12, m22 = 5 / 3 + c, 1 / 3 + c / 2, 1 / 3
    h = -s / 2
    g1, g2 = np.sin(q[:, 0]), np.sin(q[:, 0] + q[:, 1])
    first = m11 * qdd[:, 0] + m12 * qdd[:, 1] + h * (2 * qd[:, 0] + qd[:, 1]) * qd[:, 1]
    second = m12 * qdd[:, 0] + m22 * qdd[:, 1] - h * qd[:, 0] ** 2
    gravity = 9.81 * np.stack([1.5 * g1 + 0.5 * g2, 0.5 * g2], axis=1)
    return np.stack([first, second], axis=1) + gravity + np.array([0.4, 0.1]) * qd


def motions(count: int = 4) -> list[Motion]:
    """Sums of sines, whose accelerations are exact."""
    rng, t = np.random.default_rng(0), DT * np.arange(400)[:, None]
    found = []
    for _ in range(count):
        w, a, phase = rng.uniform(2, 6, (3, 2)), rng.normal(size=(3, 2)), rng.uniform(0, 6, 2)
        q, qd, qdd = (
            sum(a[k] * w[k] ** d * wave(w[k] * t + phase) for k in range(3))
            for d, wave in enumerate((np.sin, np.cos, lambda x: -np.sin(x)))
        )
        found.append(Motion(q, qd, arm(q, qd, qdd)))
    return found


def test_the_inertia_of_an_arm_is_found_beside_gravity_and_friction() -> None:
    data = motions()
    mean = np.mean(np.cos(np.concatenate([each.q[:, 1] for each in data])))
    expected = [5 / 3 + mean, 1 / 3]
    found = usual_inertia(data, (True, True), DT, 20)
    np.testing.assert_allclose(found, expected, rtol=0.02)
    rng = np.random.default_rng(1)
    noisy = [each._replace(qd=each.qd + 0.1 * rng.normal(size=each.qd.shape)) for each in data]
    found = usual_inertia(noisy, (True, True), DT, 20)
    np.testing.assert_allclose(found, expected, rtol=0.3)


@pytest.mark.parametrize("name", Motion._fields)
def test_rows_that_are_not_finite_are_left_out(name: str) -> None:
    data = motions()
    expected = usual_inertia(data, (True, True), DT, 20)
    getattr(data[0], name)[100, 1] = np.nan
    np.testing.assert_allclose(usual_inertia(data, (True, True), DT, 20), expected, rtol=0.02)
    getattr(data[0], name)[:] = np.nan
    found = usual_inertia(data[:1], (True, True), DT, 20)
    assert np.isnan(found).all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(3, 90), st.integers(1, 60))
def test_any_motion_gives_positive_inertia_or_none(
    seed: int, n: int, rows: int, lag: int
) -> None:
    rng = np.random.default_rng(seed)
    q = np.cumsum(rng.normal(size=(rows, n)), axis=0)
    qd, tau = rng.normal(size=(2, rows, n)) * 10.0 ** rng.integers(-9, 10, (2, 1, n))
    for array in (q, qd, tau):
        what = rng.integers(4)
        array[:, 0] *= what != 0
        array[rng.integers(rows)] *= np.nan if what == 1 else 1.0
    angles = tuple(bool(x) for x in rng.integers(0, 2, n))
    found = usual_inertia([Motion(q, qd, tau)], angles, DT, lag)
    assert found.shape == (n,)
    assert (np.isnan(found) | (found >= 0)).all()


def test_a_coordinate_without_a_force_shows_its_inertia_by_coupling() -> None:
    """A cart of 1 kg and a pole with a point mass of 0.5 kg at 0.6 m, pushed to and fro."""

    def derivative(x: np.ndarray, force: float) -> np.ndarray:
        (_, angle, v, w), (m, length) = x, (0.5, 0.6)
        c, s = np.cos(angle), np.sin(angle)
        matrix = np.array([[1 + m, m * length * c], [m * length * c, m * length**2]])
        right = np.array([force + m * length * w**2 * s, -m * 9.81 * length * s])
        return np.concatenate([[v, w], np.linalg.solve(matrix, right)])

    x, rows = np.array([0.0, 0.5, 0.0, 0.0]), []
    for k in range(1200):
        force = 4 * np.sin(0.03 * k) + 3 * np.sin(0.071 * k + 1)
        rows.append([*x, force, 0.0])
        k1 = derivative(x, force)
        k2 = derivative(x + DT * k1, force)
        x = x + DT / 2 * (k1 + k2)
    rows = np.array(rows)
    found = usual_inertia(
        [Motion(rows[:, :2], rows[:, 2:4], rows[:, 4:])], (False, True), DT, 20
    )
    np.testing.assert_allclose(found, [1.5, 0.5 * 0.6**2], rtol=0.1)


@pytest.mark.parametrize("lag", [20, 1000])
def test_without_forces_or_long_motions_nothing_is_known(lag: int) -> None:
    data = [each._replace(tau=0 * each.tau) if lag == 20 else each for each in motions(1)]
    assert np.isnan(usual_inertia(data, (True, True), DT, lag)).all()
