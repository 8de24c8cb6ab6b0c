"""What the data tell of parameters: statistics of a linear problem, whose answers are known."""

import numpy as np
import pytest

from lagdyna.identification import directions_of, spread_of

RNG = np.random.default_rng(0)
EPSILON = float(np.finfo(np.float32).eps)


def factors(jacobian: np.ndarray, errors: np.ndarray, blocks: int) -> np.ndarray:
    """Triangular factors by blocks of rows, as a fit makes them."""
    whole = np.column_stack([jacobian, errors]).reshape(blocks, -1, jacobian.shape[1] + 1)
    return np.stack([np.linalg.qr(each, mode="r") for each in whole])


def covered(jacobian: np.ndarray, noises: list[np.ndarray], repeats: int = 1) -> float:
    """Fraction of intervals of least squares that contain the truth."""
    found = []
    for noise in noises:
        estimate = np.linalg.lstsq(jacobian, noise)[0]  # the truth is 0
        errors = jacobian @ estimate - noise
        rows, errors = (np.repeat(x, repeats, axis=0) for x in (jacobian, errors))
        spread = spread_of(factors(rows, errors, 40), len(errors), EPSILON)
        found.append(np.abs(estimate) <= spread.quantile * spread.deviation)
    return float(np.mean(found))


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    jacobian = RNG.normal(size=(400, 3))
    noises = [0.3 * RNG.normal(size=400) for _ in range(200)]
    assert 0.92 < covered(jacobian, noises) < 0.995
    # Rows that count four times, as in overlapping windows, tell no more than once.
    assert 0.9 < covered(jacobian, noises, repeats=4) < 0.995


def test_intervals_allow_for_errors_that_are_correlated_in_time() -> None:
    jacobian = np.repeat(RNG.normal(size=(40, 2)), 10, axis=0)
    noises = [np.repeat(0.3 * RNG.normal(size=40), 10) for _ in range(200)]
    assert 0.88 < covered(jacobian, noises) < 0.995


def test_directions_that_the_data_do_not_tell_are_found_and_named() -> None:
    columns = RNG.normal(size=(400, 3))
    # The masses and gravity only by their ratios, the inertia hardly at all.
    mixing = np.array([[1.0, 0, -1.0, 0, 0], [0, 1.0, -1.0, 0, 0], [0, 0, 0, 0, 1.0]])
    jacobian = columns @ mixing
    jacobian[:, 3] = 1e-4 * RNG.normal(size=400)
    errors = 0.1 * RNG.normal(size=400)
    spread = spread_of(factors(jacobian, errors, 40), 400, EPSILON)
    assert spread.known.tolist() == [False, False, False, False, True]
    names = ["mass[0]", "mass[1]", "gravity", "inertia", "friction"]
    texts = sorted(each.text for each in directions_of(spread.unknown, names))
    assert texts == [
        "`inertia` cannot be told from these data",
        "`mass` and `gravity` have a common factor that these data do not tell",
    ]
    np.testing.assert_array_less(spread.singular[3:], 1)


def test_parameters_that_are_told_only_together_are_named_with_their_ratio() -> None:
    jacobian = RNG.normal(size=(400, 1)) @ np.array([[1.0, 2.0]])
    spread = spread_of(factors(jacobian, 0.1 * RNG.normal(size=400), 40), 400, EPSILON)
    (direction,) = directions_of(spread.unknown, ["spring", "damper"])
    assert direction.parts == pytest.approx({"spring": 1.0, "damper": -0.5})
    assert direction.text == (
        "`spring` and `damper` can be told only together from these data, in which "
        "spring +100 %, damper -50 % change next to nothing"
    )


def test_exact_data_tell_everything_that_is_not_rounding() -> None:
    jacobian = RNG.normal(size=(60, 2)) * np.array([1.0, 1e-3])
    spread = spread_of(factors(jacobian, np.zeros(60), 30), 60, EPSILON)
    assert spread.known.all()
    assert np.all(spread.deviation == 0)
