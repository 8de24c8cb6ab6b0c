"""The file `run.json`: kind, format and version of a run directory."""

import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, cast, get_args

import jax
import msgspec

from .._errors import UserError
from ..options import Origin
from ._files import read_json
from ._seal import check_seal, write_sealed

Kind = Literal["train", "seeds", "fit", "reproduction", "sweep"]
"""Kinds of run directories."""

RUN_FILE = "run.json"
FORMAT = 2
NUMERICS = 1
"""Version of the numerical results of a config and a seed.

Raise it when a change alters the numbers of a training run by more than rounding, whether in
the agent, a model or a task. Tables do not average runs of two versions. Tests compare a few
small runs with `tests/runs/numerics.py`; they cannot detect every change.
"""
_COMMANDS: dict[str, str] = {
    "train": "lagdyna train",
    "seeds": "lagdyna train --seeds",
    "fit": "lagdyna fit",
    "reproduction": "lagdyna reproduce",
    "sweep": "lagdyna sweep",
}
_FILES_OF_FORMAT_1 = ("config.toml", "seeds.json", "reproduction.json")


class RunFacts(msgspec.Struct, frozen=True):
    """Circumstances in which a run was begun.

    **Attributes:** (`None` or empty for runs that do not record them)

    - `precision`: of its numbers.
    - `given`: what the caller gave as Python objects, which no config can hold: `reward`.
    - `folder`: working directory.
    - `directory`: directory of the run.
    - `numerics`: version of the numerical results, `NUMERICS`.
    - `steps`: environment steps of a training run at its start; it may be extended.
    - `observation`: length of the environment's observations.
    - `actions`: lowest and highest value of each of its actions.
    - `begun`: when, UTC, as in ISO 8601.
    """

    precision: Literal["float32", "float64"] | None = None
    given: tuple[str, ...] = ()
    folder: str | None = None
    directory: str | None = None
    numerics: int | None = None
    steps: int | None = None
    observation: int | None = None
    actions: tuple[tuple[float, float], ...] | None = None
    begun: str | None = None


def write_run_file(
    directory: Path,
    kind: Kind,
    given: tuple[str, ...] = (),
    steps: int | None = None,
    observation: int | None = None,
    actions: tuple[tuple[float, float], ...] | None = None,
) -> None:
    """Record the kind of a run in its directory, and the circumstances in which it begins.

    **Arguments:** the last three, as in [`lagdyna.results.RunFacts`][].
    """
    here = str(Path.cwd()), str(directory.resolve())
    now = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"
    facts = RunFacts(precision(), given, *here, NUMERICS, steps, observation, actions, now)
    content = {"kind": kind, "format": FORMAT, "lagdyna": version("lagdyna")}
    write_sealed(directory / RUN_FILE, {**content, **msgspec.to_builtins(facts)})


def precision() -> Literal["float32", "float64"]:
    """Precision in which this process computes."""
    return "float64" if jax.config.jax_enable_x64 else "float32"  # pyright: ignore[reportAttributeAccessIssue]


def run_facts(directory: str | Path) -> RunFacts:
    """Read the circumstances in which a run was begun.

    **Raises:** `UserError` if the file is damaged.
    """
    path = Path(directory) / RUN_FILE
    try:
        return msgspec.convert(read_json(path), RunFacts)
    except msgspec.ValidationError as error:
        raise UserError(f"{str(path)!r} is damaged: {error}") from error


def check_precision(directory: str | Path) -> None:
    """Refuse a run of another precision than that of this process.

    **Raises:** `UserError` that says how to set it.
    """
    found, now = run_facts(directory).precision, precision()
    if found not in (None, now):
        raise UserError(other_precision(str(directory), str(found), now))


def other_precision(what: str, found: str, now: str) -> str:
    """Describe numbers of another precision, and how to set it."""
    wide = found == "float64"
    return (
        f"{what!r} is of {found}, and this process computes in {now}; set JAX_ENABLE_X64="
        f"{1 if wide else 0} before Python starts, or call "
        f"jax.config.update('jax_enable_x64', {wide}) first"
    )


def origin_of(directory: str | Path) -> Origin | None:
    """Find out where a run was begun; `None` if it does not say so."""
    facts = run_facts(directory)
    if facts.folder is None or facts.directory is None:
        return None
    return Origin(Path(facts.folder), Path(facts.directory), Path(directory).resolve())


def kind_of(directory: str | Path) -> Kind | None:
    """Read the kind of a run; `None` if the directory holds no run.

    **Raises:** `UserError` if the file is damaged, or the run is of another format.
    """
    path = Path(directory) / RUN_FILE
    if not path.exists():
        if any((path.parent / name).exists() for name in _FILES_OF_FORMAT_1):
            raise UserError(
                f"{str(directory)!r} was written by lagdyna 0.1, and this is "
                f"{version('lagdyna')}, which cannot read it; "
                "the version that wrote it reads it, or run it again"
            )
        return None
    found: Any = read_json(path)
    kind = found.get("kind") if isinstance(found, dict) else None
    if not isinstance(kind, str) or kind not in get_args(Kind):
        raise UserError(f"{str(path)!r} is damaged: its `kind` is {kind!r}")
    if found.get("format") != FORMAT:
        raise UserError(
            f"{str(directory)!r} was written by lagdyna {found.get('lagdyna')!s:.40} in format "
            f"{found.get('format')!s:.40}, and this version reads format {FORMAT}; use the "
            "version that wrote it"
        )
    check_seal(path, found)
    return cast("Kind", kind)


def check_kind(directory: str | Path, kind: Kind) -> None:
    """Refuse a directory that holds no run of a kind.

    **Raises:** `UserError` that says what it holds.
    """
    found = kind_of(directory)
    if found == kind:
        return
    holds = "no run" if found is None else f"a run of `{_COMMANDS[found]}`"
    raise UserError(
        f"`run` was {str(directory)!r}, which holds {holds}; a directory that "
        f"`{_COMMANDS[kind]}` wrote is accepted"
    )
