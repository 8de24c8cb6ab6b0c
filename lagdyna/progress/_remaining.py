class Remaining:
    """Estimate of the time that a run still takes, from the marks that it has passed.

    The time before the first mark is left out, since most of it goes into compilation.

    **Arguments:** `total`, the parts of the whole run.
    """

    def __init__(self, total: int):
        self._total = total
        self._first: tuple[float, int] | None = None
        self._latest = (0.0, 0)

    def mark(self, seconds: float, done: int) -> None:
        """Note that `done` parts were finished at a time in seconds."""
        if self._first is None:
            self._first = seconds, done
        self._latest = seconds, done

    def seconds(self, now: float) -> float | None:
        """Estimate the seconds left at the time `now`; `None` before a second mark."""
        if self._first is None or self._latest[1] <= self._first[1]:
            return None
        (first, begun), (latest, done) = self._first, self._latest
        rate = (latest - first) / (done - begun)
        return max(0.0, rate * (self._total - done) - (now - latest))


def roughly(seconds: float) -> str:
    """Format a duration with one unit: `40 s`, `3 min`, `2 h`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    return f"{round(seconds / 3600)} h"
