from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from ..data import Experience
from ..mechanics import MechanicalSystem, State, frozen
from ..simulate import AbstractTransition
from ._losses import AbstractSquaredLoss

Residual = Callable[[State, Float[Array, " m"], State], Float[Array, " k"]]


class ResidualLoss(AbstractSquaredLoss[AbstractTransition, Experience]):
    """A data loss plus how far predictions are from known governing equations.

        data loss + weight mean((residual(state, action, predicted next state) / scale)^2)

    The physics-constrained network of Liu & Wang (2021), a baseline of Das et al. (2026):
    the equations need not be complete, and no more of them than their residual is used.

    **Arguments:**

    - `data`: the loss on data, say [`lagdyna.learners.OneStepLoss`][].
    - `residual`: of `(state, action, next_state)`, shape `(k,)`; 0 where the equations
        hold. [`lagdyna.learners.MotionResidual`][] is that of a mechanical system; any
        differentiable function will do.
    - `scale`: what each residual is divided by, shape `(k,)`.
    - `weight`: of the residual against the data.

    **Raises:** `ValueError` if `weight` is negative.
    """

    data: AbstractSquaredLoss[AbstractTransition, Experience]
    residual: Residual
    scale: Float[Array, " k"]
    weight: float = eqx.field(static=True, default=1.0)

    def __check_init__(self):
        if self.weight < 0:
            raise ValueError(f"`weight` must not be negative, got {self.weight}")

    def __call__(self, model: AbstractTransition, batch: Experience) -> Scalar:
        violations = jax.vmap(self._violation, (None, 0))(model, batch)
        return self.data(model, batch) + self.weight * jnp.mean(violations**2)

    def errors(self, model: AbstractTransition, row: Experience) -> Float[Array, " k"]:
        """Those of the data, then those of the equations."""
        violation = self._violation(model, row)
        weighted = jnp.sqrt(self.weight / violation.shape[0]) * violation
        return jnp.concatenate([self.data.errors(model, row), weighted])

    def _violation(self, model: AbstractTransition, row: Experience) -> Float[Array, " k"]:
        following = model.step(row.state, row.action)
        return self.residual(row.state, row.action, following) / self.scale


class MotionResidual(eqx.Module):
    """By how much a step misses a mechanical system's equations of motion.

    The equations at the midpoint of the step, derivatives by differences, so it is 0 up
    to `dt^2`: first `(q1 - q0)/dt - (qd0 + qd1)/2`, then the generalised force that the
    motion would have taken beyond what the action supplies.

    **Arguments:**

    - `system`: what is known. Its parameters are not learned.
    - `dt`: seconds between the two states.
    """

    system: MechanicalSystem
    dt: float = eqx.field(static=True)

    def __call__(
        self, state: State, action: Float[Array, " m"], next_state: State
    ) -> Float[Array, " k"]:
        """The residual, shape `(2 n,)`."""
        system = frozen(self.system)
        step = system.coordinates.difference(next_state.q, state.q)
        velocity = 0.5 * (state.qd + next_state.qd)
        acceleration = (next_state.qd - state.qd) / self.dt
        q = state.q + 0.5 * step
        tau = system.inverse_dynamics(q, velocity, acceleration)
        return jnp.concatenate([step / self.dt - velocity, tau - system.actuation(q, action)])
