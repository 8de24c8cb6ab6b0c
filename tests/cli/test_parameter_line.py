"""Line of a parameter of a known system, as a fit prints it."""

from typing import Any

import pytest

from lagdyna.cli._print import parameter_line


def line(start: Any, fitted: Any, interval: Any, *, learned: bool = True) -> str:
    values = {"start": start, "fitted": fitted, "interval": interval, "learned": learned}
    return parameter_line({"name": "mass", **values})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0.6, 0.5, [0.4, 0.6]), "mass: 0.6 -> 0.5 (0.4 to 0.6)"),
        ((0.6, 0.5, None), "mass: 0.6 -> 0.5 (not identifiable from these data)"),
        (
            ([0.6, 0.7], [0.5, 0.8], [None, [0.7, 0.9]]),
            "mass: 0.6 0.7 -> 0.5 (not identifiable from these data), 0.8 (0.7 to 0.9)",
        ),
        # Too many parameters for intervals.
        (([0.6, 0.7], [0.5, 0.8], None), "mass: 0.6 0.7 -> 0.5 0.8"),
    ],
)
def test_each_number_has_its_interval(values: tuple[Any, Any, Any], expected: str) -> None:
    assert line(*values) == expected


def test_what_was_not_learned_has_none() -> None:
    assert line(-9.81, -9.81, None, learned=False) == "mass: -9.81, not learned"
