"""Sixteen steps ahead on Pendulum-v1, learned from two random episodes: filters beside Adam.

    python benchmarks/pendulum_model.py --out pendulum_model.json

For each seed two episodes of random actions, 400 steps, are learned from, and five others
judge: rollouts of sixteen steps from every eighth of their states, under the recorded actions.
The error is the root mean square over their last states, angles in rad, velocities in rad/s;
windows in which the environment limits the velocity do not count, since it does so within its
step and models after it.
All learners get the same steps and the same untrained DeLaN, solved by the rule of the
environment itself unless another is named. Seconds include compiling.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from _common import arguments, machine, write

from lagdyna.data import Experience
from lagdyna.learners import (
    AbstractLearner,
    GradientLearner,
    KalmanLearner,
    OneStepLoss,
    fit,
    step_scale,
)
from lagdyna.mechanics import FixedActuation, MechanicalSystem, State
from lagdyna.models import DeLaN
from lagdyna.simulate import LagrangianField, SolvedTransition, rollout
from lagdyna.tasks import GymnasiumTask, get_task

STEPS, HORIZON, STRIDE = 200, 16, 8
TASK = get_task("Pendulum-v1")

_ADAM = optax.adam(optax.cosine_decay_schedule(3e-3, 20_000, 1e-3))

# Name: the learner, from the loss and how often a step is seen; updates; rows of each.
LEARNERS: dict[str, tuple[Callable[[OneStepLoss, float], AbstractLearner], int, int]] = {
    "adam": (lambda loss, _: GradientLearner(_ADAM, loss), 20_000, 64),
    "ekf": (lambda loss, times: KalmanLearner(loss, repeats=times), 400, 32),
    "ekf-block": (
        lambda loss, times: KalmanLearner(loss, blocks="layer", repeats=times),
        400,
        32,
    ),
}


def episodes(seed: int, count: int) -> list[Experience]:
    """Episodes of uniformly random actions, of the environment itself."""
    env, random = GymnasiumTask(TASK), np.random.default_rng(seed)
    found = []
    for _ in range(count):
        states = [env.reset(int(random.integers(2**31)))]
        actions = random.uniform(-1, 1, (STEPS, 1)).astype(np.float32)
        states.extend(env.step(action).state for action in actions)
        q, qd = (
            jnp.asarray(np.stack([np.asarray(each[i], np.float32) for each in states]))
            for i in (0, 1)
        )
        before, after = State(q[:-1], qd[:-1]), State(q[1:], qd[1:])
        nothing = jnp.zeros(STEPS)
        held = jnp.asarray(actions)
        found.append(Experience(before, held, nothing, after, nothing.astype(bool)))
    env.close()
    return found


@eqx.filter_jit
def rollout_error(model: SolvedTransition, episode: Experience) -> tuple[Any, Any, Any]:
    """Sums of the squares of the last angles' and velocities' errors, and how many."""
    starts = jnp.arange(0, STEPS - HORIZON, STRIDE)
    each = starts[:, None] + jnp.arange(HORIZON)
    start = jax.tree.map(lambda x: x[starts], episode.state)
    ahead = jax.vmap(lambda s, a: rollout(model, s, a))(start, episode.action[each])
    true = jax.tree.map(lambda x: x[starts + HORIZON - 1], episode.next_state)
    q = model.coordinates.difference(ahead.q[:, -1], true.q)
    limit = TASK.reach[1][0]
    free = jnp.all(jnp.abs(episode.next_state.qd[each]) < limit, axis=1)
    off = ahead.qd[:, -1] - true.qd
    return jnp.sum(free * q**2), jnp.sum(free * off**2), jnp.sum(free)


def one(seed: int, name: str, hidden: tuple[int, ...], solver: str) -> dict[str, float]:
    """What a learner makes of a seed's episodes."""
    data = jax.tree.map(lambda *x: jnp.concatenate(x), *episodes(seed, 2))
    unseen = episodes(seed + 10_000, 5)
    coordinates = TASK.joint_coordinates
    delan = DeLaN(coordinates, hidden=hidden, key=jax.random.key(seed))
    system = MechanicalSystem(delan, coordinates, FixedActuation(TASK.force))
    model = SolvedTransition(
        LagrangianField(system),
        coordinates,
        TASK.dt,
        solver=solver,
        velocity_limits=TASK.velocity_limits,
    )
    make, updates, batch = LEARNERS[name]
    learner = make(OneStepLoss(step_scale(data, coordinates)), updates * batch / (2 * STEPS))
    start = time.perf_counter()
    fitted = fit(
        model, learner, data, key=jax.random.key(seed), steps=updates, batch_size=batch
    )
    jax.block_until_ready(fitted.state)
    seconds = time.perf_counter() - start
    sums = np.sum([np.asarray(rollout_error(fitted.model, each)) for each in unseen], axis=0)
    q, qd = (float(np.sqrt(total / sums[2])) for total in sums[:2])
    return {"q": q, "qd": qd, "windows": int(sums[2]), "seconds": seconds}


def main() -> None:
    """Measures, prints, writes JSON."""
    parser = arguments(__doc__, "pendulum_model.json")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--hidden", type=int, nargs="+", default=[32, 32])
    parser.add_argument("--solver", default="semi_implicit_euler", help="the environment's own")
    options = parser.parse_args()
    result: dict[str, Any] = {
        "machine": machine(),
        "hidden": options.hidden,
        "solver": options.solver,
        "learners": {},
    }
    seeds = range(options.first, options.first + options.seeds)
    for name in LEARNERS:
        found = [one(seed, name, tuple(options.hidden), options.solver) for seed in seeds]
        result["learners"][name] = found
        q, qd, seconds = ([each[k] for each in found] for k in ("q", "qd", "seconds"))
        print(
            f"{name}: q {statistics.mean(q):.4f} rad (median {statistics.median(q):.4f}, "
            f"{min(q):.4f} to {max(q):.4f}), qd {statistics.mean(qd):.4f} rad/s, "
            f"{statistics.median(seconds):.1f} s a seed",
            flush=True,
        )
    adam = result["learners"]["adam"]
    for name, found in result["learners"].items():
        better = sum(a["q"] < b["q"] for a, b in zip(found, adam, strict=True))
        print(f"{name}: smaller error of q than Adam's on {better} of {len(adam)} seeds")
    write(options.out, result)


if __name__ == "__main__":
    main()
