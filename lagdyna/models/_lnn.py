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
from ._initialise import cranmer_initialisation
from ._network import Network
from ._scales import positive_scales
from ._second_order import second_order


class LNN(AbstractLagrangian):
    """Lagrangian neural network: one network for `L` of unrestricted form.

        L(q, qd) = v^2 network(embed(q), qd / velocity_scale) + regulariser qd.qd

    Here `v^2` is the mean square of `velocity_scale`.

    The kinetic energy need not be quadratic in velocity. In return, the mass matrix can be
    indefinite or singular. The `regulariser` shifts the mass matrix of an untrained model to
    about `2 regulariser I`. `solve` selects the solver for matrices near a singularity. For a
    rigid body prefer [`lagdyna.models.DeLaN`][].

    The equations of motion are those of Cranmer et al. (2020, eq. 2) and Das et al. (2026,
    eq. 4), without their nested Jacobians. An acceleration costs `n + 3` sweeps through the
    network.

    **Arguments:**

    - `coordinates`: which coordinates are angles; the network takes an angle as
        `(cos, sin)`.
    - `hidden`: widths of the hidden layers. The paper uses four layers of 500 units.
    - `activation`: elementwise and three times differentiable, since training
        differentiates the mass matrix.
    - `velocity_scale`: divisor of each velocity in the network's input, length `n`, m/s or
        rad/s; ones by default. Networks train badly on inputs much larger than 1.
    - `regulariser`: half of a constant mass that is added to `L`, kg or kg m^2. The paper has
        none (0).
    - `solve`: a [`lagdyna.mechanics.AbstractMassSolve`][]. The default is damped least
        squares. It is as good as exact if the mass is well above the damping, and smooth
        otherwise. The paper uses [`lagdyna.mechanics.PseudoInverseSolve`][].
    - `initialisation`: `"small"` starts close to the regulariser alone. `"cranmer2020"` is
        the initialisation of the paper's appendix B, tuned there for one to three hidden
        layers of 50 to 300 units and standard normal inputs.
    - `key`: PRNG key of the initial weights.

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
            network = cranmer_initialisation(network, key)
        self.network = network
        self.coordinates = coordinates
        self.solve = solve
        self.regulariser = float(regulariser)
        self.velocity_scale = positive_scales("velocity_scale", velocity_scale, coordinates.n)

    def __call__(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Scalar:
        scale = jnp.asarray(self.velocity_scale, qd.dtype)
        x = jnp.concatenate([self.coordinates.embed(q), qd / scale])
        return self._output_scale * self.network(x)[0] + self.regulariser * (qd @ qd)

    @property
    def _output_scale(self) -> float:
        """Factor `v^2` of the network's output."""
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
        # There is only one direction, so differentiating the gradient is cheaper.
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
        """Compute `H = d2L/dqd2` and the bias force `C qd - dL/dq`."""
        n, embedding = self.coordinates.n, self.coordinates.embedding_size
        embedded, embedding_rate = jax.jvp(self.coordinates.embed, (q,), (qd,))
        _, pull_back = jax.vjp(self.coordinates.embed, q)
        scale = np.asarray(self.velocity_scale)
        along_q = jnp.concatenate([embedding_rate, jnp.zeros_like(qd)])
        along_qd = jnp.asarray(np.eye(n, embedding + n, embedding) / scale[:, None], q.dtype)
        directions = jnp.concatenate([along_qd, along_q[None]])
        x = jnp.concatenate([embedded, qd / jnp.asarray(scale, qd.dtype)])
        _, gradient, curvature = second_order(self.network, x, directions)
        curvature = self._output_scale * curvature
        (slope,) = pull_back(self._output_scale * gradient[:embedding])
        mass = curvature[:n, :n] + 2 * self.regulariser * jnp.eye(n, dtype=q.dtype)
        return mass, curvature[:n, n] - slope
