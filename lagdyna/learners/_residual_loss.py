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
"""Residual of equations, of a state, an action and the next state; 0 where they hold."""


class ResidualLoss(AbstractSquaredLoss[AbstractTransition, Experience]):
    """Data loss plus the squared residual of known governing equations.

        data loss + weight mean((residual(state, action, predicted next state) / scale)^2)

    This is the loss of the physics-constrained network of Liu & Wang (2021), a baseline of
    Das et al. (2026). The equations may be incomplete: only their residual is used.

    **Arguments:**

    - `data`: the loss on data, say [`lagdyna.learners.OneStepLoss`][].
    - `residual`: a differentiable function from `(state, action, next_state)` to a residual
        of shape `(k,)`, which is 0 where the equations hold. Use
        [`lagdyna.learners.MotionResidual`][] for a mechanical system.
    - `scale`: scale of each residual, shape `(k,)`. Residuals are divided by it.
    - `weight`: weight of the residual relative to the data loss.

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
        residuals = jax.vmap(self._scaled_residual, (None, 0))(model, batch)
        return self.data(model, batch) + self.weight * jnp.mean(residuals**2)

    def errors(self, model: AbstractTransition, row: Experience) -> Float[Array, " k"]:
        """Compute the errors of the data loss, followed by the weighted residuals."""
        residual = self._scaled_residual(model, row)
        weighted = jnp.sqrt(self.weight / residual.shape[0]) * residual
        return jnp.concatenate([self.data.errors(model, row), weighted])

    def _scaled_residual(
        self, model: AbstractTransition, row: Experience
    ) -> Float[Array, " k"]:
        """Compute the residual of the predicted transition, divided by its scale."""
        following = model.step(row.state, row.action)
        return self.residual(row.state, row.action, following) / self.scale


class MotionResidual(eqx.Module):
    """Residual of a mechanical system's equations of motion over one time step.

    The equations are evaluated at the midpoint of the step, with derivatives by finite
    differences. On an exact trajectory the residual is therefore of order `dt^2`. It consists
    of two parts:

    - kinematics, `(q1 - q0)/dt - (qd0 + qd1)/2`;
    - dynamics, the generalised force of the motion by inverse dynamics minus the generalised
        force of the action.

    **Arguments:**

    - `system`: the known [`lagdyna.mechanics.MechanicalSystem`][]. Its parameters are frozen.
    - `dt`: seconds between the two states.
    """

    system: MechanicalSystem
    dt: float = eqx.field(static=True)

    def __call__(
        self, state: State, action: Float[Array, " m"], next_state: State
    ) -> Float[Array, " k"]:
        """Compute the residual of one transition, shape `(2 n,)`."""
        system = frozen(self.system)
        step = system.coordinates.difference(next_state.q, state.q)
        velocity = 0.5 * (state.qd + next_state.qd)
        acceleration = (next_state.qd - state.qd) / self.dt
        q = state.q + 0.5 * step
        tau = system.inverse_dynamics(q, velocity, acceleration)
        return jnp.concatenate([step / self.dt - velocity, tau - system.actuation(q, action)])
