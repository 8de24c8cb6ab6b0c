"""Friction beyond viscous and Coulomb: drag, and extra friction near rest."""

from collections.abc import Mapping
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ._dissipation import AbstractDissipation, Coefficient, inverse_softplus


class QuadraticDissipation(AbstractDissipation):
    """Quadratic friction, `-c_i qd_i |qd_i|`, as of drag in air or in oil.

    It is the negative gradient of the Rayleigh function `R = 1/3 sum c_i |qd_i|^3`. The
    coefficients are the softplus of the trainable leaf `raw`, so they stay positive.

    **Arguments:**

    - `coefficients`: initial `c`, shape `(n,)`, all positive, in N s^2/m^2 or N m s^2.
    """

    raw: Float[Array, " n"]

    coefficient_names: ClassVar[Mapping[str, Coefficient]] = {
        "raw": Coefficient("quadratic", "coefficients", 1, -2)
    }

    def __init__(self, coefficients: Float[Array, " n"]):
        self.raw = inverse_softplus(coefficients)

    @property
    def coefficients(self) -> Float[Array, " n"]:
        """Friction coefficients `c > 0`, shape `(n,)`."""
        return jax.nn.softplus(self.raw)

    def __call__(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        return -self.coefficients * qd * jnp.abs(qd)


class StribeckDissipation(AbstractDissipation):
    """Extra friction near rest, `-s_i exp(-(qd_i / v_i)^2) tanh(qd_i / width)`.

    Added to Coulomb and viscous friction, it gives the Stribeck curve: friction is largest at
    breakaway and falls as the speed grows (Armstrong-Helouvry, Dupont, Canudas de Wit 1994,
    "A survey of models, analysis tools and compensation methods for the control of machines
    with friction"). The force is against the motion for all weights: `s` and `v` are the
    softplus of the trainable leaves `raw` and `raw_speed`.

    **Arguments:**

    - `coefficients`: initial `s`, shape `(n,)`, all positive, in N or N m.
    - `speed`: initial Stribeck speed `v`, shape `(n,)`, all positive, in m/s or rad/s. The
        extra friction has faded at twice this speed.
    - `width`: speed scale of the smoothing around zero velocity, m/s or rad/s.

    **Raises:** `ValueError` if `width` is not positive.
    """

    raw: Float[Array, " n"]
    raw_speed: Float[Array, " n"]
    width: float = eqx.field(static=True)

    coefficient_names: ClassVar[Mapping[str, Coefficient]] = {
        "raw": Coefficient("stribeck", "coefficients", 1, 0),
        "raw_speed": Coefficient("stribeck_speed", "speed", 0, 1),
    }

    def __init__(
        self,
        coefficients: Float[Array, " n"],
        speed: Float[Array, " n"],
        width: float = 0.05,
    ):
        if width <= 0:
            raise ValueError(f"`width` must be a positive speed, got {width}")
        self.raw = inverse_softplus(coefficients)
        self.raw_speed = inverse_softplus(speed)
        self.width = float(width)

    @property
    def coefficients(self) -> Float[Array, " n"]:
        """Extra friction forces `s > 0` near rest, shape `(n,)`."""
        return jax.nn.softplus(self.raw)

    @property
    def speed(self) -> Float[Array, " n"]:
        """Stribeck speeds `v > 0`, shape `(n,)`."""
        return jax.nn.softplus(self.raw_speed)

    def __call__(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        fading = jnp.exp(-((qd / self.speed) ** 2))
        return -self.coefficients * fading * jnp.tanh(qd / self.width)
