"""Generalisation of models to unvisited states, for several losses, decays and activations.

    lagdyna train cart3pole --out runs/cart3pole
    python benchmarks/unvisited.py runs/cart3pole --out unvisited.json

Dynamics and reward of a task of the suite are learned again from the experience of a run. As in
the run, there are ten training phases, each with a tenth more of the experience, and each
continues from the weights of the phase before. The weight decay stays constant.

The models are then evaluated in three sets of states:

- `upright`: all links within about 0.1 rad of upright at low speed, where the reward is nearly
  maximal;
- `anywhere`: states drawn uniformly from the sampling range;
- `next`: the next 200 actions of the run.

The errors are medians. For the dynamics it is the norm over the coordinates of the velocity
error after one action, in rad/s (m/s for a cart). For the reward it is the absolute error as a
fraction of the maximal reward of an action. The output is a Markdown table of each, and the
number of training actions that started with all links within half a radian of upright.
"""

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import msgspec
from _common import arguments, machine, write
from chains import done
from jaxtyping import Array

from lagdyna import UserError, load_run
from lagdyna.agents import uniform_states
from lagdyna.config import Config, given
from lagdyna.data import Experience, ReplayBuffer
from lagdyna.mechanics import Limits, State
from lagdyna.parts import GradientConfig, StepsLossConfig
from lagdyna.simulate import WorldModel
from lagdyna.tasks import SUITE, suite_name, suite_task
from lagdyna.training import Trainer

TESTED, TRAININGS, NEXT = 2000, 10, 200

# Dynamics and reward are learned independently, so each training run fits a variant of both.
DYNAMICS: tuple[tuple[Literal["pseudo-huber", "squared"], float], ...] = (
    ("squared", 0.0),
    ("squared", 0.1),
    ("pseudo-huber", 0.0),
    ("pseudo-huber", 0.1),
)
REWARDS: tuple[tuple[Literal["softplus", "tanh"], float], ...] = (
    ("softplus", 0.0),
    ("tanh", 0.0),
    ("tanh", 0.1),
    ("tanh", 0.3),
)


def places(config: Config, name: str, buffer: ReplayBuffer, rows: int) -> dict[str, Experience]:
    """Simulate the test transitions of each set of states."""
    spec = config.task
    q_key, qd_key, anywhere_key, *keys = jax.random.split(jax.random.key(1), 5)
    q, qd = (jax.random.normal(key, (TESTED, suite_task(name).n)) for key in (q_key, qd_key))
    upright = State(0.1 * q, 0.5 * qd)
    anywhere = uniform_states(anywhere_key, TESTED, Limits(*spec.reach))
    following = jax.tree.map(lambda x: x[rows : rows + NEXT], buffer.experience)
    return {
        "upright": done(spec, name, upright, keys[0]),
        "anywhere": done(spec, name, anywhere, keys[1]),
        "next": following,
    }


@eqx.filter_jit
def errors(world: WorldModel, data: Experience) -> tuple[Array, Array]:
    """Compute the median errors of the velocities and of the reward."""
    after = world.transition.steps(data.state, data.action)
    off = jnp.linalg.norm(after.qd - data.next_state.qd, axis=-1)
    rewards = world.rewards(data.state, data.action, data.next_state)
    return jnp.median(off), jnp.median(jnp.abs(rewards - data.reward))


def learned(
    config: Config,
    buffer: ReplayBuffer,
    rows: int,
    dynamics: dict[str, Any],
    reward: dict[str, Any],
) -> WorldModel:
    """Train the models of a run through all training phases, without the agent."""
    learner, loss = config.learner, config.loss
    assert isinstance(learner, GradientConfig)
    assert isinstance(loss, StepsLossConfig)
    decay = {"weight_decay": dynamics["weight_decay"], "weight_decay_until": 1.0}
    changed = {
        "learner": msgspec.structs.replace(learner, **decay),
        "loss": msgspec.structs.replace(loss, norm=dynamics["norm"]),
        "reward": dataclasses.replace(given(config.reward), **reward),
        "collect": dataclasses.replace(config.collect, capacity=buffer.filled.shape[0]),
    }
    # Declare a long run, so that the annealed weight decay stays nearly constant here.
    trainer = Trainer(dataclasses.replace(config, steps=1_000_000, **changed))
    training = trainer.init()
    for part in range(1, TRAININGS + 1):
        added = jnp.asarray(rows * part // TRAININGS)
        known = ReplayBuffer(buffer.experience, buffer.episode, added)
        training = trainer.begin_phase(eqx.tree_at(lambda t: t.buffer, training, known))
        training, _ = trainer.fit(training, jnp.asarray(0), trainer.config.model_updates)
    return given(training.world)


def visits(name: str, states: State) -> int:
    """Count the states with all links within half a radian of upright."""
    directions = jnp.cumsum(states.q[:, int(SUITE[name].cart) :], axis=-1)
    return int(jnp.sum(jnp.all(jnp.cos(directions) > jnp.cos(0.5), axis=-1)))


def opened(args: argparse.Namespace) -> tuple[Config, str, ReplayBuffer]:
    """Load the config, the task name and the experience of a run."""
    try:
        run = load_run(args.run)
    except UserError as error:
        sys.exit(f"unvisited.py: {error}")
    name, buffer = suite_name(run.config.task), run.training.buffer
    had = int(buffer.filled.sum())
    if name is None or had < args.rows + NEXT:
        sys.exit(
            f"unvisited.py: {args.run} is a run on {run.config.task.env_id} with {had} "
            f"actions; --rows {args.rows} needs a run on a task of the suite with at least "
            f"{args.rows + NEXT} actions"
        )
    if not isinstance(run.config.learner, GradientConfig):
        sys.exit(
            f"unvisited.py: {args.run} has a learner without weight decay; use an optimiser"
        )
    return run.config, name, buffer


def main() -> None:
    """Run the benchmark, print the tables, write the results as JSON."""
    parser = arguments(__doc__, "unvisited.json")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("run", type=Path, help="directory of a run on a task of the suite")
    parser.add_argument("--rows", type=int, default=1500, help="number of training actions")
    args = parser.parse_args()
    config, name, buffer = opened(args)
    about, results = machine(), []
    judged = places(config, name, buffer, args.rows)
    seen = visits(name, jax.tree.map(lambda x: x[: args.rows], buffer.experience.state))
    print(f"{seen} of {args.rows} actions began upright")
    for (norm, decay), (activation, reward_decay) in zip(DYNAMICS, REWARDS, strict=True):
        dynamics = {"norm": norm, "weight_decay": decay}
        reward = {"activation": activation, "weight_decay": reward_decay}
        world = learned(config, buffer, args.rows, dynamics, reward)
        found = {where: errors(world, data) for where, data in judged.items()}
        velocity = {where: float(each[0]) for where, each in found.items()}
        paid = {where: float(each[1]) / config.task.repeat for where, each in found.items()}
        results.append({"dynamics": dynamics | velocity, "reward": reward | paid})
    for part in ("dynamics", "reward"):
        print()
        print(f"| {' | '.join(results[0][part])} |")
        print("|---" * len(results[0][part]) + "|")
        for row in results:
            cells = (f"{x:.3g}" if isinstance(x, float) else x for x in row[part].values())
            print(f"| {' | '.join(cells)} |")
    told = {"run": str(args.run), "rows": args.rows, "began_upright": seen}
    write(args.out, {**about, **told, "results": results})


if __name__ == "__main__":
    main()
