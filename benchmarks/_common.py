"""Functions shared by the benchmarks: timing, machine description, options and output."""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import jax


def seconds(program: Callable[[], Any], repeats: int) -> tuple[float, list[float]]:
    """Time the first call of a program, compilation included, and `repeats` further calls.

    **Returns:** seconds of the first call, and seconds of each further call.
    """
    times = []
    for _ in range(1 + repeats):
        start = time.perf_counter()
        jax.block_until_ready(program())
        times.append(time.perf_counter() - start)
    return times[0], times[1:]


def milliseconds(times: list[float], parts: int) -> dict[str, float]:
    """Compute the median and minimum time of one of `parts` equal parts, in milliseconds."""
    return {
        "median_ms": round(1e3 * median(times) / parts, 4),
        "min_ms": round(1e3 * min(times) / parts, 4),
    }


def machine() -> dict[str, Any]:
    """Describe the machine, the commit and the package versions of a measurement."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=10"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    device = jax.devices()[0]
    return {
        "commit": commit,
        "device": f"{device.platform} ({device.device_kind})",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        **{name: version(name) for name in ("jax", "equinox", "diffrax", "optax")},
    }


class Parser(argparse.ArgumentParser):
    """Parser whose option `--launcher` submits the same command as a job, and ends this one."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.add_argument(
            "--launcher", choices=("local", "slurm"), help="submit this command as a job"
        )
        self.add_argument(
            "--slurm", action="append", help="option of a job of Slurm, as partition=gpu"
        )

    def parse_args(self, *args: Any, **kwargs: Any) -> Any:
        found = super().parse_args(*args, **kwargs)
        if found.launcher is None:
            return found
        # Not imported by those that run here.
        from lagdyna import UserError
        from lagdyna.sweeps import launch, slurm_config, without_options

        same = without_options(sys.argv, ("--launcher", "--slurm"))
        try:
            slurm = slurm_config(found.slurm or ())
            name = Path(sys.argv[0]).stem
            jobs = launch(
                [sys.executable, *same], found.launcher, "runs/jobs", name=name, slurm=slurm
            )
        except UserError as error:
            self.error(str(error))
        print(f"job {jobs.ids[0]} was submitted; what it prints is in {jobs.log(0)}")
        sys.exit(0)


def arguments(description: str | None, default_out: str) -> argparse.ArgumentParser:
    """Build an argument parser with the options `--out`, `--launcher` and `--slurm`."""
    parser = Parser(description=description)
    parser.add_argument(
        "--out", type=Path, default=Path(default_out), help="JSON file to write"
    )
    return parser


def write(out: Path, results: dict[str, Any]) -> None:
    """Write the results as JSON."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(f"-> {out}")


def _processor() -> str:
    """Look up the model name of the processor."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()
