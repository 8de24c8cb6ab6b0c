import abc
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class Coefficient(NamedTuple):
    """Physical coefficient that a trainable array of a friction stands for.

    **Attributes:** `name`, for reports; `attribute`, property with its value; `force`,
    `velocity`, powers of these units in its own.
    """

    name: str
    attribute: str
    force: int
    velocity: int


class AbstractForce(eqx.Module):
    """Generalised force that depends on position and velocity."""

    @abc.abstractmethod
    def __call__(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        """Compute the force at `(q, qd)` to be added to `tau`, shape `(n,)`, N or N m."""


class AbstractDissipation(AbstractForce):
    """Dissipative force: it never adds energy, `qd . force <= 0`.

    **Attributes:** (of the class) `coefficient_names`, the physical coefficients by the name
    of the trainable array that determines them.
    """

    coefficient_names: ClassVar[Mapping[str, Coefficient]] = {}


class NoDissipation(AbstractDissipation):
    """No friction: the force is zero."""

    def __call__(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        return jnp.zeros_like(qd)


class ViscousDissipation(AbstractDissipation):
    """Viscous friction, `-d_i qd_i`.

    It is the negative gradient of the Rayleigh function `R = 1/2 sum d_i qd_i^2`. The
    coefficients are the softplus of the trainable leaf `raw`, so they stay positive.

    **Arguments:**

    - `coefficients`: initial `d`, shape `(n,)`, all positive, in N s/m or N m s.
    """

    raw: Float[Array, " n"]

    coefficient_names: ClassVar[Mapping[str, Coefficient]] = {
        "raw": Coefficient("viscous", "coefficients", 1, -1)
    }

    def __init__(self, coefficients: Float[Array, " n"]):
        self.raw = inverse_softplus(coefficients)

    @property
    def coefficients(self) -> Float[Array, " n"]:
        """Friction coefficients `d > 0`, shape `(n,)`."""
        return jax.nn.softplus(self.raw)

    def __call__(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        return -self.coefficients * qd


class CoulombDissipation(AbstractDissipation):
    """Smoothed Coulomb friction, `-f_i tanh(qd_i / width)`.

    At speeds well above `width` it is a constant force against the motion. At lower speeds it
    is viscous, so a body that should stick creeps. It is the negative gradient of the Rayleigh
    function `R = sum f_i width log cosh(qd_i / width)`. Explicit solver steps longer than
    about `M width / f` are unstable near rest. The coefficients are the softplus of the
    trainable leaf `raw`.

    **Arguments:**

    - `coefficients`: initial `f`, shape `(n,)`, all positive, in N or N m.
    - `width`: speed scale of the smoothing around zero velocity, m/s or rad/s.

    **Raises:** `ValueError` if `width` is not positive.
    """

    raw: Float[Array, " n"]
    width: float = eqx.field(static=True)

    coefficient_names: ClassVar[Mapping[str, Coefficient]] = {
        "raw": Coefficient("coulomb", "coefficients", 1, 0)
    }

    def __init__(self, coefficients: Float[Array, " n"], width: float = 0.05):
        if width <= 0:
            raise ValueError(f"`width` must be a positive speed, got {width}")
        self.raw = inverse_softplus(coefficients)
        self.width = float(width)

    @property
    def coefficients(self) -> Float[Array, " n"]:
        """Friction forces `f > 0` at speeds well above `width`, shape `(n,)`."""
        return jax.nn.softplus(self.raw)

    def __call__(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        return -self.coefficients * jnp.tanh(qd / self.width)


class SumDissipation(AbstractDissipation):
    """Sum of several dissipative forces, such as viscous and Coulomb friction.

    **Arguments:**

    - `parts`: the forces to add, at least one.

    **Raises:** `ValueError` if `parts` is empty.
    """

    parts: tuple[AbstractDissipation, ...]

    def __check_init__(self):
        if len(self.parts) == 0:
            raise ValueError(
                "`parts` is empty; give at least one force, or use `NoDissipation`"
            )

    def __call__(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        return sum((part(q, qd) for part in self.parts), jnp.zeros_like(qd))


def inverse_softplus(x: Float[Array, " n"]) -> Float[Array, " n"]:
    """Compute `y` with `softplus(y) = x` without overflow."""
    return x + jnp.log(-jnp.expm1(-x))
