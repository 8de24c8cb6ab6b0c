"""Stored runs in `results/`, one small file per run, the source of all tables.

A file is JSON with a checksum. It has one line for each key and each line of metrics.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from _protocols import HERE, Protocol, fingerprint_of_table

from lagdyna import UserError
from lagdyna.results import (
    Curve,
    TrainRecord,
    digest_of,
    evaluations_of,
    make_directory,
    read_sealed,
    write_text,
)

RESULTS = HERE.parent / "results"
_DIGITS = 9  # significant digits that determine a float32


class Stored(msgspec.Struct, kw_only=True):
    """Stored run.

    **Attributes:**

    - `protocol`: name of its protocol.
    - `seed`: seed of the run.
    - `seconds`: wall time of the whole run, or of all seeds that ran together.
    - `at_once`: number of seeds that ran together in one program.
    - `numerics`, `lagdyna`, `commit`, `versions`: versions of the code.
    - `device`, `machine`: hardware.
    - `config`: resolved config.
    - `figures`: figures that need the weights of the final model; empty for some protocols.
    - `metrics`: lines of `metrics.jsonl`.
    """

    protocol: str
    seed: int
    seconds: float
    at_once: int
    numerics: int
    lagdyna: str
    commit: str | None
    versions: dict[str, str]
    device: str
    machine: dict[str, Any]
    config: dict[str, Any]
    figures: dict[str, float | None]
    metrics: list[dict[str, Any]]

    @property
    def fingerprint(self) -> str | None:
        """Fingerprint of config and code; `None` if this lagdyna cannot read the config."""
        return fingerprint_of_table(self.config, self.numerics)

    @property
    def curve(self) -> Curve:
        """Environment steps and mean returns of the evaluations."""
        return evaluations_of(self.metrics)

    @property
    def final(self) -> float:
        """Mean return of the last tenth of the evaluations, at least one."""
        _, returns = self.curve
        return float(np.mean(returns[-max(round(len(returns) / 10), 1) :]))


class Ledger:
    """Stored runs by the fingerprint of their protocol.

    **Arguments:** `runs`, stored runs with their paths; `protocols`, those of the tables.

    **Raises:** `UserError` if the protocol of a run is unknown, or a seed is stored twice.
    """

    def __init__(self, runs: Iterable[tuple[Path, Stored]], protocols: list[Protocol]):
        known = {protocol.name for protocol in protocols}
        self._runs: dict[str, dict[int, Stored]] = {}
        self.left_out: dict[str, int] = {}
        current = {protocol.fingerprint: protocol.name for protocol in protocols}
        for path, run in runs:
            if run.protocol not in known:
                raise UserError(
                    f"{str(path)!r} is of {run.protocol!r}, a protocol that the tables do not "
                    f"know; put its file back into benchmarks/protocols, or remove the run"
                )
            mark = run.fingerprint
            if mark is None or current.get(mark) != run.protocol:
                self.left_out[run.protocol] = self.left_out.get(run.protocol, 0) + 1
                continue
            seeds = self._runs.setdefault(mark, {})
            if run.seed in seeds:
                raise UserError(
                    f"{str(path)!r} is seed {run.seed} of {run.protocol!r}, which is stored "
                    "twice; remove one of the two files"
                )
            seeds[run.seed] = run

    def runs_of(self, protocol: Protocol) -> list[Stored]:
        """List the runs of a protocol in the order of their seeds."""
        seeds = self._runs.get(protocol.fingerprint, {})
        return [seeds[seed] for seed in sorted(seeds)]


def read_ledger(protocols: list[Protocol], folder: Path = RESULTS) -> Ledger:
    """Read all stored runs.

    **Raises:** `UserError` if a file is damaged, or its protocol is unknown.
    """
    return Ledger(((path, read_run(path)) for path in _files(folder)), protocols)


def read_run(path: Path) -> Stored:
    """Read a stored run.

    **Raises:** `UserError` if it is damaged.
    """
    try:
        run, _ = read_sealed(path, Stored)
        msgspec.convert(run.metrics, list[TrainRecord])
        if not run.metrics or path != path_of(run, path.parents[2], path.stem[-8:]):
            raise UserError(f"{str(path)!r} has no metrics, or another name than its content")
    except (UserError, msgspec.ValidationError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{reason}; `git checkout {path}` restores a committed file") from error
    return run


def write_run(run: Stored, folder: Path = RESULTS) -> Path:
    """Write a run to a new file.

    **Returns:** the path.

    **Raises:** `UserError` if it cannot be written.
    """
    path = path_of(run, folder, (run.fingerprint or "")[:8])
    value = json.loads(json.dumps(msgspec.to_builtins(run), default=str), parse_float=_rounded)
    seal = {"sha256": digest_of([value, None], path.name)}
    make_directory(path.parent)
    write_text(path, _text({**value, "seal": seal}))
    return path


def path_of(run: Stored, folder: Path, mark: str) -> Path:
    """Build the path of a stored run from its seed and the start of its fingerprint."""
    return folder / run.protocol / f"seed-{run.seed}-{mark}.json"


def _files(folder: Path) -> list[Path]:
    """List the files of the ledger.

    **Raises:** `UserError` if the folder has another file.
    """
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    # These have formats of their own; timings are tables as their scripts print them.
    others = ("reproductions", "bounds", "timings")
    found = [path for path in found if path.relative_to(folder).parts[0] not in others]
    for path in found:
        if path.suffix != ".json" or len(path.relative_to(folder).parts) != 3:
            raise UserError(
                f"{str(path)!r} is no stored run; files named "
                "GROUP/PROTOCOL/seed-N-FINGERPRINT.json are accepted; remove it"
            )
    return found


def _rounded(text: str) -> float:
    return float(f"{float(text):.{_DIGITS}g}")


def _text(value: Mapping[str, Any]) -> str:
    """Write JSON with a line for each key, and for each line of metrics."""
    lines = []
    for name, each in value.items():
        if name == "metrics":
            rows = ",\n  ".join(json.dumps(row, separators=(",", ":")) for row in each)
            lines.append(f' "metrics": [\n  {rows}\n ]')
        else:
            lines.append(f" {json.dumps(name)}: {json.dumps(each)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"
