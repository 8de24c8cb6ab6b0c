"""Ablation of the imagination agent's options in an exact simulator, without a learned model.

    python benchmarks/behaviour.py --task acrobot --seeds 3 --out behaviour.json

Each variant changes the options in its name from the defaults. The agent learns with the task's
true equations and reward, so the comparison isolates policy learning from model learning. The
start states of rollouts are those of `lagdyna train`: initial states, replayed states, uniform
states and high-reward states. One episode is added to the replay buffer after every 500
updates. The output is a Markdown table of mean returns over 20 episodes after each quarter of
the updates.
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import msgspec
import numpy as np
from _common import arguments, machine, write
from jaxtyping import Array, Float, Int, PRNGKeyArray, Scalar

from lagdyna.agents import AbstractAgentState, AbstractPolicy, Phase
from lagdyna.data import Experience, ReplayBuffer
from lagdyna.mechanics import Coordinates, State
from lagdyna.models import GivenReward
from lagdyna.parts import ImaginationConfig, Schedule
from lagdyna.simulate import AbstractTransition, WorldModel
from lagdyna.tasks import SUITE, Plant, SuiteTask, suite_task

VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "reset_fraction 1": {"reset_fraction": 1.0},
    "reset_fraction 0.05": {"reset_fraction": 0.05},
    "entropy coefficient 0.01": {"entropy": 1e-2},
    "entropy coefficient 0.001": {"entropy": 1e-3},
    "constant entropy coefficient": {"entropy_end": 1.0},
    "entropy coefficient annealed over all updates": {"entropy_until": 1.0},
    "gradients clipped at 100": {"clip": 100.0},
    "no high-reward starts": {"uniform_starts": 0.375, "high_reward_starts": 0.0},
    "no initial-state starts": {
        "uniform_starts": 0.25,
        "high_reward_starts": 0.5,
        "initial_starts": 0.0,
    },
    "replayed starts only": {
        "uniform_starts": 0.0,
        "high_reward_starts": 0.0,
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
    """Exact transition of a task, over the steps for which an action is repeated."""

    coordinates: Coordinates
    task: SuiteTask
    repeat: int = eqx.field(static=True)

    def step(self, state: State, action: Float[Array, " m"]) -> State:
        for _ in range(self.repeat):
            state = self.task.advance(state, action)
        return state


def learn(
    name: str, config: ImaginationConfig, repeat: int, updates: int, seed: int
) -> list[float]:
    """Train the agent and return its mean return after each quarter of the updates."""
    task, piece = suite_task(name), 500
    spec = dataclasses.replace(SUITE[name].spec, repeat=repeat)
    # A run without policy restarts: `updates // piece` phases of `piece` updates each.
    phases, actions = updates // piece, task.horizon // repeat
    config = msgspec.structs.replace(config, restart_interval=phases)
    agent = config.build(Plant.of_task(spec), Schedule(phases, piece, None))
    world = WorldModel(
        Exact(spec.joint_coordinates, task, repeat),
        # A run sums the reward over all steps of an action.
        GivenReward(lambda state, action, following: repeat * task.reward(following)),
    )

    @eqx.filter_jit
    def episode(
        policy: AbstractPolicy, key: PRNGKeyArray, noise: Array
    ) -> tuple[Experience, Array]:
        """Run one episode with the exploration noise scaled by `noise`; 2 acts randomly."""
        start_key, noise_key = jax.random.split(key)

        def body(state: State, eps: Array) -> tuple[State, Experience]:
            action, _ = policy.sample(state, jnp.minimum(noise, 1.0) * eps)
            action = jnp.where(noise > 1, jnp.tanh(eps), action)
            following, rewards = state, jnp.zeros(())
            for _ in range(repeat):
                following, reward = task.step(following, action)
                rewards += reward
            ended = jnp.zeros((), bool)
            return following, Experience(state, action, rewards, following, ended)

        eps = jax.random.normal(noise_key, (actions, spec.action_size))
        _, experience = jax.lax.scan(body, task.reset(start_key), eps)
        return experience, jnp.sum(experience.reward)

    @eqx.filter_jit
    def evaluate(policy: AbstractPolicy, key: PRNGKeyArray) -> Scalar:
        returns = jax.vmap(lambda key: episode(policy, key, jnp.zeros(()))[1])
        return jnp.mean(returns(jax.random.split(key, 20)))

    @eqx.filter_jit
    def improve(
        state: AbstractAgentState, buffer: ReplayBuffer, number: Int[Array, ""]
    ) -> AbstractAgentState:
        phase = Phase(jnp.asarray(seed, jnp.uint32), number, jnp.zeros((), int))
        return agent.improve(state, world, buffer, phase, piece)[0]

    def keys(purpose: int) -> PRNGKeyArray:
        return jax.random.fold_in(jax.random.key(seed), purpose)

    state = eqx.filter_jit(agent.init)(keys(0))
    buffer = ReplayBuffer.empty((1 + phases) * actions, task.n, spec.action_size)
    add = jax.jit(ReplayBuffer.add)
    random, _ = episode(state.policy, keys(1), jnp.asarray(2.0))
    buffer = add(buffer, random, jnp.zeros((), int))
    returns = []
    for number in range(1, phases + 1):
        state = improve(state, buffer, jnp.asarray(number))
        experience, _ = episode(state.policy, keys(10 + number), jnp.ones(()))
        buffer = add(buffer, experience, jnp.asarray(number))
        if number * piece * 4 % updates < 4 * piece:
            returns.append(float(evaluate(state.policy, keys(2))))
    return returns


def main() -> None:
    """Run the benchmark, print a table, write the results as JSON."""
    parser = arguments(__doc__, "behaviour.json")
    parser.add_argument("--task", choices=list(SUITE), default="acrobot", help="task")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds")
    parser.add_argument("--updates", type=int, default=12_000, help="updates of the agent")
    parser.add_argument(
        "--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS), help="variants"
    )
    args = parser.parse_args()
    about = {**machine(), "task": args.task, "updates": args.updates}
    table: dict[str, list[list[float]]] = {}
    print("| variant | return at the end, each seed | mean after each quarter |")
    print("|---|---|---|")
    for variant in args.variants:
        changes = dict(VARIANTS[variant])
        repeat = changes.pop("repeat", SUITE[args.task].repeat)
        config = ImaginationConfig(**changes)
        table[variant] = [
            learn(args.task, config, repeat, args.updates, seed) for seed in range(args.seeds)
        ]
        ends = ", ".join(f"{returns[-1]:.0f}" for returns in table[variant])
        means = ", ".join(f"{mean:.0f}" for mean in np.mean(table[variant], axis=0))
        print(f"| {variant} | {ends} | {means} |", flush=True)
    write(args.out, {"about": about, "variants": table})


if __name__ == "__main__":
    main()
