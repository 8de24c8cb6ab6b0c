"""Time of a sweep on one worker and on several, which share the cores of this machine.

    python benchmarks/sweeps.py --out sweeps.json

A grid of `--trials` trials with `--seeds` seeds each learns Pendulum-v1 for `--steps` steps:
once on one worker, then on `--workers`, by `lagdyna sweep --launcher local`. Every sweep begins
without compiled programs. Seconds are those from the start of the command to its end. `ratio`
is the time of one worker by that of several. The output is a Markdown table.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import tomli_w
from _common import arguments, machine, write

from lagdyna.sweeps import read_trials


def main() -> None:
    """Run the benchmark, print a table, write the results as JSON."""
    parser = arguments((__doc__ or "").partition("\n")[0], "sweeps.json")
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--small", action="store_true", help="networks that learn nothing")
    given = parser.parse_args()
    about = machine()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sweep.toml"
        file.write_text(
            tomli_w.dumps(sweep_of(given.trials, given.seeds, given.steps, given.small))
        )
        times = {count: timed(file, count) for count in (1, given.workers)}
    ratio = times[1]["seconds"] / times[given.workers]["seconds"]
    print("| workers | seconds | finished trials |\n|---|---|---|")
    for count, found in times.items():
        print(f"| {count} | {found['seconds']:.0f} | {found['finished']} |")
    print(f"\n{given.workers} workers: {ratio:.2f} times as fast as one")
    sizes = {name: getattr(given, name) for name in ("trials", "seeds", "steps", "small")}
    write(given.out, {**about, **sizes, "workers": times, "ratio": ratio})


def sweep_of(trials: int, seeds: int, steps: int, small: bool) -> dict[str, Any]:
    """Create the table of a grid over learning rates."""
    train: dict[str, Any] = {"task": "Pendulum-v1", "steps": steps}
    if small:
        agent = {"name": "dyna", "ratio": 0.0, "updates": 1, "batch": 8}
        train["agent"] = {**agent, "algorithm": {"hidden": [8]}}
        train["collect"] = {"random_steps": 20, "train_every": 10, "steps_per_round": 20}
        train["evaluation"] = {"episodes": 2}
        space = {"agent.batch": list(range(8, 8 + trials))}
    else:
        space = {"learner.rate": [3e-4 * 1.2**i for i in range(trials)]}
    return {"sampler": "grid", "seeds": seeds, "train": train, "space": space}


def timed(file: Path, workers: int) -> dict[str, Any]:
    """Run a sweep on some workers, and time it."""
    out = file.parent / f"workers-{workers}"
    command = [sys.executable, "-m", "lagdyna", "sweep", str(file), "--out", str(out)]
    command += ["--launcher", "local", "--workers", str(workers)]
    environment = {**os.environ, "LAGDYNA_CACHE": str(file.parent / f"programs-{workers}")}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    begun = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=sys.stderr)
    return {"seconds": time.perf_counter() - begun, "finished": len(read_trials(out).best)}


if __name__ == "__main__":
    main()
