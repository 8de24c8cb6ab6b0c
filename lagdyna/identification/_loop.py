"""Loop of a fit: updates in compiled pieces, a record after each."""

import time
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from .._errors import UserError
from ..config import given
from ..learners import (
    AbstractLoss,
    AbstractSquaredLoss,
    FrozenLoss,
    Parametrisation,
    PseudoHuberLoss,
    learn,
    physical,
    received,
)
from ..parts import Budget, GradientConfig, LearnerConfig, LossConfig, StepsLossConfig
from ..simulate import AbstractTransition
from ._evaluation import finite
from ._problem import FitProblem
from ._state import (
    FitState,
    budget_of,
    learned_part,
    parametrisation,
    partition_part,
    with_learned_part,
    with_validation,
)

Record = dict[str, Any]
"""Losses and counts after a piece of a fit, a line of `metrics.jsonl`."""
Keep = Callable[[FitState, list[Record]], None]

PIECES = 20
"""Pieces of a fit; each ends with a record and a checkpoint."""
_OF_FILTERS = ("log_evidence", "noise")  # metrics that only filters have


def fit_loop(
    problem: FitProblem,
    state: FitState,
    records: list[Record],
    keep: Keep,
    begun: float | None = None,
) -> tuple[FitState, list[Record]]:
    """Run the updates of a fit that are left.

    **Arguments:**

    - `problem`: model, loss and data.
    - `state`, `records`: those of the updates that are done.
    - `keep`: callback that receives the state and all records after each piece.
    - `begun`: time on `time.perf_counter` from which seconds are counted; now by default.

    **Returns:** the state and the records after the last update.
    """
    config, updates = problem.config, given(problem.config.learner.updates)
    seconds = records[-1]["seconds"] if records else 0.0
    start = (time.perf_counter() if begun is None else begun) - seconds
    used = problem.batch or jax.tree.leaves(problem.training)[0].shape[0]
    budget = budget_of(config, updates * used / problem.rows)
    piece = -(-updates // PIECES)
    coordinates = parametrisation(config, problem.plant)
    done = sum(record["piece"] for record in records)
    if state.kept is not None and not records:
        state = with_validation(
            state, _loss_on(problem, state, problem.validation), 0, first=True
        )
    if not records and bool(state.solved):
        records = [_solution(problem, state, time.perf_counter() - start)]
        keep(state, records)
    finished = bool(records) and "converged" in records[-1]
    while done < updates and not finished:
        size = min(piece, updates - done)
        key = jax.random.fold_in(jax.random.key(config.seed), 1 + len(records))
        state = _with_weight_decay(config.learner, state, len(records), updates / piece)
        state, metrics = _piece(
            config.loss,
            config.model.fixed_parameters(),
            config.learner,
            problem.loss,
            budget,
            coordinates,
            state,
            problem.training,
            key,
            piece,
            None if updates % piece == 0 else jnp.asarray(size),
            problem.batch,
        )
        done += size
        validation_loss = _loss_on(problem, state, problem.validation)
        state = with_validation(state, validation_loss, done)
        record = {
            "updates": done,
            "piece": size,
            "loss": finite(float(metrics["loss"])),
            "validation_loss": finite(float(validation_loss)),
            "skipped_updates": int(metrics["skipped"]),
            **{name: finite(float(metrics[name])) for name in _OF_FILTERS if name in metrics},
            "seconds": time.perf_counter() - start,
        }
        finished = float(metrics.get("converged", 0.0)) > 0
        if finished:
            record["converged"] = True
        if not records and record["skipped_updates"] == size and config.model.equations:
            raise UserError(
                f"none of the first {size} updates was finite; the equations of the model "
                f"{config.model.name!r}, `model.known` or `model.residual`, or their "
                "derivatives give nan on the training data"
            )
        records = [*records, record]
        keep(state, records)
    return state, records


def _solution(problem: FitProblem, state: FitState, seconds: float) -> Record:
    return {
        "updates": 0,
        "piece": 0,
        "loss": finite(float(_loss_on(problem, state, problem.training))),
        "validation_loss": finite(float(_loss_on(problem, state, problem.validation))),
        "skipped_updates": 0,
        "seconds": seconds,
        "converged": True,
    }


def _with_weight_decay(
    learner: LearnerConfig, state: FitState, done: int, pieces: float
) -> FitState:
    """Set the weight decay of the next piece, which falls to 0 along a cosine.

    **Arguments:** `done`, the pieces so far; `pieces`, those of the whole fit.
    """
    if not isinstance(learner, GradientConfig) or not learner.weight_decay:
        return state
    whole = max(1.0, learner.weight_decay_until * pieces)
    left = learner.decay_left(jnp.asarray(done, float), whole)
    decayed = learner.with_weight_decay(state.learner_state, learner.weight_decay * left)
    return state._replace(learner_state=decayed)


@eqx.filter_jit
def _piece(
    loss_config: LossConfig,
    fixed: tuple[str, ...],
    learner_config: LearnerConfig,
    loss: AbstractSquaredLoss,
    budget: Budget,
    coordinates: Parametrisation | None,
    state: FitState,
    training: PyTree,
    key: PRNGKeyArray,
    updates: int,
    count: Int[Array, ""] | None,
    batch: int | None,
) -> tuple[FitState, dict[str, Float[Array, ""]]]:
    """Run `updates` updates, or the first `count` of them, and average their metrics."""
    rows = jax.tree.leaves(training)[0].shape[0]

    def sample(key: PRNGKeyArray) -> PyTree:
        if batch is None:
            return training
        drawn = jax.random.randint(key, (batch,), 0, rows)
        return jax.tree.map(lambda x: x[drawn], training)

    free, frozen = partition_part(learned_part(loss_config, state.transition), fixed)
    free = received(free, coordinates)
    squared = FrozenLoss(loss, frozen, coordinates)
    learner = learner_config.build(_normed(loss_config, squared), budget)
    fitted = learn(
        learner, free, state.learner_state, sample, key=key, steps=updates, count=count
    )
    learned = eqx.combine(physical(fitted.model, coordinates), frozen)
    made = updates if count is None else count

    def mean(x: Float[Array, " updates"]) -> Float[Array, ""]:
        return jnp.mean(x) if count is None else jnp.sum(x) / count  # 0 where none was made

    metrics = {
        "loss": mean(fitted.metrics["loss"]),
        "skipped": jnp.sum(fitted.metrics["skipped"]),
        **{name: mean(x) for name, x in fitted.metrics.items() if name in _OF_FILTERS},
        **{name: x[made - 1] for name, x in fitted.metrics.items() if name == "converged"},
    }
    transition = with_learned_part(loss_config, state.transition, learned)
    return state._replace(transition=transition, learner_state=fitted.state), metrics


def _normed(config: LossConfig, squared: AbstractSquaredLoss) -> AbstractLoss:
    huber = isinstance(config, StepsLossConfig) and config.norm == "pseudo-huber"
    return PseudoHuberLoss(squared) if huber else squared


def _loss_on(problem: FitProblem, state: FitState, rows: PyTree) -> Float[Array, ""]:
    return _loss_of(problem.config.loss, problem.loss, state.transition, rows)


@eqx.filter_jit
def _loss_of(
    config: LossConfig,
    loss: AbstractSquaredLoss,
    transition: AbstractTransition,
    rows: PyTree,
) -> Float[Array, ""]:
    return _normed(config, loss)(learned_part(config, transition), rows)
