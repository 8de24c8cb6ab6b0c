"""What models know of where a run has not been: losses, weights that decay, activations.

    lagdyna train cart3pole --out runs/cart3pole
    python benchmarks/unvisited.py runs/cart3pole --out unvisited.json

Dynamics and reward of a task of the suite are learned again from the experience of a run, as
the run learned them: a tenth of the first of it, a training, the next tenth, another training,
and so on, each going on from the weights of the one before. Decay here stays the same. Then
they are judged in states where every link points up to within some 0.1 rad, at low speed, where
the reward is nearly all that can be had; in states drawn anywhere; and in the next 200 actions
of the run. The errors are medians: that of the velocities after one action, rad/s (of a cart
m/s), the norm over the coordinates; that of the reward, as a fraction of the most that an
action can pay. Prints a Markdown table for each of the two, and how many of the actions that
were learned from began with every link within half a radian of upright.
"""

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from _common import arguments, machine, write
from chains import done
from jaxtyping import Array

from lagdyna.agents import uniform_states
from lagdyna.data import Experience, ReplayBuffer
from lagdyna.experiments import Config, Trainer, Training, UserError, load_run
from lagdyna.mechanics import State
from lagdyna.tasks import SUITE, suite_name, suite_task

TESTED, TRAININGS, NEXT = 2000, 10, 200

# The two are learned side by side, and know nothing of each other.
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
    """Where models are judged, by name."""
    spec = config.task
    q_key, qd_key, anywhere_key, *keys = jax.random.split(jax.random.key(1), 5)
    q, qd = (jax.random.normal(key, (TESTED, suite_task(name).n)) for key in (q_key, qd_key))
    upright = State(0.1 * q, 0.5 * qd)
    anywhere = uniform_states(anywhere_key, TESTED, *spec.reach)
    following = jax.tree.map(lambda x: x[rows : rows + NEXT], buffer.experience)
    return {
        "upright": done(spec, name, upright, keys[0]),
        "anywhere": done(spec, name, anywhere, keys[1]),
        "next": following,
    }


@eqx.filter_jit
def errors(training: Training, data: Experience) -> tuple[Array, Array]:
    """The median errors of velocities and of the reward."""
    after = training.transition.steps(data.state, data.action)
    off = jnp.linalg.norm(after.qd - data.next_state.qd, axis=-1)
    paid = jax.vmap(training.reward)(data.state, data.action, data.next_state)
    return jnp.median(off), jnp.median(jnp.abs(paid - data.reward))


def learned(
    config: Config,
    buffer: ReplayBuffer,
    rows: int,
    dynamics: dict[str, Any],
    reward: dict[str, Any],
) -> Training:
    """A run's models after all of the trainings, and nothing else of it."""
    learner = dataclasses.replace(config.learner, decay_until=1.0, **dynamics)
    reward_config = dataclasses.replace(config.reward, **reward)
    collect = dataclasses.replace(config.collect, capacity=buffer.filled.shape[0])
    changed = {"learner": learner, "reward": reward_config, "collect": collect}
    # So long a run that decay is hardly less at the last training here.
    trainer = Trainer(dataclasses.replace(config, steps=1_000_000, **changed))
    training = trainer.init()
    for part in range(1, TRAININGS + 1):
        added = jnp.asarray(rows * part // TRAININGS)
        known = ReplayBuffer(buffer.experience, buffer.episode, added)
        training = trainer.begin_fit(eqx.tree_at(lambda t: t.buffer, training, known))
        training, _ = trainer.fit(
            training, jnp.asarray(0), trainer.config.learner.updates_or_default
        )
    return training


def visits(name: str, states: State) -> int:
    """How many of the states have every link within half a radian of upright."""
    directions = jnp.cumsum(states.q[:, int(SUITE[name].cart) :], axis=-1)
    return int(jnp.sum(jnp.all(jnp.cos(directions) > jnp.cos(0.5), axis=-1)))


def opened(args: argparse.Namespace) -> tuple[Config, str, ReplayBuffer]:
    """The run's config, task's name and experience."""
    try:
        run = load_run(args.run)
    except UserError as error:
        sys.exit(f"unvisited.py: {error}")
    name, buffer = suite_name(run.config.task), run.training.buffer
    had = int(buffer.filled.sum())
    if name is None or had < args.rows + NEXT:
        sys.exit(
            f"unvisited.py: {args.run} is of {run.config.task.env_id} with {had} actions; a "
            f"task of the suite with {args.rows + NEXT} is accepted for --rows {args.rows}"
        )
    return run.config, name, buffer


def main() -> None:
    """Learns, judges, prints a table, writes JSON."""
    parser = arguments(__doc__, "unvisited.json")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("run", type=Path, help="directory of a run of a task of the suite")
    parser.add_argument("--rows", type=int, default=1500, help="actions to learn from")
    args = parser.parse_args()
    config, name, buffer = opened(args)
    about, results = machine(), []
    judged = places(config, name, buffer, args.rows)
    seen = visits(name, jax.tree.map(lambda x: x[: args.rows], buffer.experience.state))
    print(f"{seen} of {args.rows} actions began upright")
    for (loss, decay), (activation, reward_decay) in zip(DYNAMICS, REWARDS, strict=True):
        dynamics = {"loss": loss, "decay": decay}
        reward = {"activation": activation, "decay": reward_decay}
        training = learned(config, buffer, args.rows, dynamics, reward)
        found = {where: errors(training, data) for where, data in judged.items()}
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
