"""Time of the updates of an episode at the paper's setting, on tasks of the suite.

    python benchmarks/suite.py --tasks acrobot --out suite.json

The updates are those that the code of Ramesh & Ravindran (2023) runs after each episode:
10,000 updates of dynamics and reward on 64 steps, then 1,000 updates of actor and critic on
64 imagined rollouts of 16 steps. Network sizes are those of the paper, 64x64 for
dynamics and reward, 256x256 for actor and critic. Actions are not repeated. The data are ten
episodes of random actions, as at the start of their code. The programs are those of
`lagdyna train`, compiled before the timing starts. Their code takes 336 s on the acrobot, in
float64 on two CPU cores; this number was not measured by this benchmark.

The output is a Markdown table. `python benchmarks/tables.py` makes the tables of returns and
model errors from stored runs.
"""

import dataclasses
import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from _common import arguments, machine, write

from lagdyna import State
from lagdyna.config import Config, RewardConfig
from lagdyna.data import Experience, ReplayBuffer
from lagdyna.parts import AdamConfig, DeLaNConfig, ImaginationConfig, MLPConfig
from lagdyna.reproductions.ramesh2023_suite import MODELS, PAPER, run_config
from lagdyna.tasks import get_task, suite_task
from lagdyna.training import Trainer, TrainingState

MODEL_UPDATES, BEHAVIOUR_UPDATES, PIECE = 10_000, 1_000, 200
EPISODES = 10
THEIR_SECONDS = {"acrobot": 336.0}


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


def line(cells: list[str]) -> None:
    """Print a row of a Markdown table."""
    print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Run the benchmark, print the table, and write the results as JSON."""
    parser = arguments(__doc__, "suite.json")
    parser.add_argument("--tasks", nargs="+", choices=[*PAPER], default=["acrobot"])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=[*MODELS])
    args = parser.parse_args()
    about, costs = machine(), []
    line(["task", "model", "precision", "model s", "behaviour s", "an episode s", "theirs s"])
    print("|---" * 7 + "|")
    for precision in (32, 64):
        with jax.enable_x64(precision == 64):
            for task in args.tasks:
                for model in args.models:
                    costs.append(row := episode_cost(task, model))
                    times = (row["model_seconds"], row["behaviour_seconds"], row["seconds"])
                    named = [task, f"`{model}`", row["dtype"]]
                    line([*named, *map(str, times), str(row["their_seconds"] or "-")])
    write(args.out, {"benchmark": "suite", "machine": about, "episode_cost": costs})


if __name__ == "__main__":
    main()
