"""Units of the columns of a table."""

import math
import re
from collections.abc import Mapping
from types import MappingProxyType

from .._errors import DataError

_TURN = 2 * math.pi
_POSITIONS = {"rad": 1.0, "deg": math.pi / 180, "°": math.pi / 180, "rev": _TURN}
_POSITIONS |= {"m": 1.0, "cm": 1e-2, "mm": 1e-3}

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
    | {"degree": "deg", "rev/min": "rpm", "µs": "us", "μs": "us", "turn": "rev"}
)
_NONE = ("", "-", "1")


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
    text = re.sub(r"[\[\]()\s*·^.]", "", unit.casefold()).replace("²", "2")
    text = _SPELLINGS.get(text, text)
    if text in _NONE or field not in _UNITS:  # the scale of an action is learned
        return 1.0
    if text not in _UNITS[field]:
        shown = unit if len(unit) <= 40 else unit[:40] + "..."
        raise DataError(
            f"{source}: column {column}, line 2: found {shown!r}; real numbers are accepted, "
            "and nan or an empty cell for a gap; a line of units may stand below the names, "
            f"and units of {field} are {', '.join(_UNITS[field])}"
        )
    return _UNITS[field][text]
