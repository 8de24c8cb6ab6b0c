"""One update of a fit's filter as a function of arrays, to go on learning in a control loop."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from .._errors import UserError
from ..data import Experience
from ..filters import AbstractFilter, FilterState
from ..learners import Accelerations, FrozenLoss, physical, received
from ..mechanics import State
from ..simulate import AbstractTransition, LearnedModel
from ._problem import FitProblem
from ._state import (
    FitState,
    budget_of,
    learned_part,
    parametrisation,
    partition_part,
    with_learned_part,
)

Arrays = tuple[Array, ...]

_LIMIT = 2**24  # numbers of a belief


class OnlineUpdate(NamedTuple):
    """Update of a fit's filter by one measurement.

    **Attributes:**

    - `initial`: `weights`, `belief` and `scalars` (process noise, noise, updates) after the
        fit, each of one dimension.
    - `inputs`: names of the measured arrays, such as `q`, `qd`, `qdd` and `force`.
    - `outputs`: names of the predicted arrays.
    - `function`: from `(*initial, *inputs)` to the next `(*initial)`, the predictions with the
        weights before the update, and the loss, shape `(1,)`.
    """

    initial: tuple[Float[Array, " _"], ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    function: Callable[..., Arrays]


def online_update(problem: FitProblem, state: FitState) -> OnlineUpdate:
    """Make the update of a fit's filter by one measurement.

    The filter goes on from where the fit left it, and each measurement counts once. Entries
    that are `nan` are treated as missing; without any measured target nothing is learned.

    **Raises:** `UserError` if the learner of the fit is no filter, its loss compares more than
    one step or learned sensors, or the belief is too large.
    """
    config, row = problem.config, _first(problem.training)
    if not isinstance(row, Experience | Accelerations):
        raise UserError(
            "`what` was 'filter-update', and the loss of the fit compares windows of steps or "
            "learned signals; one-step, forward and inverse are accepted"
        )
    coordinates, fixed = parametrisation(config, problem.plant), config.model.fixed_parameters()
    free, frozen = partition_part(learned_part(config.loss, state.transition), fixed)
    loss = FrozenLoss(problem.loss, frozen, coordinates)
    learner = config.learner.build(loss, budget_of(config))
    filtered = state.learner_state
    if not isinstance(learner, AbstractFilter) or not isinstance(filtered, FilterState):
        raise UserError(
            f"`what` was 'filter-update', and the learner of the fit is "
            f"{config.learner.name!r}, no filter; a fit with `--learner ekf` is accepted"
        )
    trained, rest = eqx.partition(received(free, coordinates), eqx.is_inexact_array)
    parts = (trained, filtered.belief, tuple(filtered[1:]))
    initial, restore = zip(*map(ravel_pytree, parts), strict=True)
    if initial[1].size > _LIMIT:
        raise UserError(
            f"`what` was 'filter-update', and the belief of the filter has {initial[1].size:,} "
            f"numbers; at most {_LIMIT:,} are accepted, such as those of a smaller "
            "`model.hidden` or of the learner `diagonal-ekf`"
        )
    inputs, outputs = _NAMES[config.loss.name if isinstance(row, Accelerations) else "one-step"]

    def predict(weights: PyTree, row: Any) -> Arrays:
        learned = eqx.combine(physical(eqx.combine(weights, rest), coordinates), frozen)
        transition = with_learned_part(config.loss, state.transition, learned)
        return _predicted(config.loss.name, transition, row)

    def function(*given: Array) -> Arrays:
        weights, belief, scalars = (
            undo(flat) for undo, flat in zip(restore, given[:3], strict=True)
        )
        measured = _row(row, dict(zip(inputs, given[3:], strict=True)))
        batch = jax.tree.map(lambda x: x[None], measured)
        model, after, metrics = learner.update(
            eqx.combine(weights, rest), FilterState(belief, *scalars), batch
        )
        following = (eqx.filter(model, eqx.is_inexact_array), after.belief, tuple(after[1:]))
        flat = tuple(ravel_pytree(part)[0] for part in following)
        return (*flat, *predict(weights, measured), metrics["loss"][None])

    return OnlineUpdate(initial, inputs, outputs, function)


_NAMES = {
    "one-step": (("q", "qd", "action", "next_q", "next_qd"), ("next_q", "next_qd")),
    "forward": (("q", "qd", "action", "qdd"), ("qdd",)),
    "inverse": (("q", "qd", "qdd", "action"), ("force",)),
}


def _first(rows: PyTree) -> PyTree:
    return jax.tree.map(lambda x: x[0], rows)


def _row(row: Any, given: dict[str, Array]) -> Any:
    """Make the row of one measurement; what the loss does not compare is as in `row`."""
    state = State(given["q"], given["qd"])
    if isinstance(row, Accelerations):
        return Accelerations(state, given["action"], given["qdd"])
    following = State(given["next_q"], given["next_qd"])
    return Experience(state, given["action"], row.reward, following, row.terminated)


def _predicted(loss: str, transition: AbstractTransition, row: Any) -> Arrays:
    """Predict what the loss compares with the measurement."""
    model, (q, qd) = LearnedModel(transition), row.state
    if isinstance(row, Experience):
        return tuple(model.step(row.state, row.action))
    if loss == "forward":
        return (model.forward_dynamics(q, qd, row.action),)
    return (model.inverse_dynamics(q, qd, row.qdd),)
