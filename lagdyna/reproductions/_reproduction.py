"""The interface of a reproduction, and the loop that makes its parts."""

import abc
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .._errors import UserError
from ..reports import try_report
from ..results import (
    ReproductionFile,
    check_empty,
    check_kind,
    check_links,
    kind_of,
    load_arrays,
    locked,
    make_directory,
    numbered,
    read_sealed,
    reserved,
    save_arrays,
    write_json,
    write_run_file,
    write_sealed,
)
from ._entries import Entry

Progress = Callable[[str, str], None]
PartProgress = Callable[[str], None]
Result = Mapping[str, np.ndarray]
"""Arrays of a finished part by name."""


class Results(NamedTuple):
    """Results of all parts of an experiment.

    **Attributes:** `parts`, for each kind that was made, the result of each seed.
    """

    parts: Mapping[str, list[Result]]

    def stacked(self, kind: str, name: str) -> np.ndarray:
        """Stack an array over seeds, with a leading axis `seeds`."""
        return np.stack([result[name] for result in self.parts[kind]])


class AbstractReproduction(abc.ABC):
    """Experiment of a paper, reproduced in parts: each kind once per seed.

    **Attributes:** (of the class)

    - `name`: name on the command line.
    - `title`: description in one line.
    - `kinds`: methods that are compared. With `tasks` they are called `TASK.METHOD`.
    - `seeds`: number of seeds by default.
    - `quick_seeds`: number of seeds of a quick reproduction by default; `None` for `seeds`.
    - `tasks`: tasks to choose from; empty if there is no choice.
    - `quick_tasks`: tasks of a quick reproduction by default; empty for all.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]]
    seeds: ClassVar[int] = 3
    quick_seeds: ClassVar[int | None] = None
    tasks: ClassVar[tuple[str, ...]] = ()
    quick_tasks: ClassVar[tuple[str, ...]] = ()

    @abc.abstractmethod
    def make(
        self, kind: str, seed: int, quick: bool, directory: Path, progress: PartProgress
    ) -> Result:
        """Make one part of the experiment.

        **Arguments:**

        - `kind`: one of `kinds`.
        - `seed`: seed of everything random.
        - `quick`: whether to do a fraction of the work, which shows the tendency only.
        - `directory`: directory of this part alone, not yet created. An interrupted part
            finds there what it left.
        - `progress`: callback that receives the progress in a few words.

        **Returns:** arrays by name: all that entries and pictures are made of.
        """

    @abc.abstractmethod
    def report(self, out: Path, results: Results, quick: bool) -> list[Entry]:
        """Draw the pictures into `out`, and compute the entries of `results.json`."""

    def missing(self, kind: str) -> str | None:
        """Say in one sentence why a kind cannot be made here; `None` where it can.

        Such kinds are left out. A later call makes them once what they need is installed.
        """
        return None

    def kinds_of(self, quick: bool, tasks: Sequence[str] | None) -> list[str]:
        """List the kinds of some tasks; with `None` those of the default tasks.

        **Raises:** `UserError` if there is no such task, or none to choose from.
        """
        known = self.tasks
        if tasks is not None and not known:
            raise UserError(
                f"`tasks` was {','.join(tasks)!r}; {self.name} has no tasks to choose from"
            )
        for task in tasks or ():
            if task not in known:
                raise UserError(f"`tasks` has {task!r}; accepted: {', '.join(known)}")
        if tasks is not None and len(tasks) == 0:
            raise UserError(f"`tasks` was empty; accepted: {', '.join(known)}")
        if not known:
            return [*self.kinds]
        if tasks is None:
            tasks = (quick and self.quick_tasks) or known
        return [kind for kind in self.kinds if kind.partition(".")[0] in tasks]


def reproduce(
    reproduction: AbstractReproduction,
    out: str | Path | None = None,
    *,
    seeds: int | None = None,
    quick: bool = False,
    tasks: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> list[Entry]:
    """Reproduce an experiment of a paper, and compare its figures with ours.

    Each part is saved when it is done. A part that is in the directory already is not made
    again, after an interruption or with more seeds or other tasks.

    **Arguments:**

    - `reproduction`: one of the values of [`lagdyna.reproductions.REPRODUCTIONS`][].
    - `out`: a directory for `results.json`, `report.html` and the pictures: new, empty, or one
        of the same reproduction; by default the first free one in `runs/`.
    - `seeds`: number of seeds; by default that of the reproduction.
    - `quick`: whether to do a fraction of the work, which shows the tendency only.
    - `tasks`: tasks of a reproduction that has several; by default those that it declares.
    - `progress`: callback that receives a part, such as `lnn, seed 0`, and its progress;
        `done` comes last. Parts that cannot be made here come first, as `left out ...` and the
        reason, with the name of the reproduction.

    **Returns:** the content of `results.json`.

    **Raises:** `UserError` if the directory cannot be used, or there is no such task.
    """
    kinds = reproduction.kinds_of(quick, tasks)
    if seeds is None:
        seeds = (reproduction.quick_seeds if quick else None) or reproduction.seeds
    options = {"name": reproduction.name, "title": reproduction.title, "quick": quick}
    options["seeds"] = seeds
    options["tasks"] = None if tasks is None else [*tasks]
    chosen = None if out is None else Path(out)
    with reserved(chosen, _paths(reproduction.name)) as path, locked(make_directory(path)):
        _begin(path, options)
        kinds = _available(reproduction, path, kinds, seeds, progress)
        return _make(reproduction, path, kinds, seeds, quick, progress)


def _available(
    reproduction: AbstractReproduction,
    out: Path,
    kinds: Sequence[str],
    seeds: int,
    progress: Progress | None,
) -> list[str]:
    """Leave out kinds that cannot be made here, except those that are there for all seeds.

    `progress` receives one sentence for each reason.
    """
    reasons: dict[str, list[str]] = {}
    for kind in kinds:
        made = all(_path(out, kind, seed).exists() for seed in range(seeds))
        reason = None if made else reproduction.missing(kind)
        if reason is not None:
            reasons.setdefault(reason, []).append(kind)
    for reason, left in reasons.items():
        if progress is not None:
            progress(reproduction.name, f"left out {', '.join(left)}: {reason}")
    left_out = {kind for left in reasons.values() for kind in left}
    return [kind for kind in kinds if kind not in left_out]


def _path(out: Path, kind: str, seed: int) -> Path:
    return out / _PARTS / f"{kind}-{seed}.npz"


def _make(
    reproduction: AbstractReproduction,
    out: Path,
    kinds: Sequence[str],
    seeds: int,
    quick: bool,
    progress: Progress | None,
) -> list[Entry]:
    """Make the parts that are missing, and the report."""
    parts: dict[str, list[Result]] = {kind: [] for kind in kinds}
    for seed in range(seeds):
        for kind in kinds:
            path = _path(out, kind, seed)
            label = f"{reproduction.name} {quick} {kind} {seed}"

            def part_progress(text: str, shown: str = f"{kind}, seed {seed}") -> None:
                if progress is not None:
                    progress(shown, text)

            if not path.exists():
                part_progress("compiling")
                directory = out / _RUNS / f"{kind}-{seed}"
                made = reproduction.make(kind, seed, quick, directory, part_progress)
                save_arrays(path, made, label)
                part_progress("done")
            parts[kind].append(_part(path, label, parts[kind]))
    entries = reproduction.report(out, Results(parts), quick)
    written: list[dict[str, Any]] = [each._asdict() for each in entries]
    write_json(out / "results.json", written)
    for note in try_report(out):
        if progress is not None:
            progress(reproduction.name, note)
    return entries


def resume_reproduction(
    reproductions: Mapping[str, AbstractReproduction],
    out: str | Path,
    progress: Progress | None = None,
) -> list[Entry]:
    """Continue an interrupted reproduction.

    **Arguments:** `reproductions`, by name; the others as for
    [`lagdyna.reproductions.reproduce`][].

    **Raises:** `UserError` if the directory holds no reproduction, or a damaged one.
    """
    out = Path(out)
    check_kind(out, "reproduction")
    begun = _options(out)
    if begun["name"] not in reproductions:
        raise UserError(
            f"{str(out / _FILE)!r} names {begun['name']!r}; known are "
            f"{', '.join(reproductions)}"
        )
    return reproduce(
        reproductions[begun["name"]],
        out,
        seeds=begun["seeds"],
        quick=begun["quick"],
        tasks=begun["tasks"],
        progress=progress,
    )


def reproduction_directory(name: str) -> Path:
    """Find the first of `runs/NAME-1`, `runs/NAME-2`, ... that does not exist."""
    return numbered(_paths(name))


def reserve_reproduction(name: str, out: Path | None) -> AbstractContextManager[Path]:
    """Create the default directory of a reproduction, unless another one was given.

    **Returns:** a context manager that gives the directory, and removes it at its end if it is
    still empty.
    """
    return reserved(out, _paths(name))


def _paths(name: str) -> Callable[[int], Path]:
    return lambda number: Path("runs") / f"{name}-{number}"


_FILE, _PARTS, _RUNS = "reproduction.json", "parts", "runs"


def _begin(out: Path, options: dict[str, Any]) -> None:
    """Create the directory of a reproduction, or check that it holds the same one.

    **Raises:** `UserError` if it holds anything else.
    """
    if kind_of(out) == "reproduction":
        check_links(out)
        found = _options(out)
        if any(found[name] != options[name] for name in ("name", "quick")):
            raise UserError(
                f"`out` was {str(out)!r}, where {found['name']} was begun "
                f"{'with' if found['quick'] else 'without'} --quick; the same, or a new or "
                "empty directory, is accepted"
            )
    else:
        check_empty(out)
        write_run_file(out, "reproduction")
    write_sealed(out / _FILE, options)
    make_directory(out / _PARTS)


def _options(out: Path) -> dict[str, Any]:
    """Read the options that a reproduction was begun with.

    **Raises:** `UserError` if the file is damaged.
    """
    path = out / _FILE
    return read_sealed(path, ReproductionFile)[1]


def _part(path: Path, label: str, others: list[Result]) -> Result:
    """Load a part, whose arrays are those of the other seeds.

    **Raises:** `UserError` if the file is damaged.
    """
    found = load_arrays(path, label)
    for other in others[:1]:
        if found.keys() != other.keys():
            raise UserError(
                f"{str(path)!r} has other arrays than the parts of other seeds; once it is "
                "deleted, `lagdyna resume` makes it again"
            )
    return found
