"""Damage run directories, data files and configs, and count what reading them gives.

    python benchmarks/damage.py 10000 --seed 0 --out damage.json

Every kind of run directory, data file and config is made once. Each input is one file of one of
them, damaged in one way: cut, bits flipped, keys deleted, types swapped, numbers huge or NaN,
nested deeply, emptied, replaced by another file, a directory, a pipe or a link, archives with
other arrays. Whatever reads it must refuse it in one sentence, or give an unchanged result.
"""

import argparse
import collections
import json
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path
from random import Random
from typing import Any

import jax

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.damage import LIMIT, Target, damage, fingerprint, outcome, restored, targets

_CLEARED_EVERY = 500  # inputs; each damaged model that loads compiles new programs
_WAITS = 6  # wall time per CPU time, since other programs may use the cores
_KINDS = ("refused", "unchanged", "accepted", "unclear", "traceback", "hang", "silent change")


class Late(BaseException):
    """Error: reading took too long; no `except Exception` catches it."""


def main() -> None:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("inputs", type=int, help="number of damaged inputs")
    parser.add_argument("--seed", type=int, default=0, help="seed of the damage; 0 by default")
    parser.add_argument("--out", type=Path, help="a file for counts and faults, as JSON")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, _late)
    signal.signal(signal.SIGPROF, _late)
    with tempfile.TemporaryDirectory() as root:
        result = campaign(Path(root), options.inputs, options.seed)
    print(json.dumps(result, indent=2))
    if options.out is not None:
        options.out.write_text(json.dumps(result, indent=2) + "\n")
    sys.exit(1 if result["faults"] else 0)


def campaign(root: Path, inputs: int, seed: int) -> dict[str, Any]:
    """Read some damaged inputs, and count the outcomes by kind."""
    start = time.perf_counter()
    whole = [(each, fingerprint(each.read(each.path))) for each in targets(root)]
    others = [path for target, _ in whole for path in target.files]
    print(f"{len(others)} whole files in {time.perf_counter() - start:.0f} s", file=sys.stderr)
    none: dict[str, int] = dict.fromkeys(_KINDS, 0)
    counts = {target.name: collections.Counter(none) for target, _ in whole}
    faults: list[dict[str, Any]] = []
    start = time.perf_counter()
    for number in range(inputs):
        if number % _CLEARED_EVERY == 0:
            jax.clear_caches()
        rng = Random(f"{seed} {number}")
        target, before = rng.choice(whole)
        path = rng.choice(target.files)
        content = path.read_bytes()
        try:
            what = damage(path, rng, others)
            kind, said = _limited(target, before)
        finally:
            restored(path, content)
        counts[target.name][kind] += 1
        if kind not in ("refused", "unchanged", "accepted"):
            name = str(path.relative_to(root))
            fault = {"number": number, "file": name, "damage": what, "kind": kind, "said": said}
            faults.append(fault)
            print(json.dumps(fault), file=sys.stderr)
    seconds = time.perf_counter() - start
    return {
        "inputs": inputs,
        "seconds": round(seconds, 1),
        "total": dict(sum(counts.values(), collections.Counter())),
        "targets": {
            name: {k: v for k, v in each.items() if v} for name, each in counts.items()
        },
        "faults": faults,
    }


def _limited(target: Target, before: str) -> tuple[str, str]:
    """Read within `LIMIT` seconds of CPU time and `_WAITS` times that of wall time."""
    signal.setitimer(signal.ITIMER_PROF, LIMIT)
    signal.setitimer(signal.ITIMER_REAL, _WAITS * LIMIT)
    try:
        return outcome(target, before)
    except Late as late:
        return "hang", str(late)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _late(number: int, _: object) -> None:
    if number == signal.SIGPROF:
        raise Late(f"computed for {LIMIT:g} s")
    raise Late(f"waited for {_WAITS * LIMIT:g} s")


if __name__ == "__main__":
    main()
