"""Times of other programs: time stamps as text, and times since 1970."""

import datetime

import numpy as np

# Units in which programs count since 1970, by their seconds, and what the first and the last
# second of the years 2001 to 2065 are.
_UNITS = (
    ("nanoseconds", 1e-9),
    ("microseconds", 1e-6),
    ("milliseconds", 1e-3),
    ("seconds", 1.0),
)
_FIRST, _LAST = 1e9, 3e9

_DAY = datetime.date(1970, 1, 1)
_LONGEST = 60.0  # seconds; a longer usual step belongs to a clock of another unit
_ROUNDING = 3e-7  # of seconds since 1970 in double precision


def epoch_unit(t: np.ndarray) -> tuple[str, float] | None:
    """Find the unit of times that are counted since 1970.

    **Arguments:** `t`, times without nan.

    **Returns:** the name of the unit and its seconds; `None` unless all times would be of the
    years 2001 to 2065 in one of nanoseconds, microseconds, milliseconds and seconds, and the
    usual step at most a minute.
    """
    low, high = float(t.min()), float(t.max())
    for name, seconds in _UNITS:
        if low * seconds >= _FIRST and high * seconds <= _LAST:
            steps = np.abs(np.diff(t)) * seconds
            usual = float(np.median(steps)) if len(steps) else 0.0
            return (name, seconds) if usual <= _LONGEST else None
    return None


def since_start(t: np.ndarray, start: float, seconds: float) -> np.ndarray:
    """Convert times since 1970 to seconds since a start.

    Times that are whole microseconds but for the rounding of large numbers are made so.

    **Arguments:** `t` and `start` in units of `seconds`.
    """
    shifted = (t - start) * seconds
    rounded = np.round(shifted, 6)
    return rounded if np.all(np.abs(rounded - shifted) <= _ROUNDING) else shifted


def begin_at_zero(nanoseconds: np.ndarray) -> tuple[np.ndarray, str | None]:
    """Convert whole nanoseconds to seconds, which begin at 0 if they count since 1970.

    **Returns:** the times, and a sentence if they were shifted.
    """
    if epoch_unit(nanoseconds) is None:
        return nanoseconds * 1e-9, None
    start = int(nanoseconds[0])
    return (nanoseconds - start) * 1e-9, shifted_note("nanoseconds", start * 1e-9)


def shifted_note(unit: str, start: float) -> str:
    """Say that times since 1970 were shifted.

    **Arguments:** `unit`, that of the file; `start`, seconds since 1970.
    """
    first = datetime.datetime.fromtimestamp(start, datetime.UTC)
    return (
        f"times count {unit} since 1970 and were shifted to begin at 0, which is "
        f"{first:%Y-%m-%d %H:%M:%S} UTC"
    )


def parse_stamp(text: str) -> float | None:
    """Convert a time stamp of ISO 8601 to seconds.

    **Returns:** seconds since 1970 for a date and a time, which is UTC without a zone; seconds
    since midnight for a time alone; `None` for any other text.
    """
    text = text.strip()
    if ":" not in text:
        return None
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        try:
            found = datetime.datetime.combine(_DAY, datetime.time.fromisoformat(text))
        except ValueError:
            return None
    if found.tzinfo is None:
        found = found.replace(tzinfo=datetime.UTC)
    return found.timestamp()
