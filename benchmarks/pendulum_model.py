"""Sixteen-step prediction errors on Pendulum-v1: Kalman filters compared with Adam.

    python benchmarks/pendulum_model.py --out pendulum_model.json

For each seed, models are trained on two episodes of random actions (400 steps) and tested on
five others. The test predicts sixteen steps from every eighth state under the recorded actions.
The error is the root mean square error of the last states, angles in rad, velocities in rad/s.
Windows in which the environment clips the velocity are excluded: it clips within its step,
models clip after it.

All learners use the same data and the same untrained DeLaN. The default solver is the
integration rule of the environment. Seconds include compilation.
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
from lagdyna.filters import KalmanLearner
from lagdyna.learners import AbstractLearner, GradientLearner, OneStepLoss, fit, step_scale
from lagdyna.mechanics import FixedActuation, MechanicalSystem, State
from lagdyna.models import DeLaN
from lagdyna.simulate import LagrangianField, SolvedTransition, rollout
from lagdyna.tasks import GymnasiumTask, get_task

STEPS, HORIZON, STRIDE = 200, 16, 8
TASK = get_task("Pendulum-v1")

_ADAM = optax.adam(optax.cosine_decay_schedule(3e-3, 20_000, 1e-3))

# For each name: a function from the loss and the number of passes over the data to a learner,
# the number of updates, and the batch size.
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
    """Record episodes of uniformly random actions in the environment."""
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
    """Compute the sums of squared angle and velocity errors, and the number of windows."""
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
    """Train and test one learner on the episodes of one seed."""
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
    """Run the benchmark, print the results, write them as JSON."""
    parser = arguments(__doc__, "pendulum_model.json")
    parser.add_argument("--seeds", type=int, default=10, help="number of seeds")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument(
        "--hidden", type=int, nargs="+", default=[32, 32], help="widths of the hidden layers"
    )
    parser.add_argument(
        "--solver",
        default="semi_implicit_euler",
        help="Diffrax solver of the model; the default is the environment's rule",
    )
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
