"""Entries of `results.json`: a figure of a paper, and ours over seeds."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ..statistics import Improvement, interquartile_mean, interval


class Entry(NamedTuple):
    """One figure of a paper and ours: an element of `results.json`.

    **Attributes:**

    - `name`: name of the figure.
    - `paper`: value in the paper; `None` if it has none.
    - `ours`: mean over seeds, or another statistic that `note` names; `None` if no seed has a
        value.
    - `low`, `high`: smallest and largest value over seeds; of a probability, the ends of its
        95 % interval.
    - `unit`: unit of the values.
    - `seeds`: number of seeds.
    - `note`: conditions of the measurement.
    """

    name: str
    paper: float | None
    ours: float | None
    low: float | None
    high: float | None
    unit: str
    seeds: int
    note: str


def entry(
    name: str,
    values: Float[np.ndarray, " seeds"] | list[float],
    unit: str,
    *,
    paper: float | None = None,
    note: str = "",
    missing: str = "without a value",
    interquartile: bool = False,
) -> Entry:
    """Create the entry of one value per seed.

    JSON has neither NaN nor infinity. Seeds with such a value are left out of mean and range,
    and `note` counts them.

    **Arguments:**

    - `values`: one of each seed.
    - `missing`: meaning of a value that is not finite, for the note.
    - `interquartile`: whether to report the interquartile mean, with its 95 % bootstrap
        interval in the note, instead of the mean.
    - the others as the attributes of [`lagdyna.reproductions.Entry`][].
    """
    values = np.asarray(values, float)
    finite = values[np.isfinite(values)]
    notes = [note]
    if interquartile:
        ends = interval(finite)
        of = "" if ends is None else f", 95 % from {ends[0]:.4g} to {ends[1]:.4g}"
        notes = [f"interquartile mean{of}", note]
    if finite.size < values.size:
        notes.append(f"{values.size - finite.size} of {values.size} seeds {missing}")
    note = "; ".join(each for each in notes if each)
    if finite.size == 0:
        return Entry(name, paper, None, None, None, unit, values.size, note)
    ours = interquartile_mean(finite) if interquartile else float(finite.mean())
    low, high = float(finite.min()), float(finite.max())
    return Entry(name, paper, ours, low, high, unit, values.size, note)


def probability_entry(name: str, found: Improvement, seeds: int, note: str) -> Entry:
    """Create the entry of a probability of improvement, with its 95 % bootstrap interval.

    **Arguments:** `note`, the event, as "that a seed of ...".
    """
    note = f"probability {note}, 95 % bootstrap interval"
    return Entry(name, None, *found, unit="", seeds=seeds, note=note)
