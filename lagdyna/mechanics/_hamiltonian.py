import abc

import equinox as eqx
import jax
from jaxtyping import Array, Float, Scalar


class AbstractHamiltonian(eqx.Module):
    """Hamiltonian `H(q, p)`, a scalar in joules of coordinates and canonical momenta.

        qd = dH/dp,    pd = -dH/dq + tau

    Data and agents use velocities, not momenta. A Hamiltonian therefore also maps between
    the two.
    """

    @abc.abstractmethod
    def __call__(self, q: Float[Array, " n"], p: Float[Array, " n"]) -> Scalar:
        """Compute the Hamiltonian at `(q, p)`, joules."""

    @abc.abstractmethod
    def momentum(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        """Compute the canonical momentum of the velocity `qd`, shape `(n,)`."""

    @abc.abstractmethod
    def velocity(self, q: Float[Array, " n"], p: Float[Array, " n"]) -> Float[Array, " n"]:
        """Compute the velocity of the momentum `p`, the inverse of `momentum`, shape `(n,)`."""

    def gradient(
        self, q: Float[Array, " n"], p: Float[Array, " n"]
    ) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
        """Compute `(dH/dq, dH/dp)`, each of shape `(n,)`."""
        return jax.grad(self.__call__, argnums=(0, 1))(q, p)

    def energy(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Scalar:
        """Compute the Hamiltonian at the state `(q, qd)`, joules."""
        return self(q, self.momentum(q, qd))
