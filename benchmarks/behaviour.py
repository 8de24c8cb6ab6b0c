"""What each choice of the agent is worth, in a simulator that is exact: no model, no data.

    python benchmarks/behaviour.py --task acrobot --seeds 3 --out behaviour.json

The agent learns in the task's own equations and reward, so that what is compared is how it
learns to act and nothing else. Rollouts begin as in a run: where its real episodes began, in
other states of them, in states drawn anywhere and around where most is paid; there is one more
episode after every 500 updates. Each variant differs from the defaults by what its name says.
Prints a Markdown table of mean returns over 20 episodes, after each quarter of the updates.
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from _common import arguments, machine, write
from jaxtyping import Array, Float, PRNGKeyArray, PyTree, Scalar

from lagdyna.agents import (
    ImaginationActorCritic,
    Plans,
    mixed_starts,
    promising_states,
    pushed_states,
)
from lagdyna.data import Experience, ReplayBuffer
from lagdyna.experiments import AgentConfig, CollectConfig, Config, Trainer
from lagdyna.experiments._agents import imagined_limits
from lagdyna.mechanics import Coordinates, State
from lagdyna.models import GivenReward
from lagdyna.simulate import AbstractTransition
from lagdyna.tasks import SUITE, SuiteTask, suite_task

VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "all rollouts begin anew": {"restart": 1.0},
    "a nat of entropy is worth 0.01": {"entropy": 1e-2},
    "a nat of entropy is worth 0.001": {"entropy": 1e-3},
    "what it is worth does not fall": {"entropy_end": 1.0},
    "what it is worth falls over all of the updates": {"entropy_until": 1.0},
    "gradients clipped at 100": {"clip": 100.0},
    "rollouts begin anew half as often": {"restart": 0.05},
    "no promising starts": {"uniform_starts": 0.375, "promising_starts": 0.0},
    "no starts where episodes begin": {
        "uniform_starts": 0.25,
        "promising_starts": 0.5,
        "initial_starts": 0.0,
    },
    "starts where random actions lead to": {
        "restart": 0.2,
        "uniform_starts": 0.0625,
        "promising_starts": 0.125,
        "initial_starts": 0.25,
        "pushed_starts": 0.5,
    },
    "starts along plans": {
        "restart": 0.2,
        "uniform_starts": 0.0625,
        "promising_starts": 0.125,
        "initial_starts": 0.25,
        "planned_starts": 0.5,
    },
    "replayed starts only": {
        "uniform_starts": 0.0,
        "promising_starts": 0.0,
        "initial_starts": 0.0,
    },
    "discount 0.995": {"discount": 0.995},
    "policy and critic of 64x64": {"hidden": (64, 64)},
    "horizon 8": {"horizon": 8},
    "horizon 32": {"horizon": 32},
    "two critics": {"critics": 2},
    "rate 5e-4": {"rate": 5e-4},
    "actions not held": {"repeat": 1},
}


class Exact(AbstractTransition):
    """A task's own equations, in steps as long as its actions are held."""

    coordinates: Coordinates
    task: SuiteTask
    repeat: int = eqx.field(static=True)

    def step(self, state: State, action: Float[Array, " m"]) -> State:
        for _ in range(self.repeat):
            state = self.task.advance(state, action)
        return state


def learn(name: str, config: AgentConfig, repeat: int, updates: int, seed: int) -> list[float]:
    """Mean returns after each quarter of the updates."""
    task, piece = suite_task(name), 500
    spec = dataclasses.replace(SUITE[name].spec, repeat=repeat)
    # The agent of a run of one generation with so many trainings, of `piece` updates each.
    whole = Config(
        task=spec,
        steps=updates // piece * task.horizon,
        agent=dataclasses.replace(config, updates=piece, generation=updates // piece),
        collect=CollectConfig(train_every=task.horizon),
    )
    trainer = Trainer(whole)
    agent = trainer.agent
    assert isinstance(agent, ImaginationActorCritic)
    coordinates, reach, limits = spec.joint_coordinates, spec.reach, imagined_limits(whole)
    starts, planner = config.starts, trainer.planner
    transition = Exact(coordinates, task, repeat)
    # What a run would be paid for all the steps of an action.
    reward = GivenReward(lambda state, action, following: repeat * task.reward(following))
    actions = task.horizon // repeat

    @jax.jit
    def episode(policy: PyTree, key: PRNGKeyArray, noise: Array) -> tuple[Experience, Array]:
        """With that much of the policy's noise; 2 stands for random actions."""
        acting = eqx.combine(policy, rest).policy
        start_key, noise_key = jax.random.split(key)

        def body(state: State, eps: Array) -> tuple[State, Experience]:
            action, _ = acting.sample(state, jnp.minimum(noise, 1.0) * eps)
            action = jnp.where(noise > 1, jnp.tanh(eps), action)
            following, paid = state, jnp.zeros(())
            for _ in range(repeat):
                following, one = task.step(following, action)
                paid += one
            ended = jnp.zeros((), bool)
            return following, Experience(state, action, paid, following, ended)

        eps = jax.random.normal(noise_key, (actions, spec.action_size))
        _, experience = jax.lax.scan(body, task.reset(start_key), eps)
        return experience, jnp.sum(experience.reward)

    @jax.jit
    def improve(
        arrays: PyTree, plans: Plans, buffer: ReplayBuffer, key: PRNGKeyArray, entropy: Scalar
    ) -> tuple[PyTree, Plans]:
        def body(arrays: PyTree, key: PRNGKeyArray) -> tuple[PyTree, None]:
            start_key, key = jax.random.split(key)
            begin = mixed_starts(
                start_key,
                buffer,
                config.batch,
                starts["uniform"],
                *reach,
                initial=starts["initial"],
                others=[(states, starts[kind]) for kind, states in others.items()],
            )
            behaviour, _ = agent.update(
                eqx.combine(arrays, rest),
                transition,
                reward,
                begin,
                jnp.asarray(0.5 * repeat),
                key=key,
                entropy=entropy,
            )
            return eqx.filter(behaviour, eqx.is_array), None

        key, promising_key, first_key, pushed_key = jax.random.split(key, 4)
        first = buffer.sample_first(first_key, 256).state
        others = {
            "promising": promising_states(promising_key, 256, *reach, task.reward),
            "pushed": pushed_states(pushed_key, first, transition, spec.action_size, limits),
        }
        if starts["planned"]:
            for plan_key in jax.random.split(jax.random.fold_in(key, 0), 2):
                plans = planner.improve(plans, transition, reward, first, key=plan_key)
            others["planned"] = planner.states(plans, transition, reward)
        arrays, _ = jax.lax.scan(body, arrays, jax.random.split(key, piece))
        return arrays, plans

    def keys(purpose: int) -> PRNGKeyArray:
        return jax.random.fold_in(jax.random.key(seed), purpose)

    first = eqx.filter_jit(agent.init)(keys(0), config.batch)
    arrays, rest = eqx.partition(first, eqx.is_array)
    buffer = ReplayBuffer.empty((1 + updates // piece) * actions, task.n, spec.action_size)
    add = jax.jit(ReplayBuffer.add)
    buffer = add(buffer, episode(arrays, keys(1), jnp.asarray(2.0))[0], jnp.zeros((), int))
    plans = planner.init(keys(3), buffer.sample_first(keys(4), 256).state)
    judge = jax.jit(jax.vmap(lambda a, k: episode(a, k, jnp.zeros(()))[1], in_axes=(None, 0)))
    returns = []
    for i in range(updates // piece):
        entropy = trainer.entropy(jnp.asarray(i + 1))
        arrays, plans = improve(arrays, plans, buffer, keys(10 + 2 * i), entropy)
        experience, _ = episode(arrays, keys(11 + 2 * i), jnp.ones(()))
        buffer = add(buffer, experience, jnp.asarray(i + 1))
        if (i + 1) * piece * 4 % updates < 4 * piece:
            judged = judge(arrays, jax.random.split(keys(2), 20))
            returns.append(float(np.mean(judged)))
    return returns


def main() -> None:
    """Learns, prints the table, writes JSON."""
    parser = arguments(__doc__, "behaviour.json")
    parser.add_argument("--task", choices=list(SUITE), default="acrobot")
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--updates", type=int, default=12_000)
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    args = parser.parse_args()
    about = {**machine(), "task": args.task, "updates": args.updates}
    table: dict[str, list[list[float]]] = {}
    print("| variant | return at the end, each seed | mean after each quarter |")
    print("|---|---|---|")
    for variant in args.variants:
        changes = dict(VARIANTS[variant])
        repeat = changes.pop("repeat", SUITE[args.task].repeat)
        config = dataclasses.replace(AgentConfig(), **changes)
        table[variant] = [
            learn(args.task, config, repeat, args.updates, seed) for seed in range(args.seeds)
        ]
        ends = ", ".join(f"{returns[-1]:.0f}" for returns in table[variant])
        means = ", ".join(f"{mean:.0f}" for mean in np.mean(table[variant], axis=0))
        print(f"| {variant} | {ends} | {means} |", flush=True)
    write(args.out, {"about": about, "variants": table})


if __name__ == "__main__":
    main()
