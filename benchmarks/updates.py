"""Time of model updates, of imagination updates and of off-policy updates, with lower bounds.

    python benchmarks/updates.py --out updates.json

One model update is one Adam step of the DeLaN on 64 steps through Heun's solver, and one of the
reward network. One behaviour update is one step of actor and critic, with backpropagation
through 64 imagined rollouts of 16 steps. Sizes are those of Ramesh & Ravindran (2023): dynamics
and reward 64x64, actor and critic 256x256. The timed programs are the compiled programs of
`lagdyna train`. The lower bound is the time of the matrix products alone: their operations are
counted, and the rate of a plain product is measured in the same run.

The second part measures updates per second of the off-policy agents TD3 and SAC, in the loop of
`lagdyna train --agent dyna`. Each has a policy and two critics of 256x256 and a batch size of
128, with 90 % imagined transitions. They are compared with Stable-Baselines3's TD3 if it is
installed. It also measures the memory of a million transitions, half of them imagined: the
arrays, and the temporary memory of the compiled updates, which would reveal a copy of the
buffers.
"""

from statistics import median
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from _common import arguments, machine, milliseconds, seconds, write
from _flops import matmul_flops
from _stable_baselines import updates_per_second
from jaxtyping import Array, PyTree

from lagdyna import State
from lagdyna.agents import Dyna, DynaState
from lagdyna.config import CollectConfig, Config, given
from lagdyna.data import Experience, ReplayBuffer
from lagdyna.parts import (
    AdamConfig,
    AlgorithmConfig,
    DynaConfig,
    ImaginationConfig,
    SACConfig,
    TD3Config,
)
from lagdyna.tasks import CoordinateSpec, TaskSpec
from lagdyna.training import Trainer, TrainingState

ROWS, MODEL_UPDATES, BEHAVIOUR_UPDATES = 4096, 500, 50
TRANSITIONS, HALF_MILLION, AGENT_UPDATES = 128, 500_000, 500


def chain(n: int) -> Config:
    """Build the config of a task with `n` angles and one actuator, at the paper's sizes."""
    coordinates = tuple(
        CoordinateSpec(kind="angle", position=i, velocity=n + i, velocity_limit=20.0)
        for i in range(n)
    )
    force = ((1.0,),) + ((0.0,),) * (n - 1)
    return Config(
        task=TaskSpec(env_id="none", coordinates=coordinates, dt=0.02, force=force),
        steps=ROWS,
        learner=AdamConfig(rate=1e-3, batch=64),
        agent=ImaginationConfig(hidden=(256, 256), horizon=16, batch=64),
        collect=CollectConfig(capacity=ROWS),
    )


def filled(trainer: Trainer, n: int) -> TrainingState:
    """Build the initial state of a run whose buffer is full of random transitions."""
    training = trainer.init()
    keys = jax.random.split(jax.random.key(0), 4)
    q, qd = jax.random.normal(keys[0], (2, ROWS, n))
    action = jax.random.uniform(keys[1], (ROWS, 1), minval=-1.0)
    reward = jax.random.normal(keys[2], (ROWS,))
    following = jax.vmap(given(training.world).transition.step)(State(q, qd), action)
    experience = Experience(State(q, qd), action, reward, following, jnp.zeros(ROWS, bool))
    buffer = ReplayBuffer(experience, jnp.zeros(ROWS, int), jnp.asarray(ROWS))
    return trainer.begin_phase(eqx.tree_at(lambda t: t.buffer, training, buffer))


def matmul_rate(dtype: jnp.dtype, repeats: int) -> float:
    """Measure the operations per second of a product of (1024, 256) and (256, 256)."""
    a = jnp.ones((1024, 256), dtype)
    b = jnp.full((256, 256), 1 / 256, dtype)
    count = 100
    chained = jax.jit(lambda a: jax.lax.fori_loop(0, count, lambda _, x: x @ b, a))
    _, times = seconds(lambda: chained(a), repeats)
    return count * 2 * 1024 * 256 * 256 / sorted(times)[len(times) // 2]


def measure(n: int, repeats: int) -> dict[str, object]:
    """Measure both kinds of updates for `n` degrees of freedom in the current precision."""
    trainer = Trainer(chain(n))
    training = filled(trainer, n)
    zero = jnp.asarray(0)
    dtype = training.buffer.experience.reward.dtype
    rate = matmul_rate(dtype, repeats)
    row: dict[str, object] = {
        "n": n,
        "dtype": str(dtype),
        "matmul_gflops": round(rate / 1e9, 1),
    }
    for name, program, updates in (
        ("model", trainer.fit, MODEL_UPDATES),
        ("behaviour", trainer.improve, BEHAVIOUR_UPDATES),
    ):
        first, times = seconds(lambda p=program, u=updates: p(training, zero, u)[1], repeats)
        arrays, static = eqx.partition(training, eqx.is_array)
        flops = matmul_flops(
            lambda a, s=static, p=program, u=updates: p(eqx.combine(a, s), zero, u)[1], arrays
        )
        timed = milliseconds(times, updates)
        bound = 1e3 * flops / updates / rate
        row[name] = {
            **timed,
            "compile_s": round(first - min(times), 2),
            "matmul_mflop": round(flops / updates / 1e6, 1),
            "matmul_bound_ms": round(bound, 4),
            "times_bound": round(timed["median_ms"] / bound, 2),
        }
    return row


def dyna(algorithm: AlgorithmConfig) -> Trainer:
    """Build a run of the pendulum with half a million real and as many imagined transitions."""
    return Trainer(
        Config(
            steps=HALF_MILLION,
            agent=DynaConfig(algorithm=algorithm, batch=TRANSITIONS, capacity=HALF_MILLION),
            collect=CollectConfig(train_every=AGENT_UPDATES),
        )
    )


def off_policy(algorithm: AlgorithmConfig, repeats: int) -> dict[str, Any]:
    """Measure the updates per second, and the memory of transitions and updates."""
    trainer = dyna(algorithm)
    agent = trainer.agent
    assert isinstance(agent, Dyna)
    training = trainer.init()
    state, real = training.agent, training.buffer
    assert isinstance(state, DynaState)

    def full(buffer: ReplayBuffer, key: int) -> ReplayBuffer:
        leaves, tree = jax.tree.flatten(buffer.experience)
        keys = jax.random.split(jax.random.key(key), len(leaves))
        made = [
            x if x.dtype == bool else jax.random.uniform(k, x.shape, x.dtype, -1)
            for x, k in zip(leaves, keys, strict=True)
        ]
        experience = jax.tree.unflatten(tree, made)
        return ReplayBuffer(experience, buffer.episode, jnp.asarray(buffer.capacity))

    assert state.imagined is not None
    real = full(real, 0)
    state = DynaState(state.learned, full(state.imagined, 1))
    stored = sum(x.nbytes for x in jax.tree.leaves((real, state.imagined)))
    arrays, static = eqx.partition((state, real), eqx.is_array)

    @jax.jit
    def program(arrays: PyTree, keys: Array) -> PyTree:
        state, real = eqx.combine(arrays, static)
        return eqx.filter(agent._updates(state, real, keys)[0].learned, eqx.is_array)

    keys = jax.random.split(jax.random.key(2), AGENT_UPDATES)
    compiled = program.lower(arrays, keys).compile()
    _, times = seconds(lambda: compiled(arrays, keys), repeats)
    needed: Any = compiled.memory_analysis()
    flops = matmul_flops(program, arrays, keys) / AGENT_UPDATES
    rate = matmul_rate(real.experience.reward.dtype, repeats)
    return {
        "algorithm": algorithm.name,
        "updates_per_second": round(AGENT_UPDATES / median(times), 1),
        "matmul_mflop": round(flops / 1e6, 1),
        "matmul_alone_per_second": round(rate / flops, 1),
        "transitions": 2 * HALF_MILLION,
        "transitions_mb": round(stored / 1e6, 1),
        "updates_need_mb": round(needed.temp_size_in_bytes / 1e6, 1),
    }


def agents(repeats: int) -> dict[str, object]:
    """Measure the off-policy agents, and Stable-Baselines3's TD3 if it is installed."""
    rows = [off_policy(algorithm, repeats) for algorithm in (TD3Config(), SACConfig())]
    for row in rows:
        print(
            f"{row['algorithm']}: {row['updates_per_second']} updates/s, of matrix products "
            f"alone {row['matmul_alone_per_second']}; a million transitions "
            f"{row['transitions_mb']} MB, the updates {row['updates_need_mb']} MB more"
        )
    try:
        theirs = updates_per_second(TRANSITIONS, ROWS, AGENT_UPDATES, repeats)
    except ImportError:
        print("Stable-Baselines3 is not installed; nothing to hold TD3 against")
        return {"agents": rows}
    ratio = rows[0]["updates_per_second"] / theirs["updates_per_second"]  # pyright: ignore
    print(
        f"Stable-Baselines3's TD3: {theirs['updates_per_second']} updates/s, {ratio:.1f} times"
    )
    return {"agents": rows, "stable_baselines3": theirs, "times_as_fast": round(ratio, 2)}


def main() -> None:
    """Run the benchmark, print a table, write the results as JSON."""
    parser = arguments(__doc__, "updates.json")
    parser.add_argument("--repeats", type=int, default=7, help="timed calls of each program")
    parser.add_argument(
        "--n",
        type=int,
        nargs="*",
        default=[1, 2, 3, 4],
        help="degrees of freedom; without a number, only off-policy agents are measured",
    )
    args = parser.parse_args()
    about = machine()
    transitions = agents(args.repeats)
    rows = []
    print(f"{'n':>2} {'dtype':8} {'model ms':>9} {'behaviour ms':>13} {'matmul alone ms':>16}")
    for precision in (32, 64):
        jax.config.update("jax_enable_x64", precision == 64)
        for n in args.n:
            row = measure(n, args.repeats)
            rows.append(row)
            model, behaviour = row["model"], row["behaviour"]
            print(
                f"{n:2} {row['dtype']:8} {model['median_ms']:9.3f} "  # pyright: ignore
                f"{behaviour['median_ms']:13.2f} "  # pyright: ignore
                f"{model['matmul_bound_ms']:7.3f} {behaviour['matmul_bound_ms']:8.2f}",  # pyright: ignore
                flush=True,
            )
    write(args.out, {"benchmark": "updates", "machine": about, "rows": rows, **transitions})


if __name__ == "__main__":
    main()
