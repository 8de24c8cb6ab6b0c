from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from ..data import Experience
from ..mechanics import State
from ..simulate import AbstractTransition
from ._losses import AbstractSquaredLoss, MultiStepLoss


class EstimatedStartLoss(
    AbstractSquaredLoss[AbstractTransition, tuple[Experience, Float[Array, "*batch time"]]]
):
    """Loss of windows whose initial states are estimated through the model.

    A rollout from a noisy state is off, however good the model is, and a model that is fitted
    to such rollouts is biased. Here the initial state is a measurement like the others: it
    minimises, together with all states of its window, the sum of squares, linearised about
    the measured one. That is variable projection (Golub & Pereyra 1973) with one Gauss-Newton
    step, so it needs no parameters and works with every learner.

    **Arguments:**

    - `loss`: a [`lagdyna.learners.MultiStepLoss`][]; its scale weighs positions and velocities.
    """

    loss: MultiStepLoss

    def __call__(
        self,
        model: AbstractTransition,
        batch: tuple[Experience, Float[Array, "*batch time"]],
    ) -> Scalar:
        errors = jax.vmap(self.errors, (None, 0))(model, batch)
        mask = batch[1]
        return jnp.sum(errors**2) * mask.shape[1] / jnp.sum(mask)

    def errors(
        self, model: AbstractTransition, row: tuple[Experience, Float[Array, "*batch time"]]
    ) -> Float[Array, " k"]:
        """Compute the scaled errors of all states, the initial one first."""
        window, mask = row
        scale = jnp.concatenate(self.loss.scale)
        n = window.state.q.shape[-1]

        def along(change: Float[Array, " twice_n"]) -> Float[Array, " k"]:
            q, qd = jnp.split(change * scale, [n])
            moved = State(window.state.q.at[0].add(q), window.state.qd.at[0].add(qd))
            return self.loss.errors(model, (window._replace(state=moved), mask))

        none = jnp.zeros_like(scale)
        errors, slopes = along(none), jax.jacfwd(along)(none)
        weight = 1 / jnp.sqrt(scale.shape[0] * mask.size)  # of any one error
        curvature = slopes.T @ slopes + weight**2 * jnp.eye(scale.shape[0])
        change = -_solve(curvature, slopes.T @ errors)
        return jnp.concatenate([weight * change, errors + slopes @ change])

    def observed_errors(self, model: AbstractTransition, row: Any) -> Float[Array, " k"]:
        """Compute the scaled errors, `nan` beyond the end of the window."""
        errors = self.errors(model, row)
        mask = jnp.concatenate([jnp.ones_like(row[1][:1]), row[1]])
        observed = jnp.repeat(mask > 0, errors.shape[0] // mask.shape[0])
        return jnp.where(observed, errors, jnp.nan)


def _solve(matrix: Float[Array, "k k"], vector: Float[Array, " k"]) -> Float[Array, " k"]:
    """Solve a small positive definite system."""
    return jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(matrix), vector)
