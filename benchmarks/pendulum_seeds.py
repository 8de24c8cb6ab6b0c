"""Returns, time and memory of `lagdyna train Pendulum-v1` over ten seeds and several budgets.

    python benchmarks/pendulum_seeds.py --out pendulum_seeds.json

Each entry is a run of `lagdyna train Pendulum-v1 --steps STEPS --seed SEED` in a new process,
including compilation. Its results are read from `summary.json`; its memory is the peak of the
process. The output is a Markdown table. Run the command again after an interruption: runs that
are complete in `--runs` are not repeated.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from _common import arguments, machine, write


def run(steps: int, seed: int, directory: Path, options: list[str]) -> dict[str, Any]:
    """Run one seed, or read its results if it is complete."""
    report = directory.with_suffix(".json")
    if report.exists():
        return json.loads(report.read_text())
    command = [
        str(Path(sys.executable).with_name("lagdyna")),
        *("train", "Pendulum-v1", "--steps", str(steps), "--seed", str(seed)),
        *("--out", str(directory), *options),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(command)} failed")
    summary = json.loads((directory / "summary.json").read_text())
    result = {**summary, "peak_gib": usage.ru_maxrss / 2**20, "command": " ".join(command[1:])}
    report.write_text(json.dumps(result, indent=2))
    return result


def main() -> None:
    """Run the benchmark, print a table, write the results as JSON."""
    parser = arguments(__doc__, "pendulum_seeds.json")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs/pendulum_seeds"), help="directory of the runs"
    )
    parser.add_argument("--seeds", type=int, default=10, help="number of seeds")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument(
        "--steps", type=int, nargs="+", default=[200, 400, 600], help="environment steps a run"
    )
    parser.add_argument(
        "options", nargs="*", help="further options of `lagdyna train`, after `--`"
    )
    args = parser.parse_args()
    about = machine()
    table = []
    print("| steps | seeds at -200 or better | mean return of each seed | seconds | peak GiB |")
    print("|---|---|---|---|---|")
    for steps in args.steps:
        results = []
        for seed in range(args.first, args.first + args.seeds):
            directory = args.runs / f"{steps}-{seed}"
            directory.parent.mkdir(parents=True, exist_ok=True)
            results.append(run(steps, seed, directory, args.options))
        returns = [result["return_mean"] for result in results]
        seconds = [result["wall_seconds"] for result in results]
        solved = sum(
            value >= result["target_return"]
            for value, result in zip(returns, results, strict=True)
        )
        row = {
            "steps": steps,
            "solved": solved,
            "seeds": args.seeds,
            "first_seed": args.first,
            "returns": returns,
            "steps_to_target": [result["steps_to_target"] for result in results],
            "median_seconds": statistics.median(seconds),
            "max_seconds": max(seconds),
            "max_peak_gib": max(result["peak_gib"] for result in results),
        }
        table.append(row)
        each = ", ".join(f"{value:.0f}" for value in returns)
        print(
            f"| {steps} | {solved} of {args.seeds} | {each} | "
            f"{row['median_seconds']:.0f} (at most {row['max_seconds']:.0f}) | "
            f"{row['max_peak_gib']:.2f} |",
            flush=True,
        )
    write(args.out, {"benchmark": "pendulum_seeds", "machine": about, "rows": table})


if __name__ == "__main__":
    main()
