from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Scalar

from ..mechanics import (
    AbstractLagrangian,
    AbstractMassSolve,
    Coordinates,
    DampedSolve,
    Forces,
    euler_lagrange,
)
from ._activation import Activation, softplus
from ._initialise import cranmer_weights
from ._magnitudes import magnitudes
from ._network import Network
from ._second_order import second_order


class LNN(AbstractLagrangian):
    """Lagrangian neural network: one network for `L`, nothing assumed of its form.

        L(q, qd) = v^2 network(embed(q), qd / velocity_scale) + regulariser qd.qd

    where `v^2` is the mean square of `velocity_scale`.

    It learns kinetic energies that are not quadratic in velocity, and pays for that: its
    mass matrix can be indefinite or singular. The `regulariser` moves the matrix of an
    untrained model to about `2 regulariser I`, and `solve` says what happens near a
    singular one. Where the system is a rigid body prefer [`lagdyna.models.DeLaN`][].

    An acceleration takes one sweep through the network for each coordinate and three
    more, whatever is then differentiated (Cranmer et al. 2020, eq. 2; Das et al. 2026,
    eq. 4; not their nested Jacobians).

    **Arguments:**

    - `coordinates`: which coordinates are angles; the network sees those as `(cos, sin)`.
    - `hidden`: widths of the hidden layers. The paper has four layers of 500.
    - `activation`: three times differentiable, since training differentiates the mass
        matrix.
    - `velocity_scale`: the magnitude that each velocity is divided by, length `n`, m/s or
        rad/s; ones by default. Networks learn badly from inputs much larger than 1.
    - `regulariser`: half the mass, kg or kg m^2, that is always there. 0 for the paper's.
    - `solve`: a [`lagdyna.mechanics.AbstractMassSolve`][]. The default is damped least
        squares: as good as exact while the mass is well above the damping, smooth where
        it is not. The paper's is [`lagdyna.mechanics.PseudoInverseSolve`][].
    - `initialisation`: `"small"` starts near the regulariser alone; `"cranmer2020"` is
        that of the paper's appendix B, fitted there for one to three hidden layers of 50
        to 300 units and standard normal inputs.
    - `key`: for the initial weights.

    **Raises:** `ValueError` if a width is not positive, there is no hidden layer,
    `regulariser` is negative, `initialisation` is unknown, or `velocity_scale` is not `n`
    positive numbers.
    """

    network: Network
    coordinates: Coordinates
    solve: AbstractMassSolve
    regulariser: float = eqx.field(static=True)
    velocity_scale: tuple[float, ...] = eqx.field(static=True)

    def __init__(
        self,
        coordinates: Coordinates,
        *,
        hidden: tuple[int, ...] = (128, 128),
        activation: Activation = softplus,
        velocity_scale: tuple[float, ...] | None = None,
        regulariser: float = 0.5,
        solve: AbstractMassSolve = DampedSolve(),
        initialisation: Literal["small", "cranmer2020"] = "small",
        key: PRNGKeyArray,
    ):
        if min(hidden, default=0) < 1:
            raise ValueError(f"`hidden` must be one or more positive widths, got {hidden}")
        if regulariser < 0:
            raise ValueError(f"`regulariser` must not be negative, got {regulariser}")
        if initialisation not in ("small", "cranmer2020"):
            raise ValueError(
                f"`initialisation` must be 'small' or 'cranmer2020', got {initialisation!r}"
            )
        in_size = coordinates.embedding_size + coordinates.n
        network = Network(in_size, 1, hidden, activation, output_scale=0.1, key=key)
        if initialisation == "cranmer2020":
            network = cranmer_weights(network, key)
        self.network = network
        self.coordinates = coordinates
        self.solve = solve
        self.regulariser = float(regulariser)
        self.velocity_scale = magnitudes("velocity_scale", velocity_scale, coordinates.n)

    def __call__(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Scalar:
        scale = jnp.asarray(self.velocity_scale, qd.dtype)
        x = jnp.concatenate([self.coordinates.embed(q), qd / scale])
        return self._unit * self.network(x)[0] + self.regulariser * (qd @ qd)

    @property
    def _unit(self) -> float:
        return sum(v**2 for v in self.velocity_scale) / len(self.velocity_scale)

    def momentum(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        return euler_lagrange.momentum(self, q, qd)

    def energy(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Scalar:
        return euler_lagrange.energy(self, q, qd)

    def mass_matrix(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, "n n"]:
        return self._mass_and_bias(q, qd)[0]

    def forward_dynamics(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], tau: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        mass, bias = self._mass_and_bias(q, qd)
        return self.solve(mass, tau - bias)

    def inverse_dynamics(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], qdd: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        # One direction only: here differentiating the gradient is the cheaper way.
        return euler_lagrange.inverse_dynamics(self, q, qd, qdd)

    def forces(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], qdd: Float[Array, " n"]
    ) -> Forces:
        mass, bias = self._mass_and_bias(q, qd)
        conservative = -jax.grad(self.__call__)(q, jnp.zeros_like(qd))
        return Forces(mass @ qdd, bias - conservative, conservative)

    def _mass_and_bias(
        self, q: Float[Array, " n"], qd: Float[Array, " n"]
    ) -> tuple[Float[Array, "n n"], Float[Array, " n"]]:
        """`H = d2L/dqd2` and the bias force `C qd - dL/dq`."""
        n, embedding = self.coordinates.n, self.coordinates.embedding_size
        embedded, embedding_rate = jax.jvp(self.coordinates.embed, (q,), (qd,))
        _, pull_back = jax.vjp(self.coordinates.embed, q)
        scale = np.asarray(self.velocity_scale)
        along_q = jnp.concatenate([embedding_rate, jnp.zeros_like(qd)])
        along_qd = jnp.asarray(np.eye(n, embedding + n, embedding) / scale[:, None], q.dtype)
        directions = jnp.concatenate([along_qd, along_q[None]])
        x = jnp.concatenate([embedded, qd / jnp.asarray(scale, qd.dtype)])
        _, gradient, curvature = second_order(self.network, x, directions)
        curvature = self._unit * curvature
        (slope,) = pull_back(self._unit * gradient[:embedding])
        mass = curvature[:n, :n] + 2 * self.regulariser * jnp.eye(n, dtype=q.dtype)
        return mass, curvature[:n, n] - slope
