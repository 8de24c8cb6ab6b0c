import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Scalar

from ..mechanics import State
from ._costs import AbstractCost, Quadratic
from ._vectors import to_vector


class SoftLimits(AbstractCost):
    """Cost that grows with the square of how far a state exceeds its limits.

    An excess counts in parts of half the range between the limits, or of the one limit that
    there is. Angles count in `(-pi, pi]`.

    **Arguments:**

    - `cost`: the cost within the limits.
    - `lower`, `upper`: limits of `(q, qd)`, length `2 n`; infinite for none.
    - `weight`: cost of an excess of 1, in the unit of `cost`; an array may be traced.

    **Raises:** `ValueError` if the limits differ in length, or a lower one is not below the
    upper one.
    """

    cost: AbstractCost
    lower: tuple[float, ...] = eqx.field(static=True)
    upper: tuple[float, ...] = eqx.field(static=True)
    weight: Float[Array, ""] | float = 1.0

    def __check_init__(self):
        lower, upper = np.asarray(self.lower, float), np.asarray(self.upper, float)
        if lower.shape != upper.shape or lower.ndim != 1 or not np.all(lower < upper):
            raise ValueError(
                f"`lower` was {self.lower} and `upper` was {self.upper}; as many numbers are "
                "accepted, each lower one below the upper one"
            )

    @classmethod
    def symmetric(
        cls, cost: AbstractCost, limits: tuple[float, ...], weight: Float[Array, ""] | float
    ) -> "SoftLimits":
        """Construct limits of magnitudes, 0 for none.

        **Arguments:** `limits`, largest magnitude of each entry of `(q, qd)`, length `2 n`.
        """
        upper = tuple(float(x) or np.inf for x in limits)
        return cls(cost, tuple(-x for x in upper), upper, weight)

    def stage(self, state: State, action: Float[Array, " m"]) -> Scalar:
        return self.cost.stage(state, action) + self._penalty(state)

    def final(self, state: State) -> Scalar:
        return self.cost.final(state) + self._penalty(state)

    def expand_stage(self, state: State, action: Float[Array, " m"]) -> Quadratic:
        return self._added(self.cost.expand_stage(state, action), state)

    def expand_final(self, state: State) -> Quadratic:
        return self._added(self.cost.expand_final(state), state)

    def excess(self, state: State) -> Float[Array, " two_n"]:
        """Compute how far each entry of `(q, qd)` is beyond its limits, in parts of them."""
        return self._excess(state)[0]

    def _excess(self, state: State) -> tuple[Float[Array, " two_n"], Float[Array, " two_n"]]:
        """Compute the excess and its derivatives."""
        x, lower, upper = to_vector(state), np.asarray(self.lower), np.asarray(self.upper)
        half = 0.5 * (upper - lower)
        only = np.where(np.isfinite(upper), np.abs(upper), np.abs(lower))
        scale = np.where(np.isfinite(half), half, np.where(np.isfinite(only), only, 1.0))
        scale = jnp.asarray(np.where(scale > 0, scale, 1.0), x.dtype)
        above = jnp.maximum(x - jnp.asarray(upper, x.dtype), 0)
        below = jnp.maximum(jnp.asarray(lower, x.dtype) - x, 0)
        slope = (above > 0).astype(x.dtype) - (below > 0).astype(x.dtype)
        return (above + below) / scale, slope / scale

    def _penalty(self, state: State) -> Scalar:
        return self.weight * jnp.sum(self.excess(state) ** 2)

    def _added(self, inner: Quadratic, state: State) -> Quadratic:
        excess, slope = self._excess(state)
        size = excess.shape[0]
        gradient = inner.gradient.at[:size].add(2 * self.weight * excess * slope)
        curvature = jnp.diag(2 * self.weight * slope**2)
        return Quadratic(gradient, inner.hessian.at[:size, :size].add(curvature))
