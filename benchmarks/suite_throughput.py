"""Steps per second of many environments at once: the suite's beside other vector environments.

    python benchmarks/suite_throughput.py --out suite_throughput.json

Every entry steps `--copies` acrobots, or what stands beside them, `--steps` times with the same
random actions, through `reset` and `step` of Gymnasium's vector interface, NumPy in and out,
autoreset included; the first steps, which compile, are left out. Entries take turns, so that a
machine that slows down slows them all, and `ratio` is against the first of them by the same
median. MuJoCo's double pendulum is measured where MuJoCo is installed, on fewer copies, because
processes are dear. Prints a Markdown table.
"""

import importlib.util
import os
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import gymnasium as gym
import numpy as np
from _common import arguments, machine, write

import lagdyna as lagdyna  # registers the suite

Make = Callable[[int], gym.vector.VectorEnv]


def made(env_id: str, mode: str, **options: Any) -> Make:
    """What makes that many copies of an environment."""
    # A process of JAX's threads must not be forked.
    more: Any = {"vector_kwargs": {"context": "spawn"}} if mode == "async" else {}
    return lambda copies: gym.make_vec(
        env_id, num_envs=copies, vectorization_mode=mode, **more, **options
    )


def entries(copies: int, few: int) -> dict[str, tuple[Make, int]]:
    """What is measured, and how many copies of it."""
    native, sync, several = "vector_entry_point", "sync", "async"
    acrobot = "lagdyna/Acrobot-v0"
    found: dict[str, tuple[Make, int]] = {
        "acrobot, float32": (made(acrobot, native, precision="float32"), copies),
        "acrobot, float64": (made(acrobot, native), copies),
        "acrobot, float64, SyncVectorEnv": (made(acrobot, sync), few),
        "Pendulum-v1, SyncVectorEnv": (made("Pendulum-v1", sync), copies),
        "Pendulum-v1, AsyncVectorEnv": (made("Pendulum-v1", several), few),
    }
    if importlib.util.find_spec("mujoco") is not None:
        double = "InvertedDoublePendulum-v5"
        found[f"{double}, SyncVectorEnv"] = (made(double, sync), few)
        found[f"{double}, AsyncVectorEnv"] = (made(double, several), few)
    return found


class Stepped:
    """An environment that goes on where it was, with the same actions in every turn."""

    def __init__(self, make: Make, copies: int, steps: int):
        self.env = make(copies)
        self.copies = copies
        self.steps = steps
        space: Any = self.env.single_action_space
        rng = np.random.default_rng(0)
        size = (steps, copies, *space.shape)
        self.actions = rng.uniform(space.low, space.high, size).astype(space.dtype)
        self.env.reset(seed=0)
        for action in self.actions[:2]:
            self.env.step(action)

    def turn(self) -> float:
        """Steps of single copies per second."""
        start = time.perf_counter()
        for action in self.actions:
            self.env.step(action)
        return self.copies * self.steps / (time.perf_counter() - start)


def main() -> None:
    """Measures, prints the table, writes JSON."""
    parser = arguments(__doc__, "suite_throughput.json")
    parser.add_argument("--copies", type=int, default=4096)
    parser.add_argument("--few", type=int, default=8, help="copies where each has its process")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--turns", type=int, default=5)
    args = parser.parse_args()
    os.environ.setdefault("MUJOCO_GL", "disabled")  # nothing is drawn
    about = machine()
    stepped = {
        name: Stepped(make, copies, args.steps)
        for name, (make, copies) in entries(args.copies, args.few).items()
    }
    rates: dict[str, list[float]] = {name: [] for name in stepped}
    for _ in range(args.turns):
        for name, each in stepped.items():
            rates[name].append(each.turn())
    first = median(next(iter(rates.values())))
    rows = []
    print("| environment | copies | steps per second | ratio |")
    print("|---|---|---|---|")
    for name, each in stepped.items():
        rate = median(rates[name])
        rows.append(
            {
                "environment": name,
                "copies": each.copies,
                "median_steps_per_second": round(rate),
                "max_steps_per_second": round(max(rates[name])),
                "ratio": round(rate / first, 5),
            }
        )
        print(f"| {name} | {each.copies} | {rate:,.0f} | {rate / first:.2g} |")
        each.env.close()
    write(args.out, {"benchmark": "suite_throughput", "machine": about, "rows": rows})


if __name__ == "__main__":
    main()
