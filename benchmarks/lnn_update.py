"""Time of one Adam update of an LNN for four ways to compute its accelerations.

    python benchmarks/lnn_update.py --out lnn_update.json

The four ways differ in how they differentiate the Lagrangian. All are measured within one
compiled update, for two coordinates.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from _common import arguments, machine, milliseconds, seconds, write
from jaxtyping import Array

from lagdyna.mechanics import Coordinates, euler_lagrange
from lagdyna.models import LNN

Acceleration = Callable[[LNN, Array, Array, Array], Array]


def ours(model: LNN, q: Array, qd: Array, tau: Array) -> Array:
    """Compute the acceleration with `LNN.forward_dynamics`."""
    return model.forward_dynamics(q, qd, tau)


def general(model: LNN, q: Array, qd: Array, tau: Array) -> Array:
    """Compute the acceleration with `jax.hessian`, one jvp and the solve of the LNN."""
    mass = euler_lagrange.mass_matrix(model, q, qd)
    return model.solve(mass, tau - euler_lagrange.bias_force(model, q, qd))


def forward_over_reverse(model: LNN, q: Array, qd: Array, tau: Array) -> Array:
    """Compute the acceleration with one linearised gradient, vmapped over all directions."""
    n = q.shape[0]
    gradient, rate = jax.linearize(jax.grad(model, argnums=(0, 1)), q, qd)
    along = (
        jnp.concatenate([jnp.zeros((n, n)), qd[None]]),
        jnp.concatenate([jnp.eye(n), jnp.zeros((1, n))]),
    )
    columns = jax.vmap(rate)(*along)[1]
    return model.solve(columns[:n], tau + gradient[0] - columns[n])


def as_printed(model: LNN, q: Array, qd: Array, tau: Array) -> Array:
    """Compute the acceleration as in appendix A of Cranmer et al. (2020)."""
    mass = jax.hessian(model, 1)(q, qd)
    mixed = jax.jacobian(jax.jacobian(model, 1), 0)(q, qd)
    return jnp.linalg.pinv(mass) @ (tau + jax.grad(model, 0)(q, qd) - mixed @ qd)


def update_times(
    acceleration: Acceleration, hidden: tuple[int, ...], batch: int
) -> dict[str, float]:
    """Measure the milliseconds of one update."""
    model = LNN(Coordinates((True, True)), hidden=hidden, key=jax.random.key(0))
    data = tuple(
        jax.random.normal(k, (batch, 2)) for k in jax.random.split(jax.random.key(1), 4)
    )
    optimiser = optax.adam(1e-3)
    state = optimiser.init(eqx.filter(model, eqx.is_inexact_array))

    @eqx.filter_value_and_grad
    def loss(model: LNN, q: Array, qd: Array, tau: Array, qdd: Array) -> Array:
        found = jax.vmap(lambda *x: acceleration(model, *x))(q, qd, tau)
        return jnp.mean((found - qdd) ** 2)

    @eqx.filter_jit(donate="all-except-first")
    def update(data, model: LNN, state):
        _, gradient = loss(model, *data)
        updates, state = optimiser.update(gradient, state)
        return eqx.apply_updates(model, updates), state

    carry = (model, state)

    def ten() -> object:
        nonlocal carry
        for _ in range(10):
            carry = update(data, *carry)
        return carry[1]

    return milliseconds(seconds(ten, 8)[1], 10)


WAYS = (ours, forward_over_reverse, general, as_printed)
SIZES = (((128,) * 2, 32), ((128,) * 2, 512), ((500,) * 4, 32))

if __name__ == "__main__":
    options = arguments(__doc__, "lnn_update.json").parse_args()
    result = {"machine": machine(), "updates": []}
    for hidden, batch in SIZES:
        times = {way.__name__: update_times(way, hidden, batch) for way in WAYS}
        shown = ", ".join(f"{name} {each['min_ms']:.2f} ms" for name, each in times.items())
        print(f"{hidden}, {batch} rows: {shown}")
        result["updates"].append({"hidden": list(hidden), "rows": batch, **times})
    write(options.out, result)
