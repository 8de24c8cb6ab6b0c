from typing import Literal

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from ..mechanics import AbstractGeneralLagrangian, Coordinates


class RelativisticParticle(AbstractGeneralLagrangian):
    """A particle of mass 1 in a uniform potential, in units where `c = 1`; `|qd| < 1`.

        special relativity:              L = 1 - (1 - qd.qd)^(1/2) + g.q
        as printed by Cranmer et al.:    L = (1 - qd.qd)^(-1/2) - 1 + g.q

    The default is special relativity's, `-m c^2 sqrt(1 - v^2/c^2)` (Landau & Lifshitz, The
    Classical Theory of Fields, section 8) with the constant that makes it 0 at rest. Its
    momentum is `qd (1 - qd.qd)^(-1/2)`, its kinetic energy `(1 - qd.qd)^(-1/2) - 1`, and
    under a force `g` from rest the velocity is `g t / sqrt(1 + g^2 t^2)`.

    What Cranmer et al. (2020) print as the Lagrangian is that kinetic energy; the momentum
    they print, `qd (1 - qd^2)^(-3/2)`, follows from it. Taken as a Lagrangian it is
    consistent mechanics with the same limit at small speeds, but of no relativistic
    particle: in one dimension its acceleration under `g` is
    `g (1 - qd^2)^(5/2) / (1 + 2 qd^2)`, special relativity's `g (1 - qd^2)^(3/2)`.
    `kinetic="printed"` gives it, to repeat their figure.

    **Arguments:**

    - `force`: `g`, the uniform force, shape `(n,)`, a trainable leaf.
    - `kinetic`: `"relativity"` or `"printed"`.

    **Raises:** `ValueError` for another `kinetic`.
    """

    force: Float[Array, " n"]
    kinetic: Literal["relativity", "printed"] = eqx.field(static=True, default="relativity")
    damping: float = eqx.field(static=True, default=0.0)

    def __check_init__(self):
        if self.kinetic not in ("relativity", "printed"):
            raise ValueError(
                f"`kinetic` must be 'relativity' or 'printed', got {self.kinetic!r}"
            )

    @property
    def coordinates(self) -> Coordinates:
        """Positions."""
        return Coordinates((False,) * self.force.shape[0])

    def __call__(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Scalar:
        root = jnp.sqrt(1 - qd @ qd)
        kinetic = 1 - root if self.kinetic == "relativity" else 1 / root - 1
        return kinetic + self.force @ q
