"""Seconds from process start to the first update of the model and of the agent.

    python benchmarks/startup.py --out startup.json

A child process imports lagdyna and takes 50 random steps in Pendulum-v1. It then runs one
update of the model and one of the agent, with the defaults of `lagdyna train`. Nearly all of
the time is spent on importing, tracing and compiling. The `first` start finds no compiled
programs, the `second` those that the first has kept, as the command line keeps them: traced
by lagdyna, compiled by JAX.
"""

import json
import os
import subprocess
import sys
import tempfile
from statistics import median

from _common import arguments, machine, write

CACHE = "JAX_COMPILATION_CACHE_DIR"
CHILD = """
import time
start = time.perf_counter()
import json
import jax
import numpy as np
from lagdyna.data import Experience
from lagdyna.config import Config
from lagdyna.tasks import GymnasiumTask
from lagdyna.training import OneSeed, Trainer
marks = {"imported": time.perf_counter() - start}
trainer = Trainer(Config())
training = trainer.init()
env = GymnasiumTask(trainer.config.task)
state = env.reset(0)
for _ in range(50):
    action = np.asarray(trainer.explore(training, state))
    outcome = env.step(action)
    fields = (state, action, outcome.reward, outcome.state, outcome.terminated)
    entry = Experience(*jax.tree.map(np.asarray, fields))
    training = trainer.store(training, entry, np.asarray(outcome.steps), np.asarray(True))
    state = outcome.state
marks["collected"] = time.perf_counter() - start
seeds, active = OneSeed(trainer), np.asarray([True])
training, _ = seeds.learn("fit", trainer.begin_phase(training), active, 0, 1)
jax.block_until_ready(training)
marks["first_model_update"] = time.perf_counter() - start
training, _ = seeds.learn("improve", training, active, 0, 1)
jax.block_until_ready(training)
marks["first_behaviour_update"] = time.perf_counter() - start
print(json.dumps(marks))
"""


def main() -> None:
    """Run the benchmark, print the results, write them as JSON."""
    parser = arguments(__doc__, "startup.json")
    parser.add_argument("--repeats", type=int, default=3, help="child processes to time")
    args = parser.parse_args()
    about = machine()
    marks: dict[str, list[dict[str, float]]] = {"first": [], "second": []}
    for _ in range(args.repeats):
        with tempfile.TemporaryDirectory() as cache:
            kept = {CACHE: cache, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1"}
            for found in marks.values():
                child = subprocess.run(
                    [sys.executable, "-c", CHILD],
                    env={**os.environ, **kept},
                    capture_output=True,
                    text=True,
                    check=True,
                )
                found.append(json.loads(child.stdout.splitlines()[-1]))
    seconds = {
        start: {name: round(median(mark[name] for mark in found), 2) for name in found[0]}
        for start, found in marks.items()
    }
    print("| | first start | second start |\n|---|---|---|")
    for name in seconds["first"]:
        cells = (f"{seconds[start][name]:.1f} s" for start in marks)
        print(f"| {name.replace('_', ' ')} | {' | '.join(cells)} |")
    write(args.out, {"benchmark": "startup", "machine": about, "seconds": seconds})


if __name__ == "__main__":
    main()
