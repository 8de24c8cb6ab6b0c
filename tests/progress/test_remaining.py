"""Estimates of the time that is left."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagdyna.progress._remaining import Remaining, roughly

SECONDS = st.floats(0.1, 1e4)


@given(SECONDS, SECONDS, st.integers(1, 50), st.integers(2, 50))
def test_a_steady_run_ends_when_it_was_estimated(
    compilation: float, rate: float, first: int, count: int
) -> None:
    left = Remaining(first + count)
    for done in range(first, first + count):
        now = compilation + rate * (done - first)
        left.mark(now, done)
    assert left.seconds(now) == pytest.approx(rate)
    assert left.seconds(now + 0.5 * rate) == pytest.approx(0.5 * rate)
    assert left.seconds(now + 2.0 * rate) == 0.0


def test_one_mark_says_nothing() -> None:
    left = Remaining(10)
    assert left.seconds(1.0) is None
    left.mark(1.0, 5)
    left.mark(2.0, 5)  # the same part
    assert left.seconds(3.0) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (40.4, "40 s"), (100.0, "2 min"), (3600.0, "60 min"), (9000.0, "2 h")],
)
def test_durations_have_one_unit(seconds: float, text: str) -> None:
    assert roughly(seconds) == text
