"""Optimal return of the suite's pendulum, by value iteration on a grid.

    python benchmarks/optimum.py --out optimum.json

The optimal return is the reference for the returns of agents. For one joint it can be computed:
backward induction over an episode gives the values on a grid of angles and velocities, for a
finite set of torques, with linear interpolation between grid points. A policy that is greedy
with respect to the values of a whole episode then acts in the task. The table shows its
returns, once with actions of one step and once with the action repeat of the task.
"""

import jax
import jax.numpy as jnp
from _common import arguments, machine, write
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Float, PRNGKeyArray, Scalar

from lagdyna.mechanics import State
from lagdyna.tasks import SUITE, suite_task

TASK = suite_task("pendulum")
FASTEST = 9.0  # rad/s; a fall from upright to hanging reaches about 6


def held(state: State, action: Float[Array, " m"], repeat: int) -> tuple[State, Scalar]:
    """Repeat an action for `repeat` steps; return the last state and the summed reward."""
    paid = jnp.zeros(())
    for _ in range(repeat):
        state, reward = TASK.step(state, action)
        paid += reward
    return state, paid


def best(angles: int, speeds: int, torques: int, repeat: int) -> Float[Array, " episodes"]:
    """Compute the returns of the greedy policy in twenty episodes.

    **Arguments:** `angles`, `speeds`, the numbers of grid points; `torques`, the number of
    torques; `repeat`, the action repeat.
    """
    actions = jnp.linspace(-1.0, 1.0, torques)

    def choices(state: State) -> tuple[State, Float[Array, " torques"]]:
        return jax.vmap(lambda action: held(state, action[None], repeat))(actions)

    def places(state: State) -> list[Array]:
        q, qd = state.q[..., 0], state.qd[..., 0]
        angle = jnp.mod(q + jnp.pi, 2 * jnp.pi) / (2 * jnp.pi)
        speed = (jnp.clip(qd, -FASTEST, FASTEST) + FASTEST) / (2 * FASTEST)
        return [angle * (angles - 1), speed * (speeds - 1)]

    def values(paid: Array, where: list[Array], after: Array) -> Array:
        return paid + map_coordinates(after, where, order=1, mode="nearest")

    grid = jnp.meshgrid(
        jnp.linspace(-jnp.pi, jnp.pi, angles),
        jnp.linspace(-FASTEST, FASTEST, speeds),
        indexing="ij",
    )
    following, paid = jax.vmap(jax.vmap(choices))(State(*(x[..., None] for x in grid)))
    where = places(following)

    def earlier(after: Array, _: None) -> tuple[Array, None]:
        return values(paid, where, after).max(axis=-1), None

    steps = TASK.horizon // repeat
    whole, _ = jax.lax.scan(earlier, jnp.zeros((angles, speeds)), length=steps)

    def episode(key: PRNGKeyArray) -> Scalar:
        def body(state: State, _: None) -> tuple[State, Scalar]:
            following, paid = choices(state)
            chosen = jnp.argmax(values(paid, places(following), whole))
            return jax.tree.map(lambda x: x[chosen], following), paid[chosen]

        return jnp.sum(jax.lax.scan(body, TASK.reset(key), length=steps)[1])

    return jax.vmap(episode)(jax.random.split(jax.random.key(0), 20))


def main() -> None:
    """Run the benchmark, print a table, write the results as JSON."""
    parser = arguments(__doc__, "optimum.json")
    parser.add_argument("--angles", type=int, default=401, help="grid points of the angle")
    parser.add_argument("--speeds", type=int, default=401, help="grid points of the velocity")
    parser.add_argument("--torques", type=int, default=9, help="number of torques")
    args = parser.parse_args()
    found = {}
    print("| steps an action lasts | mean return | smallest | largest |")
    print("|---|---|---|---|")
    for repeat in (1, SUITE["pendulum"].repeat):
        solve = jax.jit(best, static_argnums=(0, 1, 2, 3))
        returns = solve(args.angles, args.speeds, args.torques, repeat)
        found[repeat] = returns.tolist()
        row = (returns.mean(), returns.min(), returns.max())
        print(f"| {repeat} | {' | '.join(f'{x:.1f}' for x in row)} |", flush=True)
    sizes = {name: getattr(args, name) for name in ("angles", "speeds", "torques")}
    write(args.out, {"about": machine(), **sizes, "returns": found})


if __name__ == "__main__":
    main()
