import abc

import equinox as eqx
import jax
from jaxtyping import Array, Float, Scalar


class AbstractHamiltonian(eqx.Module):
    """A scalar `H(q, p)` in joules, of coordinates and their canonical momenta.

        qd = dH/dp,    pd = -dH/dq + tau

    Data and agents know velocities, not momenta, so a Hamiltonian also says how the two
    go together.
    """

    @abc.abstractmethod
    def __call__(self, q: Float[Array, " n"], p: Float[Array, " n"]) -> Scalar:
        """The Hamiltonian at `(q, p)`, joules."""

    @abc.abstractmethod
    def momentum(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        """The momentum that goes with the velocity `qd`, shape `(n,)`."""

    @abc.abstractmethod
    def velocity(self, q: Float[Array, " n"], p: Float[Array, " n"]) -> Float[Array, " n"]:
        """The velocity that goes with the momentum `p`: the inverse of `momentum`."""

    def gradient(
        self, q: Float[Array, " n"], p: Float[Array, " n"]
    ) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
        """`(dH/dq, dH/dp)`, each of shape `(n,)`."""
        return jax.grad(self.__call__, argnums=(0, 1))(q, p)

    def energy(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Scalar:
        """The Hamiltonian at the state `(q, qd)`, joules."""
        return self(q, self.momentum(q, qd))
