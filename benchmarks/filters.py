"""Time and memory of one update of each filter, for increasing numbers of weights.

    python benchmarks/filters.py --out filters.json

An update uses 32 rows of a network with two outputs, 64 errors in total. For the full extended
Kalman filter, the same run measures two lower bounds: the matrix products of an update, and one
pass over the covariance. The last part measures online learning: updates of a two-link arm's
DeLaN on one row of torques.
"""

import argparse
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from _common import arguments, machine, milliseconds, seconds, write
from jaxtyping import Array, PyTree

from lagdyna import State
from lagdyna.filters import (
    AbstractFilter,
    EnsembleLearner,
    KalmanLearner,
    ParticleLearner,
    SigmaPointLearner,
)
from lagdyna.learners import AbstractSquaredLoss, Accelerations, InverseLoss
from lagdyna.mechanics import Coordinates, FixedActuation, MechanicalSystem
from lagdyna.models import DeLaN, Network

# From the approximate number of weights to the width of the two hidden layers.
SIZES = {300: 14, 1000: 28, 3000: 52, 4610: 65, 10_000: 97, 30_000: 170}


class Misfit(AbstractSquaredLoss[Network, tuple[Array, Array]]):
    """Mean squared error of the outputs."""

    def __call__(self, model: Network, batch: tuple[Array, Array]) -> Array:
        return jnp.mean(jnp.sum(jax.vmap(self.errors, (None, 0))(model, batch) ** 2, -1))

    def errors(self, model: Network, row: tuple[Array, Array]) -> Array:
        """Compute the scaled errors of the outputs of one row."""
        x, y = row
        return (model(x) - y) / jnp.sqrt(y.shape[0])


FILTERS: dict[str, Callable[[], AbstractFilter]] = {
    "ekf": lambda: KalmanLearner(Misfit()),
    "ekf-block by layer": lambda: KalmanLearner(Misfit(), blocks="layer"),
    "ekf-block by node": lambda: KalmanLearner(Misfit(), blocks="node"),
    "ekf-diagonal": lambda: KalmanLearner(Misfit(), blocks="weight"),
    "ekf-lowrank": lambda: KalmanLearner(Misfit(), rank=64),
    "ckf": lambda: SigmaPointLearner(Misfit()),
    "enkf": lambda: EnsembleLearner(Misfit(), members=128),
    "pf": lambda: ParticleLearner(Misfit(), particles=1024),
}


LARGEST = {"ckf": 10_000}  # weights; larger ones take minutes and most of the memory


def update_time(
    learner: AbstractFilter, model: Any, batch: PyTree, updates: int, repeats: int
) -> dict[str, float]:
    """Measure the milliseconds of an update in a compiled loop, and the bytes of the state."""
    arrays, static = eqx.partition(model, eqx.is_array)
    state = learner.init(model)
    size = sum(leaf.nbytes for leaf in jax.tree.leaves((arrays, state)))

    @eqx.filter_jit(donate="all")
    def some(carry: PyTree, batch: PyTree) -> tuple[PyTree, PyTree]:
        def body(carry: PyTree, _: None) -> tuple[PyTree, None]:
            arrays, state = carry
            model, state, _told = learner.update(eqx.combine(arrays, static), state, batch)
            return (eqx.filter(model, eqx.is_array), state), None

        return jax.lax.scan(body, carry, None, length=updates)[0], batch

    carry: Any = (arrays, state)

    def program() -> object:
        nonlocal carry, batch
        carry, batch = some(carry, batch)
        return carry

    first, times = seconds(program, repeats)
    return {
        **milliseconds(times, updates),
        "bytes": size,
        "compile_s": round(first, 2),
        "weights": sum(leaf.size for leaf in jax.tree.leaves(arrays)),
    }


def bounds(weights: int, errors: int) -> dict[str, dict[str, float]]:
    """Measure lower bounds of the time of a full filter's update, in milliseconds.

    `products` is the product of covariance and Jacobian, and the square of the gain.
    `streaming` is one read and one write of the covariance.
    """
    jacobian = jax.random.normal(jax.random.key(0), (errors, weights))

    def products(covariance: Array, jacobian: Array) -> Array:
        spread = jacobian @ covariance
        return spread.T @ spread

    def streaming(covariance: Array, jacobian: Array) -> Array:
        return covariance * (1 - 1e-6 * jacobian[0, 0])

    found = {}
    for name, each in (("products", products), ("streaming", streaming)):
        step: Callable[[Array, Array], Array] = each

        @eqx.filter_jit(donate="all-except-first")
        def program(jacobian: Array, covariance: Array, step: Any = step) -> Array:
            body = lambda c, _: (step(c, jacobian), None)  # noqa: E731
            return jax.lax.scan(body, covariance, None, length=5)[0]

        covariance = 1e-3 * jnp.eye(weights)

        def call() -> object:
            nonlocal covariance
            covariance = program(jacobian, covariance)
            return covariance

        found[name] = milliseconds(seconds(call, 8)[1], 5)
    return found


def batch_of(rows: int) -> tuple[Array, Array]:
    """Sample random inputs and compute their targets."""
    x = jax.random.normal(jax.random.key(1), (rows, 3))
    return x, jnp.stack([jnp.sin(x[:, 0]), x[:, 1] * x[:, 2]], axis=-1)


def network(width: int) -> Network:
    """Build a network with two hidden layers of equal width."""
    return Network(3, 2, (width, width), jnp.tanh, key=jax.random.key(0))


ONLINE: dict[str, tuple[int, Callable[[Any], AbstractFilter]]] = {
    "ekf": (32, lambda loss: KalmanLearner(loss)),
    "ekf-block by layer": (64, lambda loss: KalmanLearner(loss, blocks="layer")),
    "ekf-block by node": (64, lambda loss: KalmanLearner(loss, blocks="node")),
    "ekf-diagonal": (64, lambda loss: KalmanLearner(loss, blocks="weight")),
    "ekf-lowrank": (64, lambda loss: KalmanLearner(loss, rank=64)),
}


def online(width: int, make: Callable[[Any], AbstractFilter]) -> dict[str, float]:
    """Measure the milliseconds of an update on one row of torques, one row a call."""
    coordinates = Coordinates((True, True))
    delan = DeLaN(coordinates, hidden=(width, width), key=jax.random.key(0))
    force = FixedActuation(((1.0, 0.0), (0.0, 1.0)))
    system = MechanicalSystem(delan, coordinates, force)
    learner = make(InverseLoss(jnp.ones(2)))
    arrays, static = eqx.partition(system, eqx.is_array)
    one = jnp.ones((1, 2))
    row = Accelerations(State(one, one), one, one)

    @eqx.filter_jit(donate="all-except-first")
    def update(row: Accelerations, carry: PyTree) -> PyTree:
        arrays, state = carry
        model, state, _ = learner.update(eqx.combine(arrays, static), state, row)
        return eqx.filter(model, eqx.is_array), state

    carry: Any = (arrays, learner.init(system))

    def program() -> object:
        nonlocal carry
        carry = update(row, carry)
        return carry

    _, times = seconds(program, 200)
    weights = sum(leaf.size for leaf in jax.tree.leaves(arrays))
    return {**milliseconds(times, 1), "max_ms": round(1e3 * max(times), 3), "weights": weights}


def parsed() -> argparse.Namespace:
    """Parse the command line options."""
    parser = arguments(__doc__, "filters.json")
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        default=[300, 1000, 3000, 10_000, 30_000],
        help="approximate numbers of weights",
    )
    parser.add_argument(
        "--filters", nargs="+", default=list(FILTERS), help="filters to measure"
    )
    return parser.parse_args()


def main() -> None:
    """Run the benchmark, print the results, write them as JSON."""
    options = parsed()
    result: dict[str, Any] = {"machine": machine(), "updates": [], "bounds": {}, "online": {}}
    for size in options.sizes:
        for name in options.filters:
            if size > LARGEST.get(name, size):
                continue
            slow = size >= 10_000 or (name == "ckf" and size >= 3000)
            updates, repeats = (1, 3) if slow else (10, 6)
            learner, model = FILTERS[name](), network(SIZES[size])
            found = update_time(learner, model, batch_of(32), updates, repeats)
            result["updates"].append({"filter": name, "size": size, **found})
            print(
                f"{name}, {found['weights']} weights: {found['median_ms']:.2f} ms, "
                f"{found['bytes'] / 1e6:.2f} MB",
                flush=True,
            )
    for size, rows, updates in ((3000, 32, 10), (4610, 1, 20)):
        model, learner = network(SIZES[size]), FILTERS["ekf"]()
        found = update_time(learner, model, batch_of(rows), updates, 8)
        least = bounds(int(found["weights"]), 2 * rows)
        result["bounds"][str(size)] = {"rows": rows, "update": found, **least}
        print(f"ekf, {found['weights']} weights, {rows} rows: {found['median_ms']:.2f} ms")
        for name, each in least.items():
            print(f"    {name} alone: {each['median_ms']:.2f} ms")
    for name, (width, make) in ONLINE.items():
        found = online(width, make)
        result["online"][name] = {"width": width, **found}
        print(
            f"online {name}, {found['weights']} weights: {found['median_ms']:.2f} ms "
            f"(at most {found['max_ms']:.2f})"
        )
    write(options.out, result)


if __name__ == "__main__":
    main()
