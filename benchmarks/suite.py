"""Runs of the suite's tasks: returns, experience, model error, seconds; and an episode's cost.

    python benchmarks/suite.py --tasks acrobot --seeds 3 --steps 25000 --out suite.json

Every run is that of `lagdyna reproduce ramesh2023-suite`, of one task, model and seed, as a
new process, so its seconds include compilation; without `--steps` it is given as many steps as
there. Runs that are complete in `--runs` are not repeated; one that was interrupted goes on.
With `--made` no run is made, and what is complete of the others is reported, however many
seeds that are. `--picture` draws the returns of all seeds.

An episode's cost is that of the updates that Ramesh & Ravindran's code makes after each of its
episodes: 10,000 of dynamics and reward with 64 steps each, then 1,000 of actor and critic with
64 imagined rollouts of 16 steps. Sizes are the paper's, 64x64 for dynamics and reward, 256x256
for actor and critic; an action is held for one step; the data are ten episodes of random
actions, as many as their code begins with. Programs are those of `lagdyna train`, compiled
before the clock starts. Their code takes 336 s for it on the acrobot, in float64 on two CPU
cores: a figure from elsewhere, not measured here. Prints Markdown tables: of each task, of each
run, and of the cost.
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
from lagdyna.data import Experience, ReplayBuffer
from lagdyna.experiments import AgentConfig, Config, LearnerConfig, Trainer, Training
from lagdyna.experiments._curves import evaluations_of, steps_to
from lagdyna.experiments._statistics import interquartile_mean
from lagdyna.experiments.reproductions._ramesh2023_suite import (
    MODELS,
    PAPER,
    converged_return,
    draw,
    make_part,
    printed,
    run_config,
    steps_of,
)
from lagdyna.experiments.reproductions._reproduction import Result, Results
from lagdyna.tasks import get_task, suite_task

MODEL_UPDATES, BEHAVIOUR_UPDATES, PIECE = 10_000, 1_000, 200
EPISODES = 10
THEIR_SECONDS = {"acrobot": 336.0}
FIGURES = ("return", "steps_to_95", "one_step_l1", "observed_l1", "held_l1", "seconds")


def one_run(task: str, model: str, steps: int, seed: int, directory: Path) -> None:
    """Makes a run, or goes on with it, and writes its figures beside its directory."""

    def tell(text: str) -> None:
        print(f"{directory.name}: {text}", file=sys.stderr, flush=True)

    made = make_part(run_config(task, model, steps, seed), directory, tell)
    target = 0.95 * printed(f"{task}.{model}").value
    known = not np.isnan(made["l1"])  # a network for an action's time knows no other
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
    return directory.with_name(f"{directory.name}.json")


def directory_of(task: str, model: str, steps: int, seed: int, runs: Path) -> Path:
    """Where a run stands."""
    return runs / f"{task}.{model}-{steps}-{seed}"


def found(task: str, model: str, steps: int, seed: int, runs: Path) -> dict[str, Any]:
    """The figures of a run, which is made by another process if it has not been."""
    directory = directory_of(task, model, steps, seed, runs)
    if not _figures(directory).exists():
        one = ("--one", task, model, str(steps), str(seed), str(directory))
        process = subprocess.Popen([sys.executable, __file__, *one])
        _, status, _ = os.wait4(process.pid, 0)
        if status != 0:
            raise SystemExit(f"{' '.join(one)} failed")
    return {"seed": seed, **json.loads(_figures(directory).read_text())}


def curve(directory: Path) -> Result:
    """The evaluations of a run."""
    lines = (directory / "metrics.jsonl").read_text().splitlines()
    steps, returns = evaluations_of([json.loads(line) for line in lines])
    return {"steps": steps, "returns": returns}


def middle(values: list[float | None]) -> dict[str, Any]:
    """The interquartile mean over seeds, and the value of each.

    None is worse than any: a target that was never reached.
    """
    mean = interquartile_mean(np.asarray([math.inf if x is None else x for x in values]))
    return {"interquartile_mean": mean if math.isfinite(mean) else None, "seeds": values}


def seeds_of(task: str, model: str, steps: int, args: argparse.Namespace) -> list[int]:
    """All that are asked for, or those whose runs are complete."""
    directories = [directory_of(task, model, steps, i, args.runs) for i in range(args.seeds)]
    return [i for i, each in enumerate(directories) if not args.made or _figures(each).exists()]


def row_of(task: str, model: str, args: argparse.Namespace) -> dict[str, Any] | None:
    """The figures of a task with a model, over all seeds; nothing if there are none."""
    steps = args.steps or steps_of(task, False)
    seeds = seeds_of(task, model, steps, args)
    if not seeds:
        return None
    each = [found(task, model, steps, seed, args.runs) for seed in seeds]
    figures = {name: middle([run[name] for run in each]) for name in FIGURES}
    paper = printed(f"{task}.{model}")._asdict()
    about = {"task": task, "model": model, "steps": steps, "seeds": seeds}
    return {**about, "paper": paper, **figures}


def paper_config(task: str, model: str) -> Config:
    """The paper's sizes, batches and numbers of updates."""
    config = run_config(task, model, EPISODES * suite_task(task).horizon, 0)
    return dataclasses.replace(
        config,
        task=dataclasses.replace(get_task(task), repeat=1, substeps=1),
        model=dataclasses.replace(config.model, hidden=(64, 64)),
        reward=dataclasses.replace(config.reward, hidden=(64, 64)),
        learner=LearnerConfig(rate=3e-4, batch=64, updates=MODEL_UPDATES),
        agent=AgentConfig(
            hidden=(256, 256), horizon=16, batch=64, rate=3e-4, updates=BEHAVIOUR_UPDATES
        ),
    )


@eqx.filter_jit
def random_episodes(task: Any, key: Any) -> Experience:
    """Episodes of random actions, one after another."""

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


def begun(trainer: Trainer, task: str) -> Training:
    """The start of a run whose buffer has the random episodes."""
    training = trainer.init()
    experience = random_episodes(suite_task(task), jax.random.key(0))
    rows = experience.reward.shape[0]
    numbers = jnp.arange(rows) // (rows // EPISODES)
    buffer = ReplayBuffer(experience, numbers, jnp.asarray(rows))
    return trainer.begin_fit(eqx.tree_at(lambda t: t.buffer, training, buffer))


def episode_cost(task: str, model: str) -> dict[str, Any]:
    """Seconds of the updates of one episode, in the precision that is switched on."""
    trainer = Trainer(paper_config(task, model))
    training = begun(trainer, task)
    row: dict[str, Any] = {"task": task, "model": model}
    row["dtype"] = str(training.buffer.experience.reward.dtype)
    for name, program, updates in (
        ("model", trainer.fit, MODEL_UPDATES),
        ("behaviour", trainer.behave, BEHAVIOUR_UPDATES),
    ):
        # This compiles; its result is dropped.
        jax.block_until_ready(program(training, jnp.asarray(0), PIECE)[1])
        start = time.perf_counter()
        for i in range(updates // PIECE):
            training, metrics = program(training, jnp.asarray(i), PIECE)
            jax.block_until_ready(metrics)
        row[f"{name}_seconds"] = round(time.perf_counter() - start, 2)
    row["seconds"] = round(row["model_seconds"] + row["behaviour_seconds"], 2)
    # Their network was not timed.
    row["their_seconds"] = THEIR_SECONDS.get(task) if model == "delan" else None
    return row


def _cell(value: float | None) -> str:
    if value is None:
        return "never"
    return f"{1e5 * value:.1f}e-5" if value < 0.1 else f"{value:,.0f}"


def table(heads: tuple[str, ...]) -> None:
    """The head of a Markdown table."""
    print(f"| {' | '.join(heads)} |")
    print("|---" * len(heads) + "|")


def line(cells: list[str]) -> None:
    """A row of a Markdown table."""
    print(f"| {' | '.join(cells)} |", flush=True)


def reached(row: dict[str, Any]) -> str:
    """The steps to 95 % of the paper's, and which part of the seeds came there, if not all."""
    seeds = row["steps_to_95"]["seeds"]
    there = sum(value is not None for value in seeds)
    cell = _cell(row["steps_to_95"]["interquartile_mean"])
    return cell if there in (0, len(seeds)) else f"{cell} ({there} of {len(seeds)})"


def print_tasks(rows: list[dict[str, Any]]) -> None:
    """The middles over seeds, beside the paper's."""
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
    """The figures of each run."""
    table(("task", "model", "seed", *FIGURES))
    for row in rows:
        for i, seed in enumerate(row["seeds"]):
            cells = [row["task"], f"`{row['model']}`", str(seed)]
            line([*cells, *(_cell(row[name]["seeds"][i]) for name in FIGURES)])


def picture(path: Path, rows: list[dict[str, Any]], runs: Path) -> None:
    """Return against experience of every task and model, the band being the range of seeds."""
    parts = {
        f"{row['task']}.{row['model']}": [
            curve(directory_of(row["task"], row["model"], row["steps"], seed, runs))
            for seed in row["seeds"]
        ]
        for row in rows
    }
    draw(path, Results(parts))


def main() -> None:
    """Runs, prints the tables, writes JSON."""
    parser = arguments(__doc__, "suite.json")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--tasks", nargs="+", choices=[*PAPER], default=[*PAPER])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=[*MODELS])
    parser.add_argument("--seeds", type=int, default=3, help="how many; 0 for the cost only")
    parser.add_argument("--steps", type=int, help="of experience, of every run")
    parser.add_argument("--runs", type=Path, default=Path("runs/suite"))
    parser.add_argument("--made", action="store_true", help="report complete runs, make none")
    parser.add_argument("--picture", type=Path, help="a PNG file for the returns")
    parser.add_argument("--cost", nargs="*", choices=[*PAPER], default=["acrobot"])
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
