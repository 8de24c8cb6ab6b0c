import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class AbstractDissipation(eqx.Module):
    """A force that only ever takes energy out: `qd . force <= 0`."""

    @abc.abstractmethod
    def __call__(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        """Generalised dissipative force at `(q, qd)`, shape `(n,)`, to be added to `tau`."""


class NoDissipation(AbstractDissipation):
    """A system without friction."""

    def __call__(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        return jnp.zeros_like(qd)


class ViscousDissipation(AbstractDissipation):
    """Viscous friction `-d_i qd_i`: the gradient of Rayleigh's `R = 1/2 sum d_i qd_i^2`.

    The trainable leaf `raw` is passed through softplus, so friction stays positive
    whatever a learner does to it.

    **Arguments:**

    - `coefficients`: initial `d`, shape `(n,)`, all positive, N s/m or N m s.
    """

    raw: Float[Array, " n"]

    def __init__(self, coefficients: Float[Array, " n"]):
        # The inverse of softplus, in the form that does not overflow.
        self.raw = coefficients + jnp.log(-jnp.expm1(-coefficients))

    @property
    def coefficients(self) -> Float[Array, " n"]:
        """Friction coefficients `d > 0`, shape `(n,)`."""
        return jax.nn.softplus(self.raw)

    def __call__(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        return -self.coefficients * qd
