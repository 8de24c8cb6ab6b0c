"""What a reproduction of a paper's figures is, and how its results are written."""

import abc
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ._files import new_directory, numbered, write_json

Progress = Callable[[str], None]


class Entry(NamedTuple):
    """One figure of a paper beside ours: a line of `results.json`.

    **Attributes:** `name`; `paper`, its figure or `None`; `ours`, the mean over seeds, with
    `low` and `high`, the least and the largest of them; `unit`; `seeds`, how many; `note`.
    """

    name: str
    paper: float | None
    ours: float
    low: float
    high: float
    unit: str
    seeds: int
    note: str


def entry(
    name: str, values: list[float], unit: str, *, paper: float | None = None, note: str = ""
) -> Entry:
    """The entry for one value for each seed."""
    return Entry(
        name,
        paper,
        float(np.mean(values)),
        float(np.min(values)),
        float(np.max(values)),
        unit,
        len(values),
        note,
    )


class AbstractReproduction(abc.ABC):
    """An experiment of a paper, made again.

    **Attributes:** `name`, on the command line; `title`, in one line.
    """

    name: str
    title: str

    @abc.abstractmethod
    def run(self, out: Path, seeds: int, quick: bool, progress: Progress) -> list[Entry]:
        """Makes the experiment, and leaves its pictures in `out`.

        **Arguments:** `seeds`, how many; `quick`, for a fraction of the work, which shows
        the tendency only; `progress`, told in one line how it goes on.
        """


def reproduce(
    reproduction: AbstractReproduction,
    out: str | Path | None = None,
    *,
    seeds: int = 3,
    quick: bool = False,
    progress: Progress | None = None,
) -> list[Entry]:
    """Makes an experiment of a paper again, and writes its figures beside ours.

    **Arguments:**

    - `reproduction`: one of the values of `lagdyna.experiments.REPRODUCTIONS`.
    - `out`: a new or empty directory for `results.json` and the pictures; by default the
        first free one in `runs/`.
    - `seeds`, `quick`, `progress`: as for `AbstractReproduction.run`.

    **Returns:** what `results.json` has.

    **Raises:** `UserError` if the directory cannot be used.
    """
    out = reproduction_directory(reproduction.name) if out is None else Path(out)
    new_directory(out)
    entries = reproduction.run(out, seeds, quick, progress or _ignore)
    written: list[dict[str, Any]] = [each._asdict() for each in entries]
    write_json(out / "results.json", written)
    return entries


def reproduction_directory(name: str) -> Path:
    """The first of `runs/NAME-1`, `runs/NAME-2`, ... that does not exist."""
    return numbered(lambda number: Path("runs") / f"{name}-{number}")


def _ignore(line: str) -> None:
    del line
