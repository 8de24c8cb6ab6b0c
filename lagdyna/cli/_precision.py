import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from .._bytes import read_bytes

_LONGEST = 100_000  # bytes of a `run.json`


def use_precision(run: Path) -> None:
    """Let JAX compute in the precision of a run, whatever the environment says.

    A damaged run is left for others to refuse.
    """
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads(read_bytes(run / "run.json", _LONGEST))
        precision = found.get("precision") if isinstance(found, dict) else None
        if precision not in ("float32", "float64"):
            return
        wide = precision == "float64"
        os.environ["JAX_ENABLE_X64"] = str(int(wide))
        if "jax" in sys.modules:  # it has read the variable
            import jax

            jax.config.update("jax_enable_x64", wide)
