"""Kill small runs of every kind at random moments, resume them, and compare their ends.

    python benchmarks/kills.py --kills 200 --out kills.json

Each run is trained or fitted once without interruption. Then it is killed (`SIGKILL`) again
and again: half of the kills come at a random moment, half right before, within or after one of
the operations that write files. Every kill is followed by `resume`, which is killed too or runs
to its end. At the end the run directory is compared with that of the uninterrupted run: every
array to the bit, every number but the seconds, and the names of all files.

The output is a Markdown table. The command ends with code 1 if any end differs.
"""

import argparse
import functools
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import matplotlib.pyplot  # noqa: F401  so that it is imported once
import numpy as np
from _common import arguments, machine, write

import lagdyna
from lagdyna import UserError
from lagdyna.config import config_from_table, fit_config
from lagdyna.progress import Silence
from lagdyna.reproductions import (
    AbstractReproduction,
    entry,
    reproduce,
    resume_reproduction,
)
from lagdyna.reproductions._runs import train_or_resume
from lagdyna.results import kind_of

TINY: dict[str, Any] = {
    "steps": 60,
    "model": {"hidden": [8]},
    "solver": {"name": "euler"},
    "learner": {"updates": 5, "batch": 8},
    "reward": {"hidden": [8]},
    "agent": {"hidden": [8], "updates": 3, "batch": 8, "horizon": 3},
    # Each second phase ends within an episode: rounds end with one, after 200 steps.
    "collect": {"random_steps": 20, "train_every": 10, "steps_per_round": 20},
    "evaluation": {"episodes": 2},
}
DYNA = {
    **{"name": "dyna", "updates": 1, "batch": 8, "rollouts": 4, "length": 2},
    "algorithm": {"hidden": [8]},
}
EKF = {"name": "ekf", "updates": 3, "batch": 4}
FIT: dict[str, Any] = {
    "model": {"name": "lnn", "hidden": [8]},
    "learner": {"updates": 40, "batch": 8},
}
SUITE = {
    "task": "pendulum",
    "steps": 1500,
    "collect": {"random_steps": 200, "train_every": 300},
}
CASES = ("host", "suite", "dyna", "ekf", "seeds", "fit", "fit-ekf", "reproduce")
TIMES = ("seconds", "wall_seconds", "directory", "folder", "run", "out", "seal", "digest")


# ---- the process that is killed ------------------------------------------------------------


class Killer:
    """Counts events of this process, and kills it at one of them.

    **Arguments:** `at`, the number of the event, 0 for none; `delay`, seconds from there until
    the kill; `None` for a kill at the event itself.
    """

    def __init__(self, at: int, delay: float | None):
        self.at, self.delay, self.events = at, delay, 0

    def event(self, half: Callable[[], Any] | None = None) -> None:
        """Count an event; `half` does half of the work that it stands for."""
        self.events += 1
        if self.events != self.at:
            return
        if self.delay is None:
            if half is not None:
                half()
            os.kill(os.getpid(), signal.SIGKILL)
        else:  # the default action of SIGALRM ends the process at once, wherever it is
            signal.setitimer(signal.ITIMER_REAL, self.delay)

    def watch(self, owner: Any, name: str, half: Callable[..., Any] | None = None) -> None:
        """Let every call of a function be three events: before, within and after it."""
        function = getattr(owner, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            self.event()
            if half is not None:
                self.event(functools.partial(half, *args, **kwargs))
            result = function(*args, **kwargs)
            self.event()
            return result

        setattr(owner, name, watched)


def _half_text(path: Path, text: str, **_: Any) -> None:
    with path.open("w") as file:
        file.write(text[: len(text) // 2])


def _half_arrays(file: Any, **_: Any) -> None:
    file.write(b"PK\x03\x04 half of an archive")
    file.flush()


def child(case: str, out: Path, killer: Killer) -> None:
    """Begin or resume the run of a case, in a process that may be killed."""

    class Events(Silence):
        def phase(self, name: str, done: int, total: int, metrics: dict[str, float]) -> None:
            killer.event()

        def evaluation(self, evaluation: dict[str, Any]) -> None:
            killer.event()

        def record(self, record: dict[str, Any]) -> None:
            if "updates" in record:  # of a fit
                killer.event()

    for name in ("fsync", "replace", "rename"):
        killer.watch(os, name)
    for name in ("mkdir", "unlink", "chmod", "replace"):
        killer.watch(Path, name)
    killer.watch(tempfile, "mkstemp")
    killer.watch(Path, "write_text", _half_text)
    killer.watch(np, "savez", _half_arrays)

    changes: dict[str, dict[str, Any]] = {
        "suite": SUITE,
        "dyna": {"agent": DYNA},
        "ekf": {"learner": EKF},
    }
    fits = {"fit": {}, "fit-ekf": {"learner": {**EKF, "updates": 20}}}

    def begin() -> None:
        if case in fits:
            data = {"file": str(out.parent / "data.csv"), "angles": [0]}
            config = fit_config({**FIT, "data": data, **fits[case]})
            lagdyna.fit_model(config, out, progress=Events())
        elif case == "reproduce":
            reproduce(reproduction(), out, seeds=2, progress=lambda *_: killer.event())
        else:
            config = config_from_table({**TINY, **changes.get(case, {})})
            if case == "seeds":
                lagdyna.train_seeds(config, 2, out, progress=Events())
            else:
                lagdyna.train(config, out, progress=Events())

    def resume() -> None:
        if case == "reproduce":
            experiments = {"two-runs": reproduction()}
            resume_reproduction(experiments, out, lambda *_: killer.event())
        else:
            lagdyna.resume(out, progress=Events())

    if kind_of(out) is None:
        begin()
    else:
        try:
            resume()
        except UserError as error:
            if not any(text in str(error) for text in _BEFORE_THE_BEGINNING):
                raise
            shutil.rmtree(out)
            begin()


# What `resume` says of a run that was killed while its directory was being made.
_BEFORE_THE_BEGINNING = ("start it again", "seeds.json' is not whole", "reproduction.json'")


def reproduction() -> AbstractReproduction:
    """Create an experiment whose parts are tiny training runs."""

    class TwoRuns(AbstractReproduction):
        name, title, kinds = "two-runs", "two training runs", ("dyna",)

        def make(
            self, kind: str, seed: int, quick: bool, directory: Path, progress: Any
        ) -> Any:
            table = {**TINY, "steps": 40, "agent": DYNA, "seed": seed}
            _, result = train_or_resume(config_from_table(table), directory, progress)
            return {name: each for name, each in result.items() if name != "seconds"}

        def report(self, out: Path, results: Any, quick: bool) -> Any:
            last = results.stacked("dyna", "returns")[:, -1]
            return [entry("return", last, "", note="of the last evaluation")]

    return TwoRuns()


# ---- the campaign --------------------------------------------------------------------------


class Tally(NamedTuple):
    """Counts of one case."""

    kills: int = 0
    inside: int = 0
    ends: int = 0
    identical: int = 0
    seconds: float = 0.0


def run(case: str, out: Path, at: int, delay: float | None) -> tuple[bool, int]:
    """Run a case in a process of its own.

    The process is a fork of this one, which has imported everything and computed nothing.

    **Returns:** whether it was killed, and the number of its events if it was not.
    """
    count, log = out.with_suffix(".events"), out.with_suffix(".log")
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            with log.open("w") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            killer = Killer(at, delay)
            child(case, out, killer)
            signal.setitimer(signal.ITIMER_REAL, 0)
            count.write_text(str(killer.events))
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code > 0:
        print(log.read_text(), file=sys.stderr)
        raise SystemExit(f"{case}: a run failed that was not killed")
    return code < 0, 0 if code < 0 else int(count.read_text())


def contents(directory: Path) -> dict[str, Any]:
    """Read all files of a run directory, without times and places."""
    found: dict[str, Any] = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        if path.is_dir():
            found[name] = "directory"
        elif path.suffix == ".npz":
            found[name] = _arrays(path)
        elif path.suffix == ".json":
            found[name] = _timeless(json.loads(path.read_text()))
        elif path.suffix == ".jsonl":
            found[name] = [_timeless(json.loads(x)) for x in path.read_text().splitlines()]
        elif path.suffix == ".toml":
            found[name] = path.read_text()
        else:
            found[name] = "picture"
    return found


def _arrays(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        names = {*archive.namelist()} - {"seal.npy"}  # a checksum, of times too
        arrays = {name: archive.read(name) for name in sorted(names)}
    if "notes.npy" in arrays:
        with np.load(path) as file:
            arrays["notes.npy"] = _timeless(json.loads(str(file["notes"])))
    return arrays


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _timeless(each) for name, each in value.items() if name not in TIMES}
    return [_timeless(each) for each in value] if isinstance(value, list) else value


def recording(path: Path) -> None:
    """Write motions of a pendulum without friction, of known torque."""
    rows = ["trajectory,t,q0,qd0,tau0"]
    for trajectory in range(4):
        q, qd = 1.0 + trajectory / 2, 0.0
        for i in range(60):
            tau = np.sin(0.2 * i + trajectory)
            rows.append(f"{trajectory},{0.05 * i:.9g},{q:.9g},{qd:.9g},{tau:.9g}")
            for _ in range(50):
                qd += 0.001 * (tau - 9.81 * np.sin(q))
                q += 0.001 * qd
    path.write_text("\n".join(rows) + "\n")


def campaign(
    case: str, kills: int, folder: Path, rng: random.Random
) -> tuple[Tally, list[str]]:
    """Kill runs of one case, and compare each end with that of a run that was not killed.

    **Returns:** the counts, and the names of files that differ.
    """
    recording(folder / "data.csv")
    whole, killed = folder / f"{case}-whole", folder / f"{case}-killed"
    _, events = run(case, whole, 0, None)
    expected, tally, different = contents(whole), Tally(), []
    start = time.perf_counter()
    while tally.kills < kills:
        shutil.rmtree(killed, ignore_errors=True)
        while True:
            inside = rng.random() < 0.5
            # A resumed run has fewer events than a whole one, so some come to their end.
            at = rng.randint(1, events) if tally.kills < kills else 0
            was_killed, _ = run(case, killed, at, None if inside else rng.uniform(0, 0.3))
            if not was_killed:
                break
            tally = tally._replace(kills=tally.kills + 1, inside=tally.inside + inside)
        found = contents(killed)
        names = sorted(
            name for name in expected | found if expected.get(name) != found.get(name)
        )
        different += [f"{case}: {name}" for name in names]
        tally = tally._replace(ends=tally.ends + 1, identical=tally.identical + (not names))
    return tally._replace(seconds=time.perf_counter() - start), different


def main() -> int:
    """Run the campaign, print a table, write the results as JSON."""
    parser = arguments(__doc__, "kills.json")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--kills", type=int, default=200, help="number of kills in all")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument(
        "--cases", nargs="+", default=CASES, choices=CASES, help="kinds of runs"
    )
    args = parser.parse_args()
    rng, rows, wrong = random.Random(args.seed), {}, []
    with tempfile.TemporaryDirectory(prefix="lagdyna-kills-") as folder:
        jax.config.update("jax_compilation_cache_dir", f"{folder}/programs")
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        print("| run | kills | inside writes | ends | identical | seconds a kill |")
        print("|---|---|---|---|---|---|", flush=True)
        for i, case in enumerate(args.cases):
            share = args.kills // len(args.cases) + (i < args.kills % len(args.cases))
            tally, different = campaign(case, share, Path(folder), rng)
            each = tally.seconds / max(tally.kills, 1)
            print(
                f"| {case} | {tally.kills} | {tally.inside} | {tally.ends} | "
                f"{tally.identical} | {each:.1f} |",
                flush=True,
            )
            rows[case], wrong = tally._asdict(), wrong + different
    for name in wrong:
        print(f"different: {name}")
    write(
        args.out, {"machine": machine(), "seed": args.seed, "cases": rows, "different": wrong}
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
