"""Times one Adam update of a Lagrangian network, against other ways to differentiate it.

    python benchmarks/lnn_update.py

Pin it (`taskset`) to the cores that a figure is meant for.
"""

import time
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from lagdyna.mechanics import Coordinates, euler_lagrange
from lagdyna.models import LNN

Acceleration = Callable[[LNN, Array, Array, Array], Array]


def ours(model: LNN, q: Array, qd: Array, tau: Array) -> Array:
    """The library's own."""
    return model.forward_dynamics(q, qd, tau)


def general(model: LNN, q: Array, qd: Array, tau: Array) -> Array:
    """`jax.hessian` and one jvp, then the same solve."""
    mass = euler_lagrange.mass_matrix(model, q, qd)
    return model.solve(mass, tau - euler_lagrange.bias_force(model, q, qd))


def forward_over_reverse(model: LNN, q: Array, qd: Array, tau: Array) -> Array:
    """One linearised gradient, all directions through it at once."""
    n = q.shape[0]
    gradient, rate = jax.linearize(jax.grad(model, argnums=(0, 1)), q, qd)
    along = (
        jnp.concatenate([jnp.zeros((n, n)), qd[None]]),
        jnp.concatenate([jnp.eye(n), jnp.zeros((1, n))]),
    )
    columns = jax.vmap(rate)(*along)[1]
    return model.solve(columns[:n], tau + gradient[0] - columns[n])


def as_printed(model: LNN, q: Array, qd: Array, tau: Array) -> Array:
    """Cranmer et al. (2020), appendix A."""
    mass = jax.hessian(model, 1)(q, qd)
    mixed = jax.jacobian(jax.jacobian(model, 1), 0)(q, qd)
    return jnp.linalg.pinv(mass) @ (tau + jax.grad(model, 0)(q, qd) - mixed @ qd)


def milliseconds(acceleration: Acceleration, hidden: tuple[int, ...], batch: int) -> float:
    """The fastest of several timings of one update."""
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

    for _ in range(3):
        model, state = jax.block_until_ready(update(data, model, state))
    times = []
    for _ in range(8):
        start = time.perf_counter()
        for _ in range(10):
            model, state = update(data, model, state)
        jax.block_until_ready(state)
        times.append((time.perf_counter() - start) / 10)
    return 1e3 * min(times)


if __name__ == "__main__":
    for hidden, batch in (((128,) * 2, 32), ((128,) * 2, 512), ((500,) * 4, 32)):
        for way in (ours, forward_over_reverse, general, as_printed):
            print(hidden, batch, way.__name__, f"{milliseconds(way, hidden, batch):.2f} ms")
