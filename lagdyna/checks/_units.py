"""Units that a factor between two columns suggests."""

import math

_DEGREE, _RPM, _G = 180 / math.pi, 30 / math.pi, 9.81

_TIMES = {1.0: "", 1e3: "t in milliseconds", 1e6: "t in microseconds", 1e9: "t in nanoseconds"}

_RATES = {  # of a velocity over the derivative of a position
    1.0: "",
    _DEGREE: "{y} in degrees/s",
    1 / _DEGREE: "{x} in degrees",
    _RPM: "{y} in rev/min",
    _RPM / _DEGREE: "{x} in degrees and {y} in rev/min",
    1 / (2 * math.pi): "{y} in rev/s",
    2 * math.pi: "{x} in revolutions",
    60.0: "{y} per minute",
    1 / 60: "t in minutes",
    1 / 3600: "t in hours",
}

_LENGTHS = {1e3: "{y} in mm", 1e-3: "{x} in mm", 1e2: "{y} in cm", 1e-2: "{x} in cm"}

_ACCELERATIONS = {  # of an acceleration over the derivative of a velocity
    1.0: "",
    1 / _G: "{y} in g",
    _G: "{y} multiplied by 9.81",
    _DEGREE: "{y} in degrees",
    1 / _DEGREE: "{x} in degrees",
    1 / 60: "t in minutes",
    1 / 3600: "t in hours",
}


def guess(x: str, y: str, factor: float, *, angle: bool) -> str:
    """Guess the units that make column `y` so many times the derivative of column `x`.

    **Arguments:**

    - `x`, `y`: names of the columns, for example `q0` and `qd0`.
    - `factor`: the factor found, with its sign.
    - `angle`: whether the coordinate is an angle, for which millimetres are no guess.

    **Returns:** for example ": qd0 in rev/min?", or "" if nothing fits.
    """
    units = _ACCELERATIONS if y.startswith("qdd") else _RATES
    units = units if angle else {**units, **_LENGTHS}
    fits = []
    for scale, name in units.items():
        for time, clock in _TIMES.items():
            error = abs(math.log(abs(factor) / (scale * time)))
            parts = [part for part in (name.format(x=x, y=y), clock) if part]
            if error < 0.06 and (parts or factor < 0):
                fits.append((len(parts), error, parts))
    if not fits:
        return ""
    fewest = min(count for count, _, _ in fits)
    fits = sorted(fit for fit in fits if fit[0] == fewest)
    closest = [fit for fit in fits if fit[1] < fits[0][1] + 0.01]
    sign = ["the other sign"] if factor < 0 else []
    return ": " + ", or ".join(" and ".join([*fit[2], *sign]) for fit in closest) + "?"
