"""Seconds to load a policy in a new process, and microseconds of one `predict`.

    python benchmarks/policies.py runs/Pendulum-v1-1 --out policies.json

The policy of a training run, and its exports to every format whose packages are installed. Each
is loaded in processes of their own; seconds are those of `import lagdyna` and of the load.
The last rows are the trainer's own way, `load_run`, and its compiled action.
"""

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from _common import arguments, machine, write

from lagdyna.export import export

CHILD = """
import json, sys, time
start = time.perf_counter()
import numpy as np
import lagdyna
how, where = sys.argv[1:]
if how == "load_run":
    run = lagdyna.load_run(where)
    n = run.config.task.n
    state = lagdyna.State(np.zeros((1, n)), np.zeros((1, n)))
    act = lambda: np.asarray(run.trainer.act(run.training, state))
else:
    policy = lagdyna.load_policy(where)
    observation = np.full(policy.spaces.observation, 0.1, np.float32)
    act = lambda: policy.predict(observation)
loaded = time.perf_counter() - start
act()
first = time.perf_counter() - start
times = []
for _ in range(3000):
    begun = time.perf_counter()
    act()
    times.append(time.perf_counter() - begun)
us = 1e6 * sorted(times)[len(times) // 2]
print(json.dumps({"loaded": loaded, "first": first, "us": us}))
"""
PACKAGES = {"npz": None, "stablehlo": "flatbuffers", "onnx": "jax2onnx"}


def main() -> None:
    """Run the benchmark, print the results, write them as JSON."""
    parser = arguments(__doc__, "policies.json")
    parser.add_argument("run", help="directory of a training run of one seed")
    parser.add_argument("--repeats", type=int, default=3, help="processes for each row")
    args = parser.parse_args()
    about, rows = machine(), {}
    with tempfile.TemporaryDirectory() as folder:
        ways = {"load_policy": args.run}
        for name, package in PACKAGES.items():
            if package is None or importlib.util.find_spec(package) is not None:
                out, _ = export(args.run, "policy", name, Path(folder) / name)
                ways[f"load_policy, {name}"] = str(out)
        ways["load_run"] = args.run
        for how, where in ways.items():
            found = [_child(how, where) for _ in range(args.repeats)]
            rows[how] = {key: median(each[key] for each in found) for key in found[0]}
    print(
        "| | s until loaded | s until the first action | us for an action |\n|---|---|---|---|"
    )
    for how, row in rows.items():
        print(f"| {how} | {row['loaded']:.2f} | {row['first']:.2f} | {row['us']:.0f} |")
    write(args.out, {**about, "run": Path(args.run).name, "rows": rows})


def _child(how: str, where: str) -> dict[str, Any]:
    child = subprocess.run(
        [sys.executable, "-c", CHILD, how, where], capture_output=True, text=True, check=True
    )
    return json.loads(child.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
