"""Mistakes in recordings are found and named; sound recordings pass."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagdyna.checks import Finding, check_recordings
from lagdyna.data import Trajectory, TrajectorySet
from lagdyna.mechanics import Coordinates

from ..data.motions import angles, recordings, together

DEGREE, RPM, TURN = 180 / math.pi, 30 / math.pi, 2 * math.pi

# What is multiplied by how much, and what the finding says.
MISTAKES = {
    "rpm": ("qd", RPM, "qd in rev/min"),
    "degrees per second": ("qd", DEGREE, "qd in degrees/s"),
    "turns per second": ("qd", 1 / TURN, "qd in rev/s"),
    "turns": ("q", 1 / TURN, "q in revolutions"),
    "degrees": ("q", DEGREE, "q in degrees"),
    "g": ("qdd", 1 / 9.81, "qdd in g"),
    "degrees of acceleration": ("qdd", DEGREE, "qdd in degrees"),
    "sign": ("qd", -1.0, "the other sign"),
    "sign of acceleration": ("qdd", -1.0, "the other sign"),
    "rpm and sign": ("qd", -RPM, "rev/min and the other sign"),
}


def check(arrays: list[dict], angle: bool = True) -> list[Finding]:
    n = arrays[0]["q"].shape[1]
    return check_recordings(together(arrays), Coordinates((angle,) * n), "tau")


def noisy(arrays: list[dict], seed: int, size: float) -> list[dict]:
    """Add noise to all columns, relative to their root mean squares."""
    rng = np.random.default_rng(seed)
    return [
        {
            name: x if name == "t" else x + size * np.std(x) * rng.normal(size=x.shape)
            for name, x in each.items()
        }
        for each in arrays
    ]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3), st.booleans(), st.sampled_from([0, 0.02, 0.1]))
def test_sound_recordings_pass(seed, n, angle, noise):
    arrays = noisy(recordings(n, seed=seed), seed, noise)
    assert check(arrays, angle) == []


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 3),
    st.sampled_from(sorted(MISTAKES)),
    st.sampled_from([0, 0.02]),
    st.data(),
)
def test_a_column_in_other_units_is_named(seed, n, mistake, noise, draw):
    arrays = noisy(recordings(n, seed=seed), seed, noise)
    name, factor, says = MISTAKES[mistake]
    i = draw.draw(st.integers(0, n - 1))
    for each in arrays:
        each[name][:, i] *= factor
    found = [each for each in check(arrays) if each.contradiction]
    assert len(found) == 1
    for part in ("q", "qd", "qdd"):
        says = says.replace(f"{part} in", f"{part}{i} in")
    assert says in found[0].text
    assert f"{name}{i}" in found[0].text


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize(
    ("factor", "unit"), [(1e3, "milliseconds"), (1e6, "microseconds"), (1e9, "nanoseconds")]
)
def test_times_are_blamed_if_every_velocity_is_wrong(n, factor, unit):
    arrays = recordings(n)
    for each in arrays:
        each["t"] = (
            1.77e18 + np.round(factor * each["t"]) if factor == 1e9 else factor * each["t"]
        )
    (found,) = [each for each in check(arrays) if each.contradiction]
    assert f"t in {unit}" in found.text


@pytest.mark.parametrize(
    ("factor", "kind"), [(1.1, None), (1.5, False), (0.6, False), (4.0, True), (0.2, True)]
)
def test_the_factor_decides_between_a_warning_and_a_contradiction(factor, kind):
    arrays = noisy(recordings(), 0, 0.05)
    for each in arrays:
        each["qd"] *= factor
        del each["qdd"], each["tau"]
    found = check_recordings(together(arrays), angles(1))
    assert [each.contradiction for each in found] == ([] if kind is None else [kind])
    for each in found:
        assert float(each.text.split()[2]) == pytest.approx(factor, rel=0.02)


def test_millimetres_are_guessed_of_lengths_alone():
    arrays = recordings(2)
    for each in arrays:
        each["qd"][:, 0] *= 1e3
    (found,) = [each for each in check(arrays, angle=False) if each.contradiction]
    assert "qd0 in mm" in found.text
    assert "mm" not in " ".join(each.text for each in check(arrays))


def test_exchanged_columns_are_named():
    arrays = recordings(3)
    for each in arrays:
        each["qd"] = each["qd"][:, [1, 0, 2]]
        del each["qdd"], each["tau"]
    found = check_recordings(together(arrays), angles(3))
    assert [each.text[:33] for each in found] == [
        "qd0 is the derivative of q1, not ",
        "qd1 is the derivative of q0, not ",
    ]
    assert all(each.contradiction for each in found)


def test_a_velocity_that_stays_zero_contradicts_a_motion():
    arrays = [{**each, "qd": 0 * each["qd"]} for each in recordings()]
    assert any("qd0 is 0 in every row" in x.text for x in check(arrays) if x.contradiction)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.3]))
def test_noise_and_offsets_of_a_resting_system_contradict_nothing(seed, offset):
    rng = np.random.default_rng(seed)
    arrays = [
        {
            "t": np.arange(200) * 0.01,
            "q": 1e-3 * rng.normal(size=(200, 2)),
            "qd": offset + 0.1 * rng.normal(size=(200, 2)),
            "qdd": rng.normal(size=(200, 2)),
        }
        for _ in range(3)
    ]
    found = check_recordings(together(arrays), angles(2))
    assert [each.text for each in found] == [
        "the system is at rest: no coordinate moves beyond its noise"
    ]


def test_spikes_and_offsets_are_no_contradiction():
    arrays = recordings(count=3, rows=300)
    rng = np.random.default_rng(0)
    for each in arrays:
        each["qd"] += 0.5
        each["q"][rng.integers(0, 300, 4)] += 20
    assert not [each for each in check(arrays) if each.contradiction]


@pytest.mark.parametrize(
    ("turn", "lowest", "says"), [(TURN, -np.pi, "2 pi"), (TURN, 0, "2 pi"), (360, 0, "360")]
)
def test_wrapped_coordinates_are_recognised(turn, lowest, says):
    t = np.arange(400) * 0.02
    q = (turn * (0.4 * t + 0.2 * np.sin(2 * t)) - lowest) % turn + lowest
    trajectories = TrajectorySet([Trajectory(t, q)])
    (found,) = check_recordings(trajectories, Coordinates((False,)))
    assert f"q0 jumps by nearly {says} " in found.text
    assert "data.angles" in found.text
    if turn == TURN:
        assert check_recordings(trajectories, angles(1)) == []


def test_a_bouncing_coordinate_is_not_taken_for_a_wrapped_one():
    t = np.arange(400) * 0.02
    for q in (
        3 * np.sin(9 * t),
        3 * np.sign(np.sin(t + 0.01)) + 0.1 * np.sin(5 * t),
        9 * t % 6.3 % 3,
    ):
        found = check_recordings(TrajectorySet([Trajectory(t, q)]), Coordinates((False,)))
        assert found == []


def test_coordinates_that_never_move_are_named():
    rng = np.random.default_rng(0)
    arrays = recordings(3)
    for each in arrays:
        del each["qd"], each["qdd"], each["tau"]
        each["q"][:, 0] = 0.7
        each["q"][:, 2] = 1e-4 * rng.normal(size=100)
    found = check_recordings(together(arrays), angles(3))
    assert [each.text for each in found] == [
        "q0 never moves beyond its noise",
        "q2 never moves beyond its noise",
    ]
    for each in arrays:
        each["q"] = 0 * each["q"]
    (found,) = check_recordings(together(arrays), angles(3))
    assert "at rest" in found.text


@pytest.mark.parametrize("n", [1, 2])
def test_torques_that_do_not_go_with_the_motion_are_named(n):
    rng = np.random.default_rng(0)
    arrays = recordings(n)
    for each in arrays:
        each["tau"][:, 0] = rng.normal(size=100)
    found = [each.text for each in check(arrays)]
    if n == 1:
        assert len(found) == 1
        assert "tau0 does not go with the motion" in found[0]
    else:  # coupled coordinates accelerate each other, so nothing can be said
        assert found == []
    for each in arrays:
        each["tau"][:, 0] = 2.0
    (found,) = check(arrays)
    assert "tau0 is 2 in every row" in found.text
    for each, good in zip(arrays, recordings(n), strict=True):
        each["tau"] = -good["tau"]
    assert [each.text[:10] for each in check(arrays)] == [f"tau{i} falls" for i in range(n)]
    for each in arrays:
        each["tau"] = 0 * each["tau"]
    (found,) = check(arrays)
    assert "tau is 0 in every row" in found.text


def test_actions_beyond_one_are_said():
    arrays = recordings()
    for each in arrays:
        each["action"] = each.pop("tau")
    (found,) = check_recordings(together(arrays), angles(1), "action")
    assert "action0 reaches" in found.text
    for each in arrays:
        each["action"] /= 1000
    assert check_recordings(together(arrays), angles(1), "action") == []
