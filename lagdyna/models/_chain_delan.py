import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Scalar

from ..mechanics import AbstractRigidBody, Coordinates, Forces, linalg

# Part of the initial mass that belongs to the joint itself, such as a rotor's inertia, and the
# part of it that is never lost.
_ROTOR, _LEAST_ROTOR = 0.05, 1e-4


class ChainDeLaN(AbstractRigidBody):
    """Deep Lagrangian network of a serial chain.

    Each link has a velocity vector that depends on that of the link before it:

        v_k = X_k(q_k) v_(k-1) + s_k qd_k,    X_k(q) = A_k + cos(q) B_k + sin(q) C_k
        T = 1/2 sum |W_k v_k|^2 + 1/2 sum a_k qd_k^2

    Every matrix and vector is learned, and `a_k > 0`, so the mass matrix is symmetric positive
    definite for all weights. The potential `V = sum c_k . p_k` follows from
    `p_k = Y_k(q_k) p_(k-1)` in the same way. For a linear coordinate the functions are 1, `q`
    and `q^2` in place of 1, cosine and sine.

    Spatial velocities of rigid links obey such a recursion (Featherstone 2008, "Rigid Body
    Dynamics Algorithms", table 5.1), with six entries, and heights with four. Every chain of
    links and joints in space is therefore a special case, whatever its axes and inertia. A
    network of all angles needs many more data to learn the products of their cosines
    and sines.

    **Arguments:**

    - `coordinates`: those of the joints, from the base to the tip.
    - `size`: number of entries of a velocity vector.
    - `potential_size`: number of entries of `p_k`.
    - `initial_mass`: the diagonal of the mass matrix before training, kg or kg m^2, shape `()`
        or `(n,)`.
    - `key`: PRNG key of the initial weights.

    **Raises:** `ValueError` if a size or `initial_mass` is not positive, or `initial_mass` has
    another shape.
    """

    motions: Float[Array, "links 3 size size"]
    axes: Float[Array, "n size"]
    weights: Float[Array, "n size size"]
    log_rotor: Float[Array, " n"]
    heights: Float[Array, "n 3 height height"]
    gravity: Float[Array, " height"]
    gradients: Float[Array, "n height"]
    coordinates: Coordinates
    rotor: tuple[float, ...] = eqx.field(static=True)

    def __init__(
        self,
        coordinates: Coordinates,
        *,
        size: int = 6,
        potential_size: int = 4,
        initial_mass: float | tuple[float, ...] = 1.0,
        key: PRNGKeyArray,
    ):
        n = coordinates.n
        mass = np.asarray(initial_mass, np.float64)
        if mass.shape not in ((), (n,)) or mass.min() <= 0:
            raise ValueError(
                f"`initial_mass` must be one positive number or {n} of them, got {initial_mass}"
            )
        if min(size, potential_size) < 1:
            raise ValueError(
                f"`size` and `potential_size` must be positive, got {size} and {potential_size}"
            )
        mass = np.broadcast_to(mass, (n,))
        keys = jax.random.split(key, 5)
        self.motions = _turns(keys[0], n - 1, size)
        self.heights = _turns(keys[1], n, potential_size)
        # A link weighs as much as the heaviest joint that is not before it, and the turns
        # above keep lengths: the diagonal of the mass matrix is `mass` in all positions.
        heaviest = np.maximum.accumulate(mass[::-1])[::-1]
        moved = np.cumsum(heaviest[::-1])[::-1]
        axes = jax.random.normal(keys[2], (n, size))
        axes = axes / jnp.linalg.norm(axes, axis=1, keepdims=True)
        length = np.sqrt((1 - _ROTOR) * mass / moved)
        self.axes = axes * jnp.asarray(length)[:, None]
        self.weights = jnp.asarray(np.sqrt(heaviest))[:, None, None] * jnp.eye(size)
        self.gravity = jax.random.normal(keys[3], (potential_size,)) / math.sqrt(potential_size)
        self.gradients = 0.1 * jax.random.normal(keys[4], (n, potential_size))
        self.log_rotor = jnp.full(n, math.log(_ROTOR - _LEAST_ROTOR))
        self.rotor = tuple(mass.tolist())
        self.coordinates = coordinates

    def kinetic_energy(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Scalar:
        velocities = self._velocities(q, qd[None])
        return 0.5 * jnp.sum(velocities**2) + 0.5 * jnp.sum(self._rotors() * qd**2)

    def potential_energy(self, q: Float[Array, " n"]) -> Scalar:
        def link(before: Array, joint: tuple[Array, Array]) -> tuple[Array, Array]:
            after = _carried(before, *joint)
            return after, after

        joints = (self.heights, self._functions(q))
        _, heights = jax.lax.scan(link, self.gravity[None], joints)
        return jnp.sum(heights[:, 0] * self.gradients)

    def mass_matrix(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, "n n"]:
        del qd  # a rigid body's mass matrix depends on the configuration alone
        velocities = self._velocities(q, jnp.eye(len(q), dtype=q.dtype))
        columns = jnp.swapaxes(velocities, 0, 1).reshape(len(q), -1)
        return columns @ columns.T + jnp.diag(self._rotors())

    def mass_factor(self, q: Float[Array, " n"]) -> Float[Array, "n n"]:
        return linalg.cholesky(self.mass_matrix(q, jnp.zeros_like(q)), upper=True)

    def momentum(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        return jax.grad(self.kinetic_energy, argnums=1)(q, qd)

    def inverse_dynamics(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], qdd: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        _, force = jax.jvp(self.momentum, (q, qd), (qd, qdd))
        return force - jax.grad(self.__call__)(q, qd)

    def forces(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], qdd: Float[Array, " n"]
    ) -> Forces:
        still = jnp.zeros_like(q)
        conservative = jax.grad(self.potential_energy)(q)
        coriolis = self.inverse_dynamics(q, qd, still) - conservative
        return Forces(self.momentum(q, qdd), coriolis, conservative)

    def _factor_and_bias(
        self, q: Float[Array, " n"], qd: Float[Array, " n"]
    ) -> tuple[Float[Array, "n n"], Float[Array, " n"]]:
        return self.mass_factor(q), self.inverse_dynamics(q, qd, jnp.zeros_like(q))

    def _velocities(
        self, q: Float[Array, " n"], qd: Float[Array, "k n"]
    ) -> Float[Array, "n k size"]:
        """Compute `W_k v_k` of each link, for `k` vectors of joint velocities at once."""

        def link(
            before: Float[Array, "k size"], joint: tuple[Array, Array, Array, Array, Array]
        ) -> tuple[Array, Array]:
            matrices, functions, axis, weight, rate = joint
            velocity = _carried(before, matrices, functions) + rate[:, None] * axis
            return velocity, velocity @ weight.T

        first = qd[:, :1] * self.axes[0]
        functions = self._functions(q)[1:]
        joints = (self.motions, functions, self.axes[1:], self.weights[1:], qd.T[1:])
        _, others = jax.lax.scan(link, first, joints)
        return jnp.concatenate([(first @ self.weights[0].T)[None], others])

    def _functions(self, q: Float[Array, " n"]) -> Float[Array, "n 3"]:
        """Compute 1, cosine and sine of an angle; 1, `q` and `q^2` of a linear coordinate."""
        angle = np.asarray(self.coordinates.angles)
        second, third = jnp.cos(q), jnp.sin(q)
        if not angle.all():
            second, third = jnp.where(angle, second, q), jnp.where(angle, third, q**2)
        return jnp.stack([jnp.ones_like(q), second, third], axis=1)

    def _rotors(self) -> Float[Array, " n"]:
        unit = jnp.asarray(np.asarray(self.rotor), self.log_rotor.dtype)
        return unit * (_LEAST_ROTOR + jnp.exp(self.log_rotor))


def _carried(
    before: Float[Array, "k size"],
    matrices: Float[Array, "3 size size"],
    functions: Float[Array, " 3"],
) -> Float[Array, "k size"]:
    """Compute `X(q) v` of vectors in rows. One product of all three matrices is cheapest."""
    size = before.shape[1]
    products = before @ matrices.reshape(3 * size, size).T
    one, two, three = (products[:, i : i + size] for i in range(0, 3 * size, size))
    return functions[0] * one + functions[1] * two + functions[2] * three


def _turns(key: PRNGKeyArray, count: int, size: int) -> Float[Array, "count 3 size size"]:
    """Draw matrices `A + cos(q) B + sin(q) C` that turn vectors in random planes by `q`.

    A third of the directions, rounded down, are paired with as many others in such planes.
    The rest do not turn, as the axis of a joint.
    """
    planes = size // 3
    turning = np.arange(size) < 2 * planes
    quarter = np.zeros((size, size))
    for i in range(0, 2 * planes, 2):
        quarter[i, i + 1], quarter[i + 1, i] = -1.0, 1.0
    plain = jnp.asarray(np.stack([np.diag(~turning), np.diag(turning), quarter]), float)
    basis, _ = jnp.linalg.qr(jax.random.normal(key, (count, size, size)))
    return jnp.einsum("cij,fjk,clk->cfil", basis, plain, basis)
