"""Random mechanical systems, states and small conveniences shared by the tests."""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Scalar

from lagdyna.mechanics import (
    AbstractGeneralLagrangian,
    Coordinates,
    FixedActuation,
    MechanicalSystem,
    State,
)
from lagdyna.models import DeLaN
from lagdyna.simulate import LagrangianField
from lagdyna.systems import Pendulum

PENDULUM = Coordinates((True,))


# `jax.device_put` compiles nothing; `jnp.asarray` compiles a copy for each shape.


def normals(seed: int, *shape: int) -> Array:
    """Standard normals in the precision that is switched on."""
    return jax.device_put(np.random.default_rng(seed).normal(size=shape))


def is_weight(leaf: Any) -> bool:
    return isinstance(leaf, jax.ShapeDtypeStruct) or eqx.is_inexact_array(leaf)


def randomised(model: Any, seed: int, scale: float = 1.0) -> Any:
    """`model`, or the shape of one, with every weight drawn anew from `N(0, scale^2)`."""
    weights, rest = eqx.partition(model, is_weight)
    rng = np.random.default_rng(seed)
    drawn = jax.tree.map(lambda w: jax.device_put(scale * rng.normal(size=w.shape)), weights)
    return eqx.combine(drawn, rest)


def built(build: Callable[..., Any], *args: Any, key: Array, **options: Any) -> Any:
    """`build(...)` as one program: compiling each draw of its weights alone takes long."""
    return eqx.filter_jit(build)(*args, **options, key=key)


def shape_of(build: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """What `build` would return, its arrays replaced by their shapes. Nothing is compiled."""
    return eqx.filter_eval_shape(build, *args, **options, key=jax.random.key(0))


@functools.cache
def _delan(angles: tuple[bool, ...]) -> DeLaN:
    return shape_of(DeLaN, Coordinates(angles), hidden=(8,))


def random_delan(seed: int, angles: tuple[bool, ...]) -> DeLaN:
    """A rigid body with a mass matrix well enough conditioned for strict comparisons."""
    model = _delan(angles)
    return randomised(model, seed, 0.5 / model.coordinates.embedding_size**0.5)


def random_state(seed: int, n: int) -> tuple[Array, Array, Array]:
    """`(q, qd)` and a third vector, a force or an acceleration."""
    q, qd, other = np.random.default_rng(seed).normal(size=(3, n))
    return jax.device_put((2 * q, qd, other))


class WildLagrangian(AbstractGeneralLagrangian):
    """Everything a rigid body is not allowed: quartic in `qd`, and linear in it too."""

    weights: Float[Array, "3 n n"]
    damping: float = eqx.field(static=True, default=0.0)

    def __call__(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Scalar:
        a, b, c = self.weights
        factor = jnp.eye(len(q)) + 0.3 * jnp.tanh(a * q)
        v = factor @ qd
        magnetic = qd @ jnp.sin(b @ q)
        return 0.5 * v @ v + 0.1 * jnp.sum(v**4) + magnetic - jnp.cos(c @ q).sum()


def pendulum_system(scale: float = 2.0, lagrangian: Any = None) -> MechanicalSystem:
    """Gymnasium's pendulum, or another Lagrangian in its place."""
    lagrangian = Pendulum.rod() if lagrangian is None else lagrangian
    return MechanicalSystem(lagrangian, PENDULUM, FixedActuation(((scale,),)))


def pendulum_field() -> LagrangianField:
    return LagrangianField(pendulum_system())


def state(q: float, qd: float) -> State:
    return jax.device_put(State(np.asarray([q], float), np.asarray([qd], float)))


def close(actual: Any, desired: Any, tolerance: float) -> None:
    """Asserts that two PyTrees agree to `tolerance`, of the desired one's largest number."""
    jax.tree.map(
        lambda a, d: np.testing.assert_allclose(
            a, d, rtol=tolerance, atol=tolerance * max(1.0, float(np.max(np.abs(d))))
        ),
        actual,
        desired,
    )


def identical(a: Any, b: Any) -> None:
    """Asserts that two PyTrees are equal, bit for bit."""
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y), strict=True)
