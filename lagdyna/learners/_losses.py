import abc
from typing import Generic, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from ..data import Experience
from ..mechanics import AbstractDynamics, MechanicalSystem, State
from ..models import AbstractReward, TerminationNetwork
from ..simulate import AbstractTransition

Model = TypeVar("Model")
Batch = TypeVar("Batch")


class AbstractLoss(eqx.Module, Generic[Model, Batch]):
    """Loss of a model on a batch of data.

    Most losses are means of scaled squared errors: each output is divided by its own scale,
    so outputs in large units do not dominate. A model that predicts no variation then has a
    loss of about 1.
    """

    @abc.abstractmethod
    def __call__(self, model: Model, batch: Batch) -> Scalar:
        """Compute the loss, a dimensionless scalar."""


class AbstractSquaredLoss(AbstractLoss[Model, Batch]):
    """Loss that is the batch mean of the sum of squared errors of each row.

    [`lagdyna.learners.LevenbergMarquardtLearner`][] and the filters require such a loss.
    """

    @abc.abstractmethod
    def errors(self, model: Model, row: Batch) -> Float[Array, " k"]:
        """Compute the scaled errors of one row, shape `(k,)`, dimensionless."""

    def observed_errors(self, model: Model, row: Batch) -> Float[Array, " k"]:
        """Compute the scaled errors of one row, `nan` where the target is missing."""
        return self.errors(model, row)


class PseudoHuberLoss(AbstractLoss[Model, Batch]):
    """Pseudo-Huber loss, a robust version of a squared loss.

        mean over the batch of sqrt(|errors|^2 + delta^2) - delta

    It is quadratic for errors well below `delta` and linear for errors well above it
    (Charbonnier et al. 1997, "Deterministic edge-preserving regularization in computed
    imaging"). Use it where rows differ in difficulty, say slow and fast motions of a chain:
    a few hard rows would dominate a squared loss.

    **Arguments:**

    - `squared`: the [`lagdyna.learners.AbstractSquaredLoss`][] that computes the errors.
    - `delta`: transition between quadratic and linear, in the dimensionless units of the
        errors.

    **Raises:** `ValueError` if `delta` is not positive.
    """

    squared: AbstractSquaredLoss[Model, Batch]
    delta: float = eqx.field(static=True, default=1e-4)

    def __check_init__(self):
        if not self.delta > 0:
            raise ValueError(f"`delta` must be positive, got {self.delta}")

    def __call__(self, model: Model, batch: Batch) -> Scalar:
        errors = jax.vmap(self.squared.errors, (None, 0))(model, batch)
        distances = jnp.sqrt(jnp.sum(errors**2, axis=-1) + self.delta**2)
        return jnp.mean(distances) - self.delta


class OneStepLoss(AbstractSquaredLoss[AbstractTransition, Experience]):
    """Squared error of the next state, predicted through the solver.

    **Arguments:**

    - `scale`: scale of each coordinate and velocity, a `State` of shapes `(n,)`. Errors are
        divided by it. Use [`lagdyna.learners.step_scale`][] to compute it from data.
    """

    scale: State

    def __call__(self, model: AbstractTransition, batch: Experience) -> Scalar:
        predicted = jax.vmap(model.step)(batch.state, batch.action)
        return jnp.mean(_squared_error(model, predicted, batch.next_state, self.scale))

    def errors(self, model: AbstractTransition, row: Experience) -> Float[Array, " k"]:
        """Compute the scaled errors of the next state, `k = 2 n`."""
        predicted = model.step(row.state, row.action)
        return _errors(model, predicted, row.next_state, self.scale)


class MultiStepLoss(
    AbstractSquaredLoss[AbstractTransition, tuple[Experience, Float[Array, "*batch time"]]]
):
    """Squared error of a window of states, predicted by a rollout from the first state.

    A batch consists of the windows and the mask of
    [`lagdyna.data.ReplayBuffer.sample_windows`][]. The loss includes the growth of early
    errors, so the model stays accurate over longer rollouts.

    **Arguments:**

    - `scale`: scale of each coordinate and velocity, see [`lagdyna.learners.OneStepLoss`][].
    """

    scale: State

    def __call__(
        self,
        model: AbstractTransition,
        batch: tuple[Experience, Float[Array, "*batch time"]],
    ) -> Scalar:
        windows, mask = batch
        # Move time to the front, so that one scan steps the whole batch of windows.
        actions, targets, mask = jax.tree.map(
            lambda x: jnp.swapaxes(x, 0, 1), (windows.action, windows.next_state, mask)
        )
        start = jax.tree.map(lambda x: x[:, 0], windows.state)

        def body(state: State, step: tuple[Array, State, Array]) -> tuple[State, Array]:
            action, target, weight = step
            following = jax.vmap(model.step)(state, action)
            error = jnp.where(
                weight > 0, _squared_error(model, following, target, self.scale), 0
            )
            # Keep the state constant beyond the end of a window. A longer rollout could
            # overflow, and a zero weight would not keep `nan` out of the gradient.
            state = jax.tree.map(
                lambda new, old: jnp.where(weight[:, None] > 0, new, old), following, state
            )
            return state, error

        _, errors = jax.lax.scan(body, start, (actions, targets, mask))
        return jnp.sum(mask * errors) / jnp.sum(mask)

    def errors(
        self, model: AbstractTransition, row: tuple[Experience, Float[Array, "*batch time"]]
    ) -> Float[Array, " k"]:
        """Compute the scaled errors of all states of a window, `k = 2 n time`.

        Errors beyond the end of the window are 0. The sums of squares average to the loss
        only for windows of full length: the loss averages over observed steps.
        """
        window, mask = row

        def body(state: State, step: tuple[Array, State, Array]) -> tuple[State, Array]:
            action, target, weight = step
            following = model.step(state, action)
            error = _errors(model, following, target, self.scale)
            following = jax.tree.map(lambda x, y: jnp.where(weight > 0, x, y), following, state)
            return following, jnp.where(weight > 0, jnp.sqrt(weight) * error, 0)

        start = jax.tree.map(lambda x: x[0], window.state)
        _, errors = jax.lax.scan(body, start, (window.action, window.next_state, mask))
        return errors.reshape(-1) / jnp.sqrt(mask.size)

    def observed_errors(
        self, model: AbstractTransition, row: tuple[Experience, Float[Array, "*batch time"]]
    ) -> Float[Array, " k"]:
        """Compute the scaled errors of a window, `nan` beyond its end."""
        errors = self.errors(model, row)
        mask = row[1]
        observed = jnp.repeat(mask > 0, errors.shape[0] // mask.shape[0])
        return jnp.where(observed, errors, jnp.nan)


class Accelerations(eqx.Module):
    """Data of states, actions and the accelerations that they cause.

    Each attribute may have leading axes.

    **Attributes:**

    - `state`: a [`lagdyna.mechanics.State`][].
    - `action`: the known or measured action, shape `(m,)`.
    - `qdd`: accelerations, shape `(n,)`, in m/s^2 or rad/s^2.
    """

    state: State
    action: Float[Array, "*batch m"]
    qdd: Float[Array, "*batch n"]


class ForwardLoss(AbstractSquaredLoss[AbstractDynamics, Accelerations]):
    """Squared error of the acceleration by forward dynamics.

    **Arguments:**

    - `scale`: scale of each acceleration, shape `(n,)`. Errors are divided by it.
    """

    scale: Float[Array, " n"]

    def __call__(self, model: AbstractDynamics, batch: Accelerations) -> Scalar:
        qdd = jax.vmap(model.forward_dynamics)(batch.state.q, batch.state.qd, batch.action)
        return jnp.mean(((qdd - batch.qdd) / self.scale) ** 2)

    def errors(self, model: AbstractDynamics, row: Accelerations) -> Float[Array, " k"]:
        """Compute the scaled errors of the acceleration, `k = n`."""
        qdd = model.forward_dynamics(row.state.q, row.state.qd, row.action)
        return (qdd - row.qdd) / (self.scale * jnp.sqrt(row.qdd.shape[0]))


class InverseLoss(AbstractSquaredLoss[MechanicalSystem, Accelerations]):
    """Squared error of the generalised force by inverse dynamics.

    It is cheaper than [`lagdyna.learners.ForwardLoss`][], since no linear system is solved.
    It needs data with forces: without any, a Lagrangian of zero minimises it.

    **Arguments:**

    - `scale`: scale of each generalised force, shape `(n,)`. Errors are divided by it.
    """

    scale: Float[Array, " n"]

    def __call__(self, model: MechanicalSystem, batch: Accelerations) -> Scalar:
        tau = jax.vmap(model.inverse_dynamics)(batch.state.q, batch.state.qd, batch.qdd)
        target = jax.vmap(model.actuation)(batch.state.q, batch.action)
        return jnp.mean(((tau - target) / self.scale) ** 2)

    def errors(self, model: MechanicalSystem, row: Accelerations) -> Float[Array, " k"]:
        """Compute the scaled errors of the generalised force, `k = n`."""
        tau = model.inverse_dynamics(row.state.q, row.state.qd, row.qdd)
        target = model.actuation(row.state.q, row.action)
        return (tau - target) / (self.scale * jnp.sqrt(row.qdd.shape[0]))


class RewardLoss(AbstractSquaredLoss[AbstractReward, Experience]):
    """Squared error of the reward of each step.

    **Arguments:**

    - `scale`: scale of the reward, a scalar. Errors are divided by it.
    """

    scale: Scalar

    def __call__(self, model: AbstractReward, batch: Experience) -> Scalar:
        predicted = jax.vmap(model)(batch.state, batch.action, batch.next_state)
        return jnp.mean(((predicted - batch.reward) / self.scale) ** 2)

    def errors(self, model: AbstractReward, row: Experience) -> Float[Array, " k"]:
        """Compute the scaled error of the reward, `k = 1`."""
        predicted = model(row.state, row.action, row.next_state)
        return ((predicted - row.reward) / self.scale)[None]


class TerminationLoss(AbstractLoss[TerminationNetwork, Experience]):
    """Binary cross-entropy of predicted termination, in nats.

    The network predicts a logit from the next state. Use batches with as many terminal as
    other steps: the decision boundary then lies halfway between terminal and other states,
    however rare terminations are.
    """

    def __call__(self, model: TerminationNetwork, batch: Experience) -> Scalar:
        logit = jax.vmap(model.logit)(batch.next_state)
        ended = batch.terminated.astype(logit.dtype)
        return jnp.mean(jax.nn.softplus(logit) - ended * logit)


def _squared_error(
    model: AbstractTransition, predicted: State, target: State, scale: State
) -> Float[Array, " batch"]:
    """Compute the mean squared scaled error of each state, angles on the circle."""
    q = model.coordinates.difference(predicted.q, target.q) / scale.q
    qd = (predicted.qd - target.qd) / scale.qd
    return 0.5 * (jnp.mean(q**2, axis=-1) + jnp.mean(qd**2, axis=-1))


def _errors(
    model: AbstractTransition, predicted: State, target: State, scale: State
) -> Float[Array, " k"]:
    """Compute the scaled errors of one state.

    The sum of their squares is the result of `_squared_error`.
    """
    q = model.coordinates.difference(predicted.q, target.q) / scale.q
    qd = (predicted.qd - target.qd) / scale.qd
    return jnp.concatenate([q, qd]) / jnp.sqrt(2 * q.shape[0])
