"""Units of the columns of a table."""

import math
import re
from collections.abc import Mapping
from types import MappingProxyType

from .._errors import DataError

_TURN = 2 * math.pi
_POSITIONS = {"rad": 1.0, "deg": math.pi / 180, "°": math.pi / 180, "rev": _TURN}
_POSITIONS |= {"mrad": 1e-3, "m": 1.0, "cm": 1e-2, "mm": 1e-3}

# Units of each array, with the factors that convert them to SI units.
_UNITS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "t": {"s": 1.0, "sec": 1.0, "min": 60.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9},
        "q": _POSITIONS,
        "qd": {f"{unit}/s": x for unit, x in _POSITIONS.items()} | {"rpm": _TURN / 60},
        "qdd": {f"{unit}/s2": x for unit, x in _POSITIONS.items()},
        "tau": {"n": 1.0, "kn": 1e3, "nm": 1.0, "ncm": 1e-2, "mnm": 1e-3, "knm": 1e3},
    }
)
_SPELLINGS = MappingProxyType(
    {"seconds": "s", "second": "s", "radians": "rad", "radian": "rad", "degrees": "deg"}
    | {"degree": "deg", "µs": "us", "μs": "us", "turn": "rev", "turns": "rev", "r": "rev"}
    | {"revolution": "rev", "revolutions": "rev", "n-m": "nm", "newton": "n"}
    | {"newtonmeter": "nm", "newtonmetre": "nm", "newton-meter": "nm", "newton-metre": "nm"}
)
_NONE = ("", "-", "1")

# Units that no factor converts, and what to do about them.
_HINTS = MappingProxyType(
    {
        ("tau", ("a", "ma", "v", "mv", "%", "percent")): "torques are expected, so multiply "
        "currents by torque constant and gear ratio, or name the column action0 in place of "
        "tau0 and its factor is learned",
        ("q", ("ticks", "tick", "counts", "count", "inc", "incs", "steps")): "multiply encoder "
        "counts by 2 pi over the counts of a turn",
    }
)


def is_unit(text: str) -> bool:
    """Whether a cell holds no number, so that it may be a unit."""
    if text in _NONE:
        return text != "1"
    try:
        float(text.replace(",", "."))
    except ValueError:
        return True
    return False


def factor_of(source: str, column: str, unit: str) -> float:
    """Find the factor that converts a column to SI units.

    **Arguments:**

    - `source`: name of the file in error messages.
    - `column`: name of the column, such as `q0`.
    - `unit`: its unit as the file writes it, such as `[rad/s]`.

    **Raises:** [`lagdyna.data.DataError`][] for a unit that is unknown or of another quantity.
    """
    field = re.sub(r"[0-9]+$", "", column)
    text = _normal(unit)
    if text in _NONE or field not in _UNITS:  # the scale of an action is learned
        return 1.0
    if text not in _UNITS[field]:
        shown = unit if len(unit) <= 40 else unit[:40] + "..."
        raise DataError(
            f"{source}: column {column}, line 2: found {shown!r}; real numbers are accepted, "
            "and nan or an empty cell for a gap; a line of units may stand below the names, "
            f"and units of {field} are {', '.join(_UNITS[field])}{_hint(field, text)}"
        )
    return _UNITS[field][text]


def _normal(unit: str) -> str:
    """Write a unit as the tables do: `rad s^-1` and `radians/sec` as `rad/s`."""
    text = re.sub(r"[\[\]()\s*·^.]", "", unit.casefold()).replace("²", "2").replace("⁻", "-")
    text = re.sub(r"/(s|sec|second)/(s|sec|second)$", "/s2", text.replace("¹", "1"))
    text = re.sub(r"/sec(ond)?(2?)$", r"/s\2", text)
    text = re.sub(r"(?<=[a-z°])s-([12])$", lambda x: "/s" + x[1].replace("1", ""), text)
    text = _SPELLINGS.get(text, text)
    before, slash, after = text.partition("/")
    text = _SPELLINGS.get(before, before) + slash + after
    return "rpm" if text in ("rev/min", "1/min") else text


def _hint(field: str, unit: str) -> str:
    """Say what to do about a unit that no factor converts."""
    found = (hint for (name, units), hint in _HINTS.items() if name == field and unit in units)
    return "".join(f"; {each}" for each in found)
