"""What a reproduction of a paper's figures is, how it goes on, and what it leaves."""

import abc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float

from .._checkpoint import load_arrays, save_arrays
from .._errors import UserError
from .._files import new_directory, numbered, read_json, write_json

Progress = Callable[[str, str], None]
Result = Mapping[str, np.ndarray]


class Entry(NamedTuple):
    """One figure of a paper beside ours: a line of `results.json`.

    **Attributes:** `name`; `paper`, its figure or `None`; `ours`, the mean over seeds, or what
    `note` says, with `low` and `high`, the least and the largest of them, `None` if no seed
    gave a value, or of a probability its 95 % interval; `unit`; `seeds`, how many; `note`.
    """

    name: str
    paper: float | None
    ours: float | None
    low: float | None
    high: float | None
    unit: str
    seeds: int
    note: str


def _mean(values: Float[np.ndarray, " seeds"]) -> float:
    return float(values.mean())


def entry(
    name: str,
    values: Float[np.ndarray, " seeds"] | list[float],
    unit: str,
    *,
    paper: float | None = None,
    note: str = "",
    missing: str = "without a value",
    middle: Callable[[Float[np.ndarray, " seeds"]], float] = _mean,
) -> Entry:
    """The entry for one value for each seed.

    JSON has neither `nan` nor infinity: seeds whose value is either are left out of mean and
    range, and `note` says how many they are and what that means, which is `missing`. What is
    reported of the others is their `middle`; who gives another than the mean says so in `note`.
    """
    values = np.asarray(values, float)
    finite = values[np.isfinite(values)]
    if finite.size < values.size:
        left_out = f"{values.size - finite.size} of {values.size} seeds {missing}"
        note = f"{note}; {left_out}" if note else left_out
    if finite.size == 0:
        return Entry(name, paper, None, None, None, unit, values.size, note)
    low, high = float(finite.min()), float(finite.max())
    return Entry(name, paper, middle(finite), low, high, unit, values.size, note)


class AbstractReproduction(abc.ABC):
    """An experiment of a paper, made again in parts: every kind once for each seed.

    **Attributes:**

    - `name`: on the command line.
    - `title`: in one line.
    - `kinds`: what is compared.
    - `seeds`: how many there are by default.
    - `tasks`: what may be chosen from, if anything; kinds are then called `TASK.` and
        something more.
    - `quick_tasks`: those that a quick one makes by default; all of them if empty.
    - `quick_seeds`: how many seeds a quick one has by default, if not as many.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]]
    seeds: ClassVar[int] = 3
    tasks: ClassVar[tuple[str, ...]] = ()
    quick_tasks: ClassVar[tuple[str, ...]] = ()
    quick_seeds: ClassVar[int | None] = None

    @abc.abstractmethod
    def make(
        self, kind: str, seed: int, quick: bool, directory: Path, tell: Callable[[str], None]
    ) -> Result:
        """One part of the experiment.

        **Arguments:** `kind`, one of `kinds`; `seed`, of everything random; `quick`, for a
        fraction of the work, which shows the tendency only; `directory`, of this part's own,
        to be made if it is of use, where an interrupted part finds what it left; `tell`, told
        in a few words how it goes on.

        **Returns:** arrays by name, all that the figures and pictures are made of.
        """

    @abc.abstractmethod
    def report(self, out: Path, results: "Results", quick: bool) -> list[Entry]:
        """Draws the pictures into `out`, and gives the figures."""


class Results(NamedTuple):
    """All parts of an experiment.

    **Attributes:** `parts`: for each kind that was made, one result for each seed.
    """

    parts: Mapping[str, list[Result]]

    def stacked(self, kind: str, name: str) -> np.ndarray:
        """An array of every seed, with a leading axis `seeds`."""
        return np.stack([result[name] for result in self.parts[kind]])


def reproduce(
    reproduction: AbstractReproduction,
    out: str | Path | None = None,
    *,
    seeds: int | None = None,
    quick: bool = False,
    tasks: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> list[Entry]:
    """Makes an experiment of a paper again, and writes its figures beside ours.

    Each part is kept when it is done, and is not made again when the same directory is
    given again, be it after an interruption or with more seeds or other tasks.

    **Arguments:**

    - `reproduction`: one of the values of `lagdyna.experiments.REPRODUCTIONS`.
    - `out`: a directory for `results.json` and the pictures, new, empty, or one where this
        reproduction was begun; by default the first free one in `runs/`.
    - `seeds`: how many; by default as many as the reproduction says, which may be fewer for
        a quick one.
    - `quick`: for a fraction of the work, which shows the tendency only.
    - `tasks`: for which of the reproduction's tasks, if it has any; by default for all, a
        quick one for those that it says.
    - `progress`: called with a part, as `lnn, seed 0`, and how it goes on, `done` at last.

    **Returns:** what `results.json` has.

    **Raises:** `UserError` if the directory cannot be used, or the reproduction has no such
    tasks.
    """
    kinds = _kinds(reproduction, quick, tasks)
    if seeds is None:
        seeds = (reproduction.quick_seeds if quick else None) or reproduction.seeds
    out = reproduction_directory(reproduction.name) if out is None else Path(out)
    begun = {"name": reproduction.name, "quick": quick}
    if is_reproduction(out):
        found = _begun(out)
        if any(found[name] != begun[name] for name in begun):
            raise UserError(
                f"`out` was {str(out)!r}, where {found['name']} was begun "
                f"{'with' if found['quick'] else 'without'} --quick; the same, or a new or "
                "empty directory, is accepted"
            )
    else:
        new_directory(out)
    chosen = None if tasks is None else [*tasks]
    write_json(out / _BEGUN, {**begun, "seeds": seeds, "tasks": chosen})
    (out / _PARTS).mkdir(exist_ok=True)
    told = progress or _ignore
    parts: dict[str, list[Result]] = {kind: [] for kind in kinds}
    for seed in range(seeds):
        for kind in kinds:
            path = out / _PARTS / f"{kind}-{seed}.npz"
            label = f"{kind}, seed {seed}"
            if not path.exists():

                def tell(text: str, label: str = label) -> None:
                    told(label, text)

                tell("compiling")
                directory = out / _RUNS / f"{kind}-{seed}"
                save_arrays(path, reproduction.make(kind, seed, quick, directory, tell))
                tell("done")
            parts[kind].append(load_arrays(path))
    entries = reproduction.report(out, Results(parts), quick)
    written: list[dict[str, Any]] = [each._asdict() for each in entries]
    write_json(out / "results.json", written)
    return entries


def resume_reproduction(
    reproductions: Mapping[str, AbstractReproduction],
    out: Path,
    progress: Progress | None = None,
) -> list[Entry]:
    """Goes on with a reproduction that was interrupted.

    **Raises:** `UserError` if the directory holds no reproduction, or a damaged one.
    """
    begun = _begun(out)
    if begun["name"] not in reproductions:
        raise UserError(
            f"{str(out / _BEGUN)!r} names {begun['name']!r}; "
            f"{', '.join(reproductions)} are known"
        )
    return reproduce(
        reproductions[begun["name"]],
        out,
        seeds=begun["seeds"],
        quick=begun["quick"],
        tasks=begun.get("tasks"),
        progress=progress,
    )


def is_reproduction(out: str | Path) -> bool:
    """Whether a directory holds a reproduction, finished or not."""
    return (Path(out) / _BEGUN).exists()


def reproduction_directory(name: str) -> Path:
    """The first of `runs/NAME-1`, `runs/NAME-2`, ... that does not exist."""
    return numbered(lambda number: Path("runs") / f"{name}-{number}")


_BEGUN, _PARTS, _RUNS = "reproduction.json", "parts", "runs"
_SAID = {"name": str, "quick": bool, "seeds": int}


def _begun(out: Path) -> dict[str, Any]:
    """What was said when a reproduction was begun in that directory."""
    path = out / _BEGUN
    found = read_json(path)
    for name, kind in _SAID.items():
        if not isinstance(found, dict) or type(found.get(name)) is not kind:
            raise UserError(f"{str(path)!r} is damaged: it has no {kind.__name__} {name!r}")
    tasks = found.get("tasks")  # older ones say nothing of them
    if tasks is not None and not (
        isinstance(tasks, list) and all(isinstance(task, str) for task in tasks)
    ):
        raise UserError(f"{str(path)!r} is damaged: its 'tasks' is not a list of names")
    return found


def _kinds(
    reproduction: AbstractReproduction, quick: bool, tasks: Sequence[str] | None
) -> list[str]:
    """The kinds to be made: those of the tasks, where there are tasks to choose from."""
    known = reproduction.tasks
    if tasks is not None and not known:
        raise UserError(
            f"`tasks` was {','.join(tasks)!r}; {reproduction.name} has no tasks to choose from"
        )
    for task in tasks or ():
        if task not in known:
            raise UserError(f"`tasks` has {task!r}; accepted: {', '.join(known)}")
    if tasks is not None and len(tasks) == 0:
        raise UserError(f"`tasks` was empty; accepted: {', '.join(known)}")
    if not known:
        return [*reproduction.kinds]
    if tasks is None:
        tasks = (quick and reproduction.quick_tasks) or known
    return [kind for kind in reproduction.kinds if kind.partition(".")[0] in tasks]


def _ignore(part: str, text: str) -> None:
    del part, text
