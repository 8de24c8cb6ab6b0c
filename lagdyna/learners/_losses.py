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
    """How far a model is from a batch of data, commonly a mean of scaled squared errors.

    There every output is divided by its own scale, so that an output in large units does
    not drown the others. 1 is the loss of a model that predicts no variation at all.
    """

    @abc.abstractmethod
    def __call__(self, model: Model, batch: Batch) -> Scalar:
        """The loss, dimensionless."""


class AbstractSquaredLoss(AbstractLoss[Model, Batch]):
    """A loss that is the mean over a batch of the sum of each row's squared errors.

    Which is what [`lagdyna.learners.LevenbergMarquardtLearner`][] needs to know.
    """

    @abc.abstractmethod
    def errors(self, model: Model, row: Batch) -> Float[Array, " k"]:
        """Scaled errors of one row of a batch, of length `k`, dimensionless."""

    def observed_errors(self, model: Model, row: Batch) -> Float[Array, " k"]:
        """The same, `nan` where there was nothing to compare with."""
        return self.errors(model, row)


class PseudoHuberLoss(AbstractLoss[Model, Batch]):
    """How far each row is off, not the square of it: a squared loss that outliers do not rule.

        mean over the batch of sqrt(|errors|^2 + delta^2) - delta

    A square for errors well below `delta`, a distance for those above (Charbonnier et al.
    1997, "Deterministic edge-preserving regularization in computed imaging").
    Where steps differ in difficulty, as those of a chain that whirls and of one that hangs,
    squares are those of the few hardest.

    **Arguments:**

    - `squared`: the loss whose errors are looked at, an
        [`lagdyna.learners.AbstractSquaredLoss`][].
    - `delta`: dimensionless, as those errors.

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
    """The next state, through the solver.

    **Arguments:**

    - `scale`: what the error of each coordinate and velocity is divided by, a `State` of
        shapes `(n,)`; see [`lagdyna.learners.step_scale`][].
    """

    scale: State

    def __call__(self, model: AbstractTransition, batch: Experience) -> Scalar:
        predicted = jax.vmap(model.step)(batch.state, batch.action)
        return jnp.mean(_squared_error(model, predicted, batch.next_state, self.scale))

    def errors(self, model: AbstractTransition, row: Experience) -> Float[Array, " k"]:
        """Of the next state, `k = 2 n`."""
        predicted = model.step(row.state, row.action)
        return _errors(model, predicted, row.next_state, self.scale)


class MultiStepLoss(
    AbstractSquaredLoss[AbstractTransition, tuple[Experience, Float[Array, "*batch time"]]]
):
    """A window of states from its first one, through the solver step by step.

    Takes the windows and the mask of
    [`lagdyna.data.ReplayBuffer.sample_windows`][]. Errors made early are seen growing, so
    what is learned holds for longer rollouts.

    **Arguments:**

    - `scale`: as for [`lagdyna.learners.OneStepLoss`][].
    """

    scale: State

    def __call__(
        self,
        model: AbstractTransition,
        batch: tuple[Experience, Float[Array, "*batch time"]],
    ) -> Scalar:
        windows, mask = batch
        # Time leads, so that one scan steps the whole batch of windows.
        actions, targets, mask = jax.tree.map(
            lambda x: jnp.swapaxes(x, 0, 1), (windows.action, windows.next_state, mask)
        )
        start = jax.tree.map(lambda x: x[:, 0], windows.state)

        def body(state: State, step: tuple[Array, State, Array]) -> tuple[State, Array]:
            action, target, counts = step
            following = jax.vmap(model.step)(state, action)
            error = jnp.where(
                counts > 0, _squared_error(model, following, target, self.scale), 0
            )
            # Beyond its end a window waits where it was: going on from there could
            # overflow, and not even a weight of zero would keep that out of the gradient.
            state = jax.tree.map(
                lambda new, old: jnp.where(counts[:, None] > 0, new, old), following, state
            )
            return state, error

        _, errors = jax.lax.scan(body, start, (actions, targets, mask))
        return jnp.sum(mask * errors) / jnp.sum(mask)

    def errors(
        self, model: AbstractTransition, row: tuple[Experience, Float[Array, "*batch time"]]
    ) -> Float[Array, " k"]:
        """Of every state of a window, `k = 2 n time`, 0 beyond its end.

        The loss is the mean of their squares over the steps that count, so that of whole
        windows.
        """
        window, mask = row

        def body(state: State, step: tuple[Array, State, Array]) -> tuple[State, Array]:
            action, target, counts = step
            following = model.step(state, action)
            error = _errors(model, following, target, self.scale)
            following = jax.tree.map(lambda x, y: jnp.where(counts > 0, x, y), following, state)
            return following, jnp.where(counts > 0, jnp.sqrt(counts) * error, 0)

        start = jax.tree.map(lambda x: x[0], window.state)
        _, errors = jax.lax.scan(body, start, (window.action, window.next_state, mask))
        return errors.reshape(-1) / jnp.sqrt(mask.size)

    def observed_errors(
        self, model: AbstractTransition, row: tuple[Experience, Float[Array, "*batch time"]]
    ) -> Float[Array, " k"]:
        """The same, `nan` beyond a window's end."""
        errors = self.errors(model, row)
        mask = row[1]
        counts = jnp.repeat(mask > 0, errors.shape[0] // mask.shape[0])
        return jnp.where(counts, errors, jnp.nan)


class Accelerations(eqx.Module):
    """Data with accelerations, from a recording with known or measured forces.

    **Attributes:** `state`, a [`lagdyna.mechanics.State`][]; `action`, `(m,)`; `qdd`,
    `(n,)`, m/s^2 or rad/s^2; each with any leading axes.
    """

    state: State
    action: Float[Array, "*batch m"]
    qdd: Float[Array, "*batch n"]


class ForwardLoss(AbstractSquaredLoss[AbstractDynamics, Accelerations]):
    """The acceleration under a known action.

    **Arguments:**

    - `scale`: what each acceleration's error is divided by, shape `(n,)`.
    """

    scale: Float[Array, " n"]

    def __call__(self, model: AbstractDynamics, batch: Accelerations) -> Scalar:
        qdd = jax.vmap(model.forward_dynamics)(batch.state.q, batch.state.qd, batch.action)
        return jnp.mean(((qdd - batch.qdd) / self.scale) ** 2)

    def errors(self, model: AbstractDynamics, row: Accelerations) -> Float[Array, " k"]:
        """Of the acceleration, `k = n`."""
        qdd = model.forward_dynamics(row.state.q, row.state.qd, row.action)
        return (qdd - row.qdd) / (self.scale * jnp.sqrt(row.qdd.shape[0]))


class InverseLoss(AbstractSquaredLoss[MechanicalSystem, Accelerations]):
    """The generalised force that an observed acceleration took.

    Cheaper than [`lagdyna.learners.ForwardLoss`][], nothing is solved; but where forces are
    zero throughout it is met by a Lagrangian that is zero too.

    **Arguments:**

    - `scale`: what each force's error is divided by, shape `(n,)`.
    """

    scale: Float[Array, " n"]

    def __call__(self, model: MechanicalSystem, batch: Accelerations) -> Scalar:
        tau = jax.vmap(model.inverse_dynamics)(batch.state.q, batch.state.qd, batch.qdd)
        target = jax.vmap(model.actuation)(batch.state.q, batch.action)
        return jnp.mean(((tau - target) / self.scale) ** 2)

    def errors(self, model: MechanicalSystem, row: Accelerations) -> Float[Array, " k"]:
        """Of the generalised force, `k = n`."""
        tau = model.inverse_dynamics(row.state.q, row.state.qd, row.qdd)
        target = model.actuation(row.state.q, row.action)
        return (tau - target) / (self.scale * jnp.sqrt(row.qdd.shape[0]))


class RewardLoss(AbstractSquaredLoss[AbstractReward, Experience]):
    """The reward of each step.

    **Arguments:**

    - `scale`: what the error is divided by, a scalar.
    """

    scale: Scalar

    def __call__(self, model: AbstractReward, batch: Experience) -> Scalar:
        predicted = jax.vmap(model)(batch.state, batch.action, batch.next_state)
        return jnp.mean(((predicted - batch.reward) / self.scale) ** 2)

    def errors(self, model: AbstractReward, row: Experience) -> Float[Array, " k"]:
        """Of the reward, `k = 1`."""
        predicted = model(row.state, row.action, row.next_state)
        return ((predicted - row.reward) / self.scale)[None]


class TerminationLoss(AbstractLoss[TerminationNetwork, Experience]):
    """Whether each step ended its episode: the cross-entropy, in nats.

    The log-likelihood of a coin whose odds the network gives for the state that is
    reached. A batch with as many ends as other steps puts the edge half way between what
    was seen to end and what was not, however rare ends are.
    """

    def __call__(self, model: TerminationNetwork, batch: Experience) -> Scalar:
        logit = jax.vmap(model.logit)(batch.next_state)
        ended = batch.terminated.astype(logit.dtype)
        return jnp.mean(jax.nn.softplus(logit) - ended * logit)


def _squared_error(
    model: AbstractTransition, predicted: State, target: State, scale: State
) -> Float[Array, " batch"]:
    """Squared scaled error of each state of a batch, angles along the circle."""
    q = model.coordinates.difference(predicted.q, target.q) / scale.q
    qd = (predicted.qd - target.qd) / scale.qd
    return 0.5 * (jnp.mean(q**2, axis=-1) + jnp.mean(qd**2, axis=-1))


def _errors(
    model: AbstractTransition, predicted: State, target: State, scale: State
) -> Float[Array, " k"]:
    """Scaled errors of one state, the sum of whose squares is its squared error."""
    q = model.coordinates.difference(predicted.q, target.q) / scale.q
    qd = (predicted.qd - target.qd) / scale.qd
    return jnp.concatenate([q, qd]) / jnp.sqrt(2 * q.shape[0])
