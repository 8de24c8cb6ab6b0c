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
        self.raw = _inverse_softplus(coefficients)

    @property
    def coefficients(self) -> Float[Array, " n"]:
        """Friction coefficients `d > 0`, shape `(n,)`."""
        return jax.nn.softplus(self.raw)

    def __call__(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        return -self.coefficients * qd


class CoulombDissipation(AbstractDissipation):
    """Dry friction `-f_i tanh(qd_i / width)`, smoothed so that it has a derivative.

    Well above `width` it is Coulomb's constant force against the motion. Below, it is
    viscous: what should stick creeps. It is the gradient of Rayleigh's
    `R = sum f_i width log cosh(qd_i / width)`. Explicit solver steps longer than about
    `M width / f` are unstable near rest. The trainable leaf `raw` is passed through softplus.

    **Arguments:**

    - `coefficients`: initial `f`, shape `(n,)`, all positive, N or N m.
    - `width`: the speed around which the force changes sign, m/s or rad/s.

    **Raises:** `ValueError` if `width` is not positive.
    """

    raw: Float[Array, " n"]
    width: float = eqx.field(static=True)

    def __init__(self, coefficients: Float[Array, " n"], width: float = 0.05):
        if width <= 0:
            raise ValueError(f"`width` must be a positive speed, got {width}")
        self.raw = _inverse_softplus(coefficients)
        self.width = float(width)

    @property
    def coefficients(self) -> Float[Array, " n"]:
        """Friction forces `f > 0` at speed, shape `(n,)`."""
        return jax.nn.softplus(self.raw)

    def __call__(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        return -self.coefficients * jnp.tanh(qd / self.width)


class SumDissipation(AbstractDissipation):
    """Several frictions at once, say viscous and dry.

    **Arguments:**

    - `parts`: what is added up, at least one.

    **Raises:** `ValueError` if `parts` is empty.
    """

    parts: tuple[AbstractDissipation, ...]

    def __check_init__(self):
        if len(self.parts) == 0:
            raise ValueError("`parts` was empty: use `NoDissipation` for no friction")

    def __call__(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        return sum((part(q, qd) for part in self.parts), jnp.zeros_like(qd))


def _inverse_softplus(x: Float[Array, " n"]) -> Float[Array, " n"]:
    """`y` with `softplus(y) = x`, in the form that does not overflow."""
    return x + jnp.log(-jnp.expm1(-x))
