"""Optimal returns of two pendulums, by value iteration on a grid.

    python benchmarks/optimum.py --out optimum.json
    python benchmarks/optimum.py --task Pendulum-v1 --out optimum.json

The optimal return is the reference for the returns of agents. For one joint it can be computed:
backward induction over an episode gives the values on a grid of angles and velocities, for a
finite set of torques, with linear interpolation between grid points. A policy that is greedy
with respect to the values of a whole episode then acts in the task. So a table shows returns
that were reached: those of the suite's `pendulum`, once with actions of one step and once with
its action repeat, or those of Gymnasium's `Pendulum-v1`, from the starts of the evaluations of
a training run with each seed.
"""

from collections.abc import Callable
from typing import NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from _common import arguments, machine, write
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Float, Scalar

from lagdyna.mechanics import State
from lagdyna.tasks import SUITE, suite_task
from lagdyna.training import EVALUATE, start_seeds

SEEDS = 10  # of training runs
EPISODES = 100  # of an evaluation of Pendulum-v1, by default

Step = Callable[[State, Float[Array, " m"]], tuple[State, Scalar]]


class Pendulum(NamedTuple):
    """One joint with one motor.

    **Attributes:** `step`, the equations; `horizon`, steps of an episode; `fastest`, the edge
    of the grid, rad/s.
    """

    step: Step
    horizon: int
    fastest: float


class Grid(NamedTuple):
    """Numbers of grid points of angle and velocity, and of torques."""

    angles: int
    speeds: int
    torques: int


def suite_pendulum() -> Pendulum:
    """Read the suite's pendulum; a fall from upright to hanging reaches about 6 rad/s."""
    task = suite_task("pendulum")
    return Pendulum(lambda state, action: task.step(state, action), task.horizon, 9.0)


def gymnasium_pendulum() -> Pendulum:
    """Write down Gymnasium's `Pendulum-v1`, which clips its velocity at 8 rad/s."""
    dt, speed, torque = 0.05, 8.0, 2.0

    def step(state: State, action: Float[Array, " m"]) -> tuple[State, Scalar]:
        q, qd, u = state.q[0], state.qd[0], torque * action[0]
        angle = jnp.mod(q + jnp.pi, 2 * jnp.pi) - jnp.pi
        reward = -(angle**2 + 0.1 * qd**2 + 0.001 * u**2)
        # A rod of 1 kg and 1 m at 10 m/s^2, by semi-implicit Euler.
        qd = jnp.clip(qd + dt * (15 * jnp.sin(q) + 3 * u), -speed, speed)
        return State((q + dt * qd)[None], qd[None]), reward

    return Pendulum(step, 200, speed)


def evaluation_starts(seed: int) -> State:
    """Reset `Pendulum-v1` as the evaluations of a training run with a seed do."""
    env = gymnasium.make("Pendulum-v1").unwrapped
    rows = []
    for start in start_seeds(seed, EVALUATE, EPISODES):
        env.reset(seed=int(start))
        rows.append(np.array(env.state))  # pyright: ignore[reportAttributeAccessIssue]
    q, qd = np.array(rows).T
    return State(jnp.asarray(q[:, None], float), jnp.asarray(qd[:, None], float))


def best(pendulum: Pendulum, starts: State, grid: Grid, repeat: int) -> Float[Array, " starts"]:
    """Compute the returns of the greedy policy from each start.

    **Arguments:** `starts`, of shapes `(starts, 1)`; `repeat`, the action repeat.
    """
    actions = jnp.linspace(-1.0, 1.0, grid.torques)
    fastest = pendulum.fastest

    def held(state: State, action: Float[Array, " m"]) -> tuple[State, Scalar]:
        paid = jnp.zeros(())
        for _ in range(repeat):
            state, reward = pendulum.step(state, action)
            paid += reward
        return state, paid

    def choices(state: State) -> tuple[State, Float[Array, " torques"]]:
        return jax.vmap(lambda action: held(state, action[None]))(actions)

    def places(state: State) -> list[Array]:
        q, qd = state.q[..., 0], state.qd[..., 0]
        angle = jnp.mod(q + jnp.pi, 2 * jnp.pi) / (2 * jnp.pi)
        speed = (jnp.clip(qd, -fastest, fastest) + fastest) / (2 * fastest)
        return [angle * (grid.angles - 1), speed * (grid.speeds - 1)]

    def values(paid: Array, where: list[Array], after: Array) -> Array:
        return paid + map_coordinates(after, where, order=1, mode="nearest")

    points = jnp.meshgrid(
        jnp.linspace(-jnp.pi, jnp.pi, grid.angles),
        jnp.linspace(-fastest, fastest, grid.speeds),
        indexing="ij",
    )
    following, paid = jax.vmap(jax.vmap(choices))(State(*(x[..., None] for x in points)))
    where = places(following)

    def earlier(after: Array, _: None) -> tuple[Array, None]:
        return values(paid, where, after).max(axis=-1), None

    steps = pendulum.horizon // repeat
    nothing = jnp.zeros((grid.angles, grid.speeds))
    whole, _ = jax.lax.scan(earlier, nothing, length=steps)

    def episode(start: State) -> Scalar:
        def body(state: State, _: None) -> tuple[State, Scalar]:
            following, paid = choices(state)
            chosen = jnp.argmax(values(paid, places(following), whole))
            return jax.tree.map(lambda x: x[chosen], following), paid[chosen]

        return jnp.sum(jax.lax.scan(body, start, length=steps)[1])

    return jax.vmap(episode)(starts)


def of_suite(grid: Grid) -> dict[str, list[float]]:
    """Print and return the returns of twenty episodes of the suite's pendulum."""
    task, pendulum = suite_task("pendulum"), suite_pendulum()
    starts = jax.vmap(task.reset)(jax.random.split(jax.random.key(0), 20))
    print("| steps an action lasts | mean return | smallest | largest |")
    print("|---|---|---|---|")
    found = {}
    for repeat in (1, SUITE["pendulum"].repeat):
        returns = jax.jit(best, static_argnums=(0, 2, 3))(pendulum, starts, grid, repeat)
        found[str(repeat)] = returns.tolist()
        row = (returns.mean(), returns.min(), returns.max())
        print(f"| {repeat} | {' | '.join(f'{x:.1f}' for x in row)} |", flush=True)
    return found


def of_gymnasium(grid: Grid) -> dict[str, list[float]]:
    """Print and return the returns of `Pendulum-v1`, from the starts of each seed."""
    seeds = [evaluation_starts(seed) for seed in range(SEEDS)]
    starts = jax.tree.map(lambda *x: jnp.concatenate(x), *seeds)
    returns = jax.jit(best, static_argnums=(0, 2, 3))(gymnasium_pendulum(), starts, grid, 1)
    print("| seed of the run | optimal return | of the hardest start |")
    print("|---|---|---|")
    found = {}
    for seed, row in enumerate(np.asarray(returns).reshape(SEEDS, EPISODES)):
        found[str(seed)] = row.tolist()
        print(f"| {seed} | {row.mean():.1f} | {row.min():.0f} |")
    print(f"| mean | {returns.mean():.1f} | {returns.min():.0f} |")
    return found


def main() -> None:
    """Run the benchmark, print a table, write the results as JSON."""
    parser = arguments(__doc__, "optimum.json")
    tasks = {"pendulum": of_suite, "Pendulum-v1": of_gymnasium}
    parser.add_argument("--task", choices=list(tasks), default="pendulum", help="the task")
    parser.add_argument("--angles", type=int, default=401, help="grid points of the angle")
    parser.add_argument("--speeds", type=int, default=401, help="grid points of the velocity")
    parser.add_argument("--torques", type=int, default=9, help="number of torques")
    args = parser.parse_args()
    grid = Grid(args.angles, args.speeds, args.torques)
    found = tasks[args.task](grid)
    write(args.out, {"about": machine(), "task": args.task, **grid._asdict(), "returns": found})


if __name__ == "__main__":
    main()
