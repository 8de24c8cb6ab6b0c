"""Seconds and metrics of a round."""

import time

import numpy as np

from ._seeds import Active


class Clock:
    """Seconds spent in each part of a round.

    **Attributes:** `laps`, seconds by the name of the part.
    """

    def __init__(self):
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """Add the time since the last lap to the part `name`."""
        now = time.perf_counter()
        self.laps[name] = self.laps.get(name, 0.0) + now - self._last
        self._last = now

    def skip(self) -> None:
        """Leave the time since the last lap out."""
        self._last = time.perf_counter()


class MetricsOfSeeds:
    """Latest value of every metric of each seed, and the number of skipped updates.

    **Attributes:** `latest`, values per seed by the name of the metric; `skipped`, counts.
    """

    def __init__(self, seeds: int):
        self.latest: dict[str, np.ndarray] = {}
        self.skipped = np.zeros(seeds, int)

    def add(self, metrics: dict[str, np.ndarray], active: Active) -> None:
        """Add the metrics of a program, of the active seeds."""
        for name, values in metrics.items():
            if name.endswith("_skipped"):
                self.skipped += np.where(active, values, 0).astype(int)
            else:
                before = self.latest.get(name, values)
                self.latest[name] = np.where(active, values, before)

    def of(self, index: int) -> dict[str, float]:
        """Select the metrics of one seed."""
        return {name: float(values[index]) for name, values in self.latest.items()}

    def shown(self, active: Active) -> dict[str, float]:
        """Average the metrics over the active seeds."""
        return {name: float(np.mean(values[active])) for name, values in self.latest.items()}
