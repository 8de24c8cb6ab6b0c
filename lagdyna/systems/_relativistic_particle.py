from typing import Literal

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from ..mechanics import AbstractGeneralLagrangian, Coordinates


class RelativisticParticle(AbstractGeneralLagrangian):
    """Relativistic particle of mass 1 under a uniform force, in units with `c = 1`.

    Speeds must satisfy `|qd| < 1`.

        special relativity:              L = 1 - (1 - qd.qd)^(1/2) + g.q
        as printed by Cranmer et al.:    L = (1 - qd.qd)^(-1/2) - 1 + g.q

    The default is the Lagrangian of special relativity, `-m c^2 sqrt(1 - v^2/c^2)` (Landau &
    Lifshitz, The Classical Theory of Fields, section 8), shifted to 0 at rest. Its momentum is
    `qd (1 - qd.qd)^(-1/2)` and its kinetic energy is `(1 - qd.qd)^(-1/2) - 1`. Under a force
    `g` from rest, the velocity is `g t / sqrt(1 + g^2 t^2)`.

    Cranmer et al. (2020) print this kinetic energy as the Lagrangian. The momentum that they
    print, `qd (1 - qd^2)^(-3/2)`, follows from it. Their Lagrangian has the same limit at low
    speeds but does not describe a relativistic particle. In one dimension, its acceleration
    under `g` is `g (1 - qd^2)^(5/2) / (1 + 2 qd^2)`; special relativity gives
    `g (1 - qd^2)^(3/2)`. Use `kinetic="printed"` to reproduce their figure.

    **Arguments:**

    - `force`: `g`, the uniform force, shape `(n,)`, a trainable leaf.
    - `kinetic`: `"relativity"` or `"printed"`, the form of the Lagrangian.
    - `damping`: see [`lagdyna.mechanics.AbstractGeneralLagrangian`][].

    **Raises:** `ValueError` if `kinetic` is not one of these.
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
        """Linear coordinates, one per component of `force`."""
        return Coordinates((False,) * self.force.shape[0])

    def __call__(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Scalar:
        root = jnp.sqrt(1 - qd @ qd)
        kinetic = 1 - root if self.kinetic == "relativity" else 1 / root - 1
        return kinetic + self.force @ q
