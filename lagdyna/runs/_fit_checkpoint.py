"""Files of a fit's directory: checkpoint, metrics and sizes."""

import tomllib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from .._errors import UserError
from ..config import FitConfig
from ..identification import FitProblem, FitState, Record, Sizes
from ..options import check_unchanged, config_to_toml, with_newer_options
from ..results import (
    FitRecord,
    SizesFile,
    digest_of,
    digest_of_lines,
    make_directory,
    read_first_lines,
    read_sealed,
    save_checkpoint,
    write_json_lines,
)
from ._config_of import without_extension

CHECKPOINT = Path("checkpoint") / "training.npz"


def sizes_of(run: Path) -> Sizes:
    found, _ = read_sealed(run / "sizes.json", SizesFile)
    named: dict[str, Any] = msgspec.structs.asdict(found)
    values: dict[str, Any] = {
        name: tuple(x) if isinstance(x, list) else x for name, x in named.items()
    }
    return Sizes(**values)


def fit_records(run: Path, notes: dict[str, Any]) -> list[Record]:
    """Read the lines of metrics that a checkpoint refers to."""
    path = run / "metrics.jsonl"
    return read_first_lines(path, notes["records"], notes["digest"], FitRecord)


def same_fit(
    run: Path, config: FitConfig, sizes: Sizes | None
) -> Callable[[dict[str, Any]], None]:
    """Create a check that the notes of a checkpoint are of a config and of sizes."""

    def check(notes: dict[str, Any]) -> None:
        path = run / CHECKPOINT
        try:
            before = with_newer_options(tomllib.loads(notes["config"]), config)
        except ValueError as error:
            raise UserError(f"{str(path)!r} is damaged: its config is not TOML") from error
        now = tomllib.loads(config_to_toml(config))
        check_unchanged(str(run), *without_extension(before, now))
        if sizes is not None and notes["sizes"] != digest_of(sizes._asdict()):
            raise UserError(
                f"{str(run / 'sizes.json')!r} and {str(path)!r} do not belong together: one of "
                "them is damaged or of another fit"
            )

    return check


def check_data(run: Path, problem: FitProblem, notes: dict[str, Any]) -> None:
    """Refuse recordings that are not those of a checkpoint.

    **Raises:** `UserError` if that is so.
    """
    if notes["data"] != problem.digest:
        raise UserError(
            f"`data.file` {problem.config.data.title!r} has changed since {str(run)!r} was "
            "begun; restore the same data to continue, or fit the new data in a new directory"
        )


def keep_fit(out: Path, problem: FitProblem, state: FitState, records: list[Record]) -> None:
    """Write metrics and checkpoint of a fit after some updates."""
    write_json_lines(out / "metrics.jsonl", records)
    make_directory(out / "checkpoint")
    # The checkpoint comes last: it says how many lines of metrics are valid.
    notes = {
        "records": len(records),
        "digest": digest_of_lines(records),
        "data": problem.digest,
        "optax": version("optax"),
        "config": config_to_toml(problem.config),
        "sizes": digest_of(problem.sizes._asdict()),
    }
    save_checkpoint(out / CHECKPOINT, state, notes)
