"""Returns, sample efficiency, model error and time on the suite, and the cost of an episode.

    python benchmarks/suite.py --tasks acrobot --seeds 3 --steps 25000 --out suite.json

Each run is one task, model and seed of `lagdyna reproduce ramesh2023-suite` in a new process,
so its seconds include compilation. Without `--steps`, a run takes as many steps as there.
Runs that are complete in `--runs` are not repeated, and interrupted runs are resumed. With
`--made`, only complete runs are reported, whatever the number of seeds. `--picture` plots the
returns of all seeds.

The cost of an episode is the time of the updates that the code of Ramesh & Ravindran (2023)
runs after each episode: 10,000 updates of dynamics and reward on 64 steps, then 1,000 updates
of actor and critic on 64 imagined rollouts of 16 steps. Network sizes are those of the paper,
64x64 for dynamics and reward, 256x256 for actor and critic. Actions are not repeated. The data
are ten episodes of random actions, as at the start of their code. The programs are those of
`lagdyna train`, compiled before the timing starts. Their code takes 336 s on the acrobot, in
float64 on two CPU cores; this number was not measured by this benchmark.

The output is three Markdown tables: tasks, runs and costs.
"""

import argparse
import dataclasses
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from _common import arguments, machine, write

from lagdyna import State
from lagdyna.config import Config, RewardConfig
from lagdyna.data import Experience, ReplayBuffer
from lagdyna.parts import AdamConfig, DeLaNConfig, ImaginationConfig, MLPConfig
from lagdyna.reproductions import Result, Results
from lagdyna.reproductions.ramesh2023_suite import (
    MODELS,
    PAPER,
    converged_return,
    make_part,
    plot_returns_of_tasks,
    published,
    run_config,
    steps_of,
)
from lagdyna.results import evaluations_of, interquartile_mean, steps_to
from lagdyna.tasks import get_task, suite_task
from lagdyna.training import Trainer, TrainingState

MODEL_UPDATES, BEHAVIOUR_UPDATES, PIECE = 10_000, 1_000, 200
EPISODES = 10
THEIR_SECONDS = {"acrobot": 336.0}
FIGURES = ("return", "steps_to_95", "one_step_l1", "observed_l1", "held_l1", "seconds")


def one_run(task: str, model: str, steps: int, seed: int, directory: Path) -> None:
    """Start or resume a run, and write its results next to its directory."""

    def tell(text: str) -> None:
        print(f"{directory.name}: {text}", file=sys.stderr, flush=True)

    made = make_part(run_config(task, model, steps, seed), directory, tell)
    target = 0.95 * published(f"{task}.{model}").value
    known = not np.isnan(made["l1"])  # nan for models whose only time step is an action
    figures = {
        "return": converged_return(made["returns"]),
        "steps_to_95": steps_to(made["steps"], made["returns"], target),
        "one_step_l1": float(made["l1"] if known else made["held_l1"]),
        "observed_l1": float(made["observed"] if known else made["held_observed"]),
        "held_l1": float(made["held_l1"]),
        "seconds": float(made["seconds"]),
    }
    finite = {name: value if math.isfinite(value) else None for name, value in figures.items()}
    _figures(directory).write_text(json.dumps(finite, indent=2))


def _figures(directory: Path) -> Path:
    """Build the path of the results of a run."""
    return directory.with_name(f"{directory.name}.json")


def directory_of(task: str, model: str, steps: int, seed: int, runs: Path) -> Path:
    """Build the path of the directory of a run."""
    return runs / f"{task}.{model}-{steps}-{seed}"


def found(task: str, model: str, steps: int, seed: int, runs: Path) -> dict[str, Any]:
    """Read the results of a run, after running it in a new process if it is not complete."""
    directory = directory_of(task, model, steps, seed, runs)
    if not _figures(directory).exists():
        one = ("--one", task, model, str(steps), str(seed), str(directory))
        process = subprocess.Popen([sys.executable, __file__, *one])
        _, status, _ = os.wait4(process.pid, 0)
        if status != 0:
            raise SystemExit(f"{' '.join(one)} failed")
    return {"seed": seed, **json.loads(_figures(directory).read_text())}


def curve(directory: Path) -> Result:
    """Read the steps and returns of the evaluations of a run."""
    lines = (directory / "metrics.jsonl").read_text().splitlines()
    steps, returns = evaluations_of([json.loads(line) for line in lines])
    return {"steps": steps, "returns": returns}


def middle(values: list[float | None]) -> dict[str, Any]:
    """Compute the interquartile mean over seeds, and list the value of each seed.

    Seeds that miss the target have the value `None` and count as infinite in the mean.
    """
    mean = interquartile_mean(np.asarray([math.inf if x is None else x for x in values]))
    return {"interquartile_mean": mean if math.isfinite(mean) else None, "seeds": values}


def seeds_of(task: str, model: str, steps: int, args: argparse.Namespace) -> list[int]:
    """List the requested seeds, or with `--made` those whose runs are complete."""
    directories = [directory_of(task, model, steps, i, args.runs) for i in range(args.seeds)]
    return [i for i, each in enumerate(directories) if not args.made or _figures(each).exists()]


def row_of(task: str, model: str, args: argparse.Namespace) -> dict[str, Any] | None:
    """Collect the results of a task and model over all seeds, `None` without any seed."""
    steps = args.steps or steps_of(task, False)
    seeds = seeds_of(task, model, steps, args)
    if not seeds:
        return None
    each = [found(task, model, steps, seed, args.runs) for seed in seeds]
    figures = {name: middle([run[name] for run in each]) for name in FIGURES}
    paper = published(f"{task}.{model}")._asdict()
    about = {"task": task, "model": model, "steps": steps, "seeds": seeds}
    return {**about, "paper": paper, **figures}


def paper_config(task: str, model: str) -> Config:
    """Build the config with the paper's network sizes, batch sizes and numbers of updates."""
    config = run_config(task, model, EPISODES * suite_task(task).horizon, 0)
    return dataclasses.replace(
        config,
        task=dataclasses.replace(get_task(task), repeat=1, substeps=1),
        model={"delan": DeLaNConfig, "mlp": MLPConfig}[model](hidden=(64, 64)),
        reward=RewardConfig(hidden=(64, 64)),
        learner=AdamConfig(rate=3e-4, batch=64, updates=MODEL_UPDATES),
        agent=ImaginationConfig(
            hidden=(256, 256), horizon=16, batch=64, rate=3e-4, updates=BEHAVIOUR_UPDATES
        ),
    )


@eqx.filter_jit
def random_episodes(task: Any, key: Any) -> Experience:
    """Simulate episodes of random actions, concatenated along one axis."""

    def step(state: State, action: Any) -> tuple[State, Experience]:
        following, reward = task.step(state, action)
        return following, Experience(state, action, reward, following, jnp.zeros((), bool))

    def episode(key: Any) -> Experience:
        start, actions = jax.random.split(key)
        shape = (task.horizon, task.action_size)
        random = jax.random.uniform(actions, shape, minval=-1.0)
        return jax.lax.scan(step, task.reset(start), random)[1]

    made = jax.vmap(episode)(jax.random.split(key, EPISODES))
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), made)


def begun(trainer: Trainer, task: str) -> TrainingState:
    """Build the initial state of a run whose buffer holds the random episodes."""
    training = trainer.init()
    experience = random_episodes(suite_task(task), jax.random.key(0))
    rows = experience.reward.shape[0]
    numbers = jnp.arange(rows) // (rows // EPISODES)
    buffer = ReplayBuffer(experience, numbers, jnp.asarray(rows))
    return trainer.begin_phase(eqx.tree_at(lambda t: t.buffer, training, buffer))


def episode_cost(task: str, model: str) -> dict[str, Any]:
    """Measure the seconds of the updates of one episode, in the current precision."""
    trainer = Trainer(paper_config(task, model))
    training = begun(trainer, task)
    row: dict[str, Any] = {"task": task, "model": model}
    row["dtype"] = str(training.buffer.experience.reward.dtype)
    for name, program, updates in (
        ("model", trainer.fit, MODEL_UPDATES),
        ("behaviour", trainer.improve, BEHAVIOUR_UPDATES),
    ):
        # Compile before the timing starts.
        jax.block_until_ready(program(training, jnp.asarray(0), PIECE)[1])
        start = time.perf_counter()
        for i in range(updates // PIECE):
            training, metrics = program(training, jnp.asarray(i), PIECE)
            jax.block_until_ready(metrics)
        row[f"{name}_seconds"] = round(time.perf_counter() - start, 2)
    row["seconds"] = round(row["model_seconds"] + row["behaviour_seconds"], 2)
    # There is no time of their code with another model.
    row["their_seconds"] = THEIR_SECONDS.get(task) if model == "delan" else None
    return row


def _cell(value: float | None) -> str:
    """Format a number for a table; `None` is a target that was never reached."""
    if value is None:
        return "never"
    return f"{1e5 * value:.1f}e-5" if value < 0.1 else f"{value:,.0f}"


def table(heads: tuple[str, ...]) -> None:
    """Print the head of a Markdown table."""
    print(f"| {' | '.join(heads)} |")
    print("|---" * len(heads) + "|")


def line(cells: list[str]) -> None:
    """Print a row of a Markdown table."""
    print(f"| {' | '.join(cells)} |", flush=True)


def reached(row: dict[str, Any]) -> str:
    """Format the steps to 95 % of the paper's return, and how many seeds reached it."""
    seeds = row["steps_to_95"]["seeds"]
    there = sum(value is not None for value in seeds)
    cell = _cell(row["steps_to_95"]["interquartile_mean"])
    return cell if there in (0, len(seeds)) else f"{cell} ({there} of {len(seeds)})"


def print_tasks(rows: list[dict[str, Any]]) -> None:
    """Print the interquartile means over seeds next to the paper's values."""
    heads = ("task", "model", "seeds", "steps", "to 95 %", "paper's steps", "return", "paper's")
    table((*heads, "error", "paper's", "s"))
    for row in rows:
        paper = row["paper"]
        cells = [row["task"], f"`{row['model']}`", str(len(row["seeds"])), f"{row['steps']:,}"]
        cells += [reached(row), _cell(paper["steps"])]
        for name, theirs in (("return", "value"), ("one_step_l1", "error")):
            cells += [_cell(row[name]["interquartile_mean"]), _cell(paper[theirs])]
        line([*cells, _cell(row["seconds"]["interquartile_mean"])])


def print_seeds(rows: list[dict[str, Any]]) -> None:
    """Print the results of each run."""
    table(("task", "model", "seed", *FIGURES))
    for row in rows:
        for i, seed in enumerate(row["seeds"]):
            cells = [row["task"], f"`{row['model']}`", str(seed)]
            line([*cells, *(_cell(row[name]["seeds"][i]) for name in FIGURES)])


def picture(path: Path, rows: list[dict[str, Any]], runs: Path) -> None:
    """Plot the return against environment steps; the band is the range over seeds."""
    parts = {
        f"{row['task']}.{row['model']}": [
            curve(directory_of(row["task"], row["model"], row["steps"], seed, runs))
            for seed in row["seeds"]
        ]
        for row in rows
    }
    plot_returns_of_tasks(path, Results(parts))


def main() -> None:
    """Run the benchmark, print the tables, write the results as JSON."""
    parser = arguments(__doc__, "suite.json")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--tasks", nargs="+", choices=[*PAPER], default=[*PAPER])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=[*MODELS])
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds; 0: cost only")
    parser.add_argument("--steps", type=int, help="environment steps of each run")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs/suite"), help="directory of the runs"
    )
    parser.add_argument("--made", action="store_true", help="only report complete runs")
    parser.add_argument("--picture", type=Path, help="PNG file of the returns to write")
    parser.add_argument(
        "--cost",
        nargs="*",
        choices=[*PAPER],
        default=["acrobot"],
        help="tasks whose episode cost is measured",
    )
    parser.add_argument("--one", nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        task, model, steps, seed, directory = args.one
        one_run(task, model, int(steps), int(seed), Path(directory))
        return
    about = machine()
    args.runs.mkdir(parents=True, exist_ok=True)
    every = (row_of(task, model, args) for task in args.tasks for model in args.models)
    rows = [row for row in every if row is not None]
    if rows:
        print_tasks(rows)
        print()
        print_seeds(rows)
        print()
        if args.picture is not None:
            picture(args.picture, rows, args.runs)
    costs = []
    if args.cost:
        table(
            ("task", "model", "precision", "model s", "behaviour s", "an episode s", "theirs s")
        )
    for precision in (32, 64):
        with jax.enable_x64(precision == 64):
            for task in args.cost:
                for model in args.models:
                    costs.append(row := episode_cost(task, model))
                    times = (row["model_seconds"], row["behaviour_seconds"], row["seconds"])
                    named = [task, f"`{model}`", row["dtype"]]
                    line([*named, *map(str, times), str(row["their_seconds"] or "-")])
    write(
        args.out, {"benchmark": "suite", "machine": about, "runs": rows, "episode_cost": costs}
    )


if __name__ == "__main__":
    main()
