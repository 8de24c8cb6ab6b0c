"""Steps per second of the suite's vector environments, compared with other environments.

    python benchmarks/suite_throughput.py --out suite_throughput.json

Each entry steps `--copies` environments `--steps` times with the same random actions, through
Gymnasium's vector interface with NumPy arrays and autoreset. The first steps, which compile,
are not timed. Entries take turns, so that a slowdown of the machine affects all of them.
`ratio` is the median rate relative to that of the first entry. MuJoCo's double pendulum is
measured if MuJoCo is installed, with `--few` copies, since processes are expensive. The output
is a Markdown table.
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
    """Build a function from a number of copies to a vector environment."""
    # A process with JAX's threads must not be forked.
    more: Any = {"vector_kwargs": {"context": "spawn"}} if mode == "async" else {}
    return lambda copies: gym.make_vec(
        env_id, num_envs=copies, vectorization_mode=mode, **more, **options
    )


def entries(copies: int, few: int) -> dict[str, tuple[Make, int]]:
    """List the environments to measure and the number of copies of each."""
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
    """Vector environment that continues across turns, with the same actions in each turn."""

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
        """Run one turn and compute the steps per second, summed over copies."""
        start = time.perf_counter()
        for action in self.actions:
            self.env.step(action)
        return self.copies * self.steps / (time.perf_counter() - start)


def main() -> None:
    """Run the benchmark, print a table, write the results as JSON."""
    parser = arguments(__doc__, "suite_throughput.json")
    parser.add_argument("--copies", type=int, default=4096, help="copies of an environment")
    parser.add_argument("--few", type=int, default=8, help="copies of the slower entries")
    parser.add_argument("--steps", type=int, default=50, help="steps a turn")
    parser.add_argument("--turns", type=int, default=5, help="timed turns of each entry")
    args = parser.parse_args()
    os.environ.setdefault("MUJOCO_GL", "disabled")  # no rendering
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
