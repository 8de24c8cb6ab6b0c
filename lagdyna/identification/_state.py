"""State of a fit, and the part of the model that is learned."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from .._errors import UserError
from .._strong_types import strongly_typed
from ..config import FitConfig, given
from ..learners import (
    OneStepLoss,
    Parametrisation,
    SignalModel,
    partition,
    received,
)
from ..mechanics import MechanicalSystem, State, unscaled_system
from ..parts import (
    Budget,
    GradientConfig,
    LevenbergMarquardtConfig,
    LossConfig,
    SolverConfig,
    StepsLossConfig,
    check_memory,
)
from ..simulate import AbstractTransition, LearnedModel, ScaledTransition, SignalTransition
from ..tasks import Plant

# A later model is kept if its validation loss is above the smallest by less than this part:
# such differences are noise, and later models have learned more.
_NOISE = 0.05


class Kept(NamedTuple):
    """Latest model whose validation loss was about the smallest so far.

    **Attributes:** `transition`, the dynamics; `loss`, on the validation data; `least`, the
    smallest loss of any model; `updates`, made until then.
    """

    transition: AbstractTransition
    loss: Float[Array, ""]
    least: Float[Array, ""]
    updates: Int[Array, ""]


class FitState(NamedTuple):
    """Model and learner after some updates; a PyTree.

    **Attributes:**

    - `transition`: the dynamics.
    - `learner_state`: the state of the learner.
    - `kept`: the best model so far, which the fit returns (early stopping); `None` where it
        returns the last: of filters, and of known systems by Levenberg-Marquardt.
    - `solved`: whether the model before the first update is the solution already.
    """

    transition: AbstractTransition
    learner_state: PyTree
    kept: Kept | None
    solved: Bool[Array, ""]

    @property
    def chosen(self) -> AbstractTransition:
        """Dynamics that the fit returns."""
        return self.transition if self.kept is None else self.kept.transition


def trainable_shapes(config: FitConfig, plant: Plant) -> PyTree:
    """Compute the shapes of the parameters that are learned, without building the model.

    **Arguments:** `config`, whose loss is resolved.

    **Raises:** `UserError` if every parameter is fixed.
    """
    solver, key = config.solver or SolverConfig(), jax.random.key(0)

    def parameters() -> PyTree:
        transition = config.model.transition(plant, solver, key)
        return trainable_parameters(config, _with_signals(config, plant, transition))

    return eqx.filter_eval_shape(parameters)


def _with_signals(
    config: FitConfig, plant: Plant, transition: AbstractTransition
) -> AbstractTransition:
    """Put sensors and motors before a transition, if these are learned."""
    signals = config.signals.build(plant)
    return transition if signals is None else SignalTransition(transition, signals)


def trainable_parameters(config: FitConfig, transition: AbstractTransition) -> PyTree:
    """Select the parameters that are learned, `None` in place of everything else.

    **Raises:** `UserError` if there are none.
    """
    free, _ = partition_learned(config, transition)
    weights = eqx.filter(free, eqx.is_inexact_array)
    if jax.tree.leaves(weights):
        return weights
    fixed = list(config.model.fixed_parameters())
    if not fixed:
        raise UserError(f"`model.name` was {config.model.name!r}, which has no parameters")
    raise UserError(f"`model.fixed` was {fixed}: nothing is left to learn; fewer are accepted")


def initial_state(config: FitConfig, plant: Plant) -> FitState:
    """Build the untrained model and the initial state of its learner.

    **Arguments:** `config`, which is resolved; `plant`, with known equations if the model
    contains any.

    **Raises:** `UserError` if the learner would not fit into memory.
    """
    hidden = getattr(config.model, "hidden", ())
    weights = [trainable_shapes(config, plant)]
    check_memory("model.hidden", config.learner, hidden, weights)
    key = jax.random.fold_in(jax.random.key(config.seed), 0)
    solver = config.solver or SolverConfig()
    transition = eqx.filter_jit(config.model.transition)(plant, solver, key)
    transition = _with_signals(config, plant, transition)
    learner = config.learner.build(any_loss(plant.n), budget_of(config))
    weights = trainable_parameters(config, transition)
    weights = received(weights, parametrisation(config, plant))
    return begun(config, transition, learner.init(weights))


def begun(
    config: FitConfig,
    transition: AbstractTransition,
    learner_state: PyTree,
    *,
    solved: bool = False,
) -> FitState:
    """Create the state before the first update."""
    # Few physical parameters do not overfit, and a posterior is that of the last model.
    networks = not config.model.equations
    precise = isinstance(config.learner, LevenbergMarquardtConfig) and networks
    kept = None
    if isinstance(config.learner, GradientConfig) or precise:
        kept = Kept(transition, jnp.asarray(jnp.inf), jnp.asarray(jnp.inf), jnp.asarray(0))
    return strongly_typed(FitState(transition, learner_state, kept, jnp.asarray(solved)))


def with_validation(
    state: FitState, loss: Float[Array, ""], updates: int, *, first: bool = False
) -> FitState:
    """Keep the model if its validation loss is about the smallest so far.

    **Arguments:** `first`, whether the model is the one before the first update.
    """
    if state.kept is None:
        return state
    loss = jnp.where(jnp.isfinite(loss), loss, jnp.inf).astype(state.kept.loss.dtype)
    least = jnp.minimum(loss, state.kept.least)
    if not first and (not jnp.isfinite(loss) or loss > (1 + _NOISE) * least):
        return state
    return state._replace(kept=Kept(state.transition, loss, least, jnp.asarray(updates)))


def parametrisation(config: FitConfig, plant: Plant) -> Parametrisation | None:
    """Create the coordinates in which the learner receives parameters; `None` for the same.

    They follow from the initial model, so they are the same when a fit is resumed.

    **Raises:** `UserError` if a positive parameter starts at 0 or below.
    """
    solver, key = config.solver or SolverConfig(), jax.random.key(0)

    transition = config.model.transition
    shapes = trainable_shapes(config, plant)
    signals = shapes.signals if isinstance(shapes, SignalModel) else None

    def initial() -> PyTree:
        # Signals may be all that is learned.
        free, _ = partition_learned(config, transition(plant, solver, key))
        return eqx.filter(free, eqx.is_inexact_array)

    found = config.model.parametrisation(initial)
    if found is None or signals is None:
        return found
    ones = jax.tree.map(lambda x: jnp.ones(x.shape, x.dtype), signals)
    count = len(jax.tree.leaves(ones))
    return Parametrisation(SignalModel(found.units, ones), (*found.positive, *[False] * count))


def budget_of(config: FitConfig, repeats: float = 1.0) -> Budget:
    """Collect the facts of a fit that its learner may depend on.

    **Arguments:** `repeats`, how often each distinct row of data is used; only updates need it.
    """
    learner = config.learner
    decays = isinstance(learner, GradientConfig) and bool(learner.weight_decay)
    # As an array, so that no program is compiled anew for another number of rows.
    repeated = jnp.asarray(repeats, float)
    return Budget(given(learner.updates), repeated, config.seed, weight_decay=decays)


def any_loss(n: int) -> OneStepLoss:
    """Create a loss for a learner that only initialises or reads its state."""
    return OneStepLoss(State(jnp.ones(n), jnp.ones(n)))


def learned_part(loss: LossConfig, transition: AbstractTransition) -> Any:
    """Select the part of a transition that a loss takes.

    **Raises:** `UserError` if the loss takes accelerations, and the transition has none.
    """
    if isinstance(transition, SignalTransition):
        inner = learned_part(loss, transition.transition)
        return SignalModel(inner, transition.signals)
    if isinstance(loss, StepsLossConfig):
        return transition
    model = LearnedModel(transition)
    if not model.has_accelerations:
        raise UserError(
            f"`loss.name` was {loss.name!r}, and the model has no accelerations; the losses "
            "one-step and multi-step are accepted, and models whose field is a "
            "`LagrangianField` or an `AccelerationField`"
        )
    return model.dynamics


def with_learned_part(loss: LossConfig, transition: AbstractTransition, part: Any) -> Any:
    """Replace the part of a transition that a loss takes."""
    if isinstance(transition, SignalTransition):
        inner = with_learned_part(loss, transition.transition, part.model)
        return SignalTransition(inner, part.signals)
    if isinstance(loss, StepsLossConfig):
        return part
    if isinstance(transition, ScaledTransition):
        natural = unscaled_system(part) if isinstance(part, MechanicalSystem) else part.dynamics
        inner = with_learned_part(loss, transition.transition, natural)
        return ScaledTransition(inner, transition.units)
    if isinstance(part, MechanicalSystem):
        return eqx.tree_at(lambda t: t.field.system, transition, part)
    return eqx.tree_at(lambda t: t.field.dynamics, transition, part)


def partition_learned(
    config: FitConfig, transition: AbstractTransition
) -> tuple[PyTree, PyTree]:
    """Split the part that the loss takes into a free and a frozen part.

    **Raises:** `UserError` if `model.fixed` names no parameter.
    """
    fixed = config.model.fixed_parameters()
    return partition_part(learned_part(config.loss, transition), fixed)


def partition_part(part: Any, fixed: tuple[str, ...]) -> tuple[PyTree, PyTree]:
    """Split a part that a loss takes; sensors and motors are free.

    **Raises:** `UserError` if `model.fixed` names no parameter.
    """
    if not isinstance(part, SignalModel):
        return partition(part, fixed)
    free, frozen = partition(part.model, fixed)
    signals, rest = eqx.partition(part.signals, eqx.is_array)
    return SignalModel(free, signals), SignalModel(frozen, rest)
