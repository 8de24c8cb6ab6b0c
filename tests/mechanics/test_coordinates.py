import math

import equinox as eqx
import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagdyna.mechanics import Coordinates

from ..helpers import identical

ANGLE = Coordinates((True,))
MIXED = Coordinates((True, False, True))

wrap = eqx.filter_jit(lambda q: ANGLE.wrap(q))
difference = eqx.filter_jit(lambda a, b: ANGLE.difference(a, b))
embed = eqx.filter_jit(lambda coordinates, q: coordinates.embed(q))
slope = jax.jit(jax.grad(lambda q: ANGLE.wrap(q)[0]))

# Next to pi in float32. XLA flushes subnormal numbers to zero, so those are left out.
LARGEST = float(np.nextafter(np.float32(math.pi), np.float32(0)))
anything = st.floats(-1e4, 1e4)


def angle(x: float) -> jax.Array:
    return jax.device_put(np.asarray([x]))


def is_inside(q: jax.Array) -> bool:
    """Whether an angle is in `(-pi, pi]`, with `pi` in its precision."""
    [angle], pi = np.asarray(q), np.asarray(math.pi, q.dtype)
    return bool(-pi < angle <= pi)


def on_circle(x: jax.Array) -> np.ndarray:
    [angle] = x.tolist()
    return np.asarray([math.cos(angle), math.sin(angle)])


def test_sizes_count_an_angle_twice():
    assert (MIXED.n, MIXED.embedding_size) == (3, 5)


def test_embedding_is_linear_coordinates_then_cosines_then_sines():
    q = jax.device_put(np.asarray([0.1, 7.0, -2.0]))
    expected = [7.0, math.cos(0.1), math.cos(-2.0), math.sin(0.1), math.sin(-2.0)]
    np.testing.assert_allclose(embed(MIXED, q), expected, rtol=1e-6)


def test_embedding_is_periodic_in_angles_but_not_in_linear_coordinates():
    q = np.asarray([0.1, 7.0, -2.0])
    moves = [0, 0, 0], [1, 0, -3], [0, 1, 0]
    here, turned, moved = (
        np.asarray(embed(MIXED, jax.device_put(q + 2 * np.pi * np.asarray(turns))))
        for turns in moves
    )
    np.testing.assert_allclose(turned, here, atol=1e-5)
    assert abs(moved[0] - here[0]) > 6


CHAIN = Coordinates((False, True, True, True, False, True), chain=True)


def test_a_chain_embeds_the_sums_of_angles_that_follow_each_other_too():
    q = jax.device_put(np.asarray([7.0, 0.1, -2.0, 0.4, 5.0, 1.0]))
    directions = np.asarray([0.1, -2.0, 0.4, 1.0, 0.1 - 2.0, 0.1 - 2.0 + 0.4, -2.0 + 0.4])
    expected = np.concatenate([[7.0, 5.0], np.cos(directions), np.sin(directions)])
    np.testing.assert_allclose(embed(CHAIN, q), expected, rtol=1e-5)
    assert CHAIN.embedding_size == len(expected)


def test_a_chain_of_one_link_has_the_plain_embedding():
    q = angle(0.1)
    link = Coordinates((True,), chain=True)
    np.testing.assert_array_equal(embed(link, q), embed(ANGLE, q))


@given(seed=st.integers(0, 10_000))
def test_joint_positions_of_a_chain_are_linear_in_its_embedding(seed, x64):
    lengths, q = np.random.default_rng(seed).uniform(0, 3, (2, 4))
    chain = Coordinates((True,) * 4, chain=True)
    heights = np.cumsum(lengths * np.cos(np.cumsum(q)))
    # Also relative to the second joint, along and across the first link.
    inner = np.cumsum(lengths[1:] * np.cos(np.cumsum(q[1:])))
    seen = np.concatenate([heights, inner])
    names = [
        (0, 1),
        (1, 2),
        (2, 3),
        (3, 4),
        *((i, j) for i in range(4) for j in range(i + 2, 5)),
    ]
    weights = np.zeros((7, chain.embedding_size))
    for row, (base, last) in enumerate(
        [(0, k) for k in range(1, 5)] + [(1, k) for k in (2, 3, 4)]
    ):
        for k in range(base, last):
            weights[row, names.index((base, k + 1))] = lengths[k]
    np.testing.assert_allclose(weights @ embed(chain, jax.device_put(q)), seen, atol=1e-12)


def test_the_first_coordinates_of_a_chain_form_a_chain():
    assert CHAIN.first(3) == Coordinates((False, True, True), chain=True)


ARM = Coordinates((True, True, False, False), link_lengths=(0.3, 0.1))


def test_an_arm_embeds_the_way_from_its_tip_to_its_target():
    plain = Coordinates(ARM.angles)
    # The first link points up, the second one back to the left, so the tip is at (-0.1, 0.3).
    q = jax.device_put(np.asarray([math.pi / 2, math.pi / 2, 0.3, 0.0]))
    found = np.asarray(embed(ARM, q))
    np.testing.assert_array_equal(found[:-3], embed(plain, q))
    distance = math.hypot(math.hypot(1.0, 0.75), 0.01)
    np.testing.assert_allclose(found[-3:], [1.0, -0.75, distance], rtol=1e-5)
    assert len(found) == ARM.embedding_size == plain.embedding_size + 3


def test_the_distance_to_a_target_is_smooth_at_the_target():
    q = jax.device_put(np.asarray([0.0, 0.0, 0.4, 0.0]))
    slope = jax.grad(lambda q: ARM.embed(q)[-1])(q)
    np.testing.assert_allclose(slope, 0, atol=1e-5)


def test_an_arm_without_its_target_has_plain_coordinates():
    assert ARM.first(2) == Coordinates((True, True))
    assert ARM.first(4) == ARM


@pytest.mark.parametrize(
    ("angles", "lengths", "message"),
    [
        ((True, True), (0.1,), "has 1 links, which need 1 angles, then x and y of a target"),
        ((True, False, False), (0.1, 0.1), "has 2 links, which need 2 angles"),
        ((True, False, False), (0.0,), r"was \(0.0,\); positive finite lengths"),
        ((True, False, False), (math.inf,), "positive finite lengths"),
    ],
)
def test_links_that_fit_no_coordinates_are_refused(angles, lengths, message):
    with pytest.raises(ValueError, match=message):
        Coordinates(angles, link_lengths=lengths)


@given(x=anything)
def test_wrapped_angle_lies_in_the_half_open_interval(x, tolerance):
    assert is_inside(wrap(angle(x)))


@given(x=anything)
def test_wrapped_angle_is_the_same_point_of_the_circle(x, tolerance):
    # The tolerance is the rounding error of the angle itself.
    atol = max(1.0, abs(x)) * {1e-3: 2e-6, 1e-10: 1e-14}[tolerance]
    q = angle(x)
    np.testing.assert_allclose(on_circle(wrap(q)), on_circle(q), atol=atol)


@given(x=anything)
def test_wrapping_twice_is_wrapping_once(x, tolerance):
    identical(wrap(wrap(angle(x))), wrap(angle(x)))


@given(x=st.floats(-math.pi, math.pi, exclude_min=True, allow_subnormal=False))
def test_wrapping_keeps_the_bits_of_an_angle_inside_the_interval(x, x64):
    identical(wrap(angle(x)), angle(x))


@given(x=st.floats(-LARGEST, LARGEST, width=32, allow_subnormal=False))
def test_wrapping_keeps_the_bits_of_a_float32_angle_inside_the_interval(x):
    identical(wrap(angle(x)), angle(x))


@pytest.mark.parametrize("turns", [-101, -7, -1, 0, 1, 6, 100])
@pytest.mark.parametrize("side", [-1, 0, 1])
def test_angles_next_to_a_half_turn_stay_inside_the_interval(turns, side, tolerance):
    # Rounding can leave the half-open interval here.
    half = np.asarray(angle((2 * turns + 1) * math.pi))
    beside = half if side == 0 else np.nextafter(half, side * math.inf)
    assert is_inside(wrap(jax.device_put(beside)))


def test_minus_half_a_turn_becomes_plus_half_a_turn(tolerance):
    identical(wrap(angle(-math.pi)), angle(math.pi))


def test_wrapping_leaves_linear_coordinates_alone():
    q = np.asarray([[7.0, 1e3, -9.0], [1.0, -50.0, 2.0]], np.float32)
    wrapped = np.asarray(jax.jit(MIXED.wrap)(q))
    identical(wrapped[:, 1], q[:, 1])
    np.testing.assert_allclose(wrapped[0, ::2], [7 - 2 * math.pi, 2 * math.pi - 9], atol=1e-6)


@given(x=anything)
def test_wrapping_has_unit_gradient(x, tolerance):
    np.testing.assert_array_equal(slope(angle(x)), [1.0])


@given(a=anything, b=anything)
def test_difference_is_antisymmetric_except_at_half_a_turn(a, b, x64):
    there, back = difference(angle(a), angle(b)), difference(angle(b), angle(a))
    if there.item() == np.pi:
        assert back.item() == np.pi
    else:
        np.testing.assert_allclose(there, -np.asarray(back), atol=1e-11)


@given(a=st.floats(-100, 100), step=st.floats(-3.1, 3.1), turns=st.integers(-5, 5))
def test_difference_takes_the_short_way_round(a, step, turns, x64):
    b = a + step + 2 * math.pi * turns
    np.testing.assert_allclose(difference(angle(b), angle(a)), [step], atol=1e-12)


def test_difference_of_linear_coordinates_is_plain():
    a, b = jax.device_put((np.asarray([3.0, 100.0, 0.0]), np.asarray([-3.0, -100.0, 0.0])))
    np.testing.assert_allclose(
        jax.jit(MIXED.difference)(a, b), [6 - 2 * math.pi, 200.0, 0.0], atol=1e-6
    )


def test_a_system_without_coordinates_is_refused():
    with pytest.raises(ValueError, match="`angles`"):
        Coordinates(())
