"""The file `run.json`: kind, format and version of a run directory."""

from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

from .._errors import UserError
from ._files import read_json
from ._seal import check_seal, write_sealed

Kind = Literal["train", "seeds", "fit", "reproduction"]

RUN_FILE = "run.json"
FORMAT = 2
_COMMANDS: dict[str, str] = {
    "train": "lagdyna train",
    "seeds": "lagdyna train --seeds",
    "fit": "lagdyna fit",
    "reproduction": "lagdyna reproduce",
}
_FILES_OF_FORMAT_1 = ("config.toml", "seeds.json", "reproduction.json")


def write_run_file(directory: Path, kind: Kind) -> None:
    """Record the kind of a run in its directory, and the version that writes it."""
    content = {"kind": kind, "format": FORMAT, "lagdyna": version("lagdyna")}
    write_sealed(directory / RUN_FILE, content)


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
    return kind


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
