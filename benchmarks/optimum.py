"""The best that can be had of the pendulum of the suite, by value iteration on a grid.

    python benchmarks/optimum.py --out optimum.json

What an agent's return is worth is said by the best one there is. With one joint that can be
computed: the values of an episode, step by step from its end, on a grid of angles and speeds
with a few torques to choose from, between which they are interpolated. Then acts greedily on
the values of a whole episode, in the task itself, and prints what that is paid, once with
actions that last a step and once with those that last as long as an agent's.
"""

import jax
import jax.numpy as jnp
from _common import arguments, machine, write
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Float, PRNGKeyArray, Scalar

from lagdyna.mechanics import State
from lagdyna.tasks import SUITE, suite_task

TASK = suite_task("pendulum")
FASTEST = 9.0  # rad/s; from upright to hanging it gains some 6


def held(state: State, action: Float[Array, " m"], repeat: int) -> tuple[State, Scalar]:
    """The state after `repeat` steps, and the sum of their rewards."""
    paid = jnp.zeros(())
    for _ in range(repeat):
        state, reward = TASK.step(state, action)
        paid += reward
    return state, paid


def best(angles: int, speeds: int, torques: int, repeat: int) -> Float[Array, " episodes"]:
    """Returns of twenty episodes of who acts greedily on the values of a whole one."""
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
    """Computes, prints the table, writes JSON."""
    parser = arguments(__doc__, "optimum.json")
    parser.add_argument("--angles", type=int, default=401, help="of the grid")
    parser.add_argument("--speeds", type=int, default=401, help="of the grid")
    parser.add_argument("--torques", type=int, default=9, help="to choose from")
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
