"""Kalman, sigma-point, ensemble and particle filters on the weights."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from ...options import Count, NonNegative, Positive, UpToOne
from ._base import Budget, LearnerConfig, Usual
from ._memory import available_memory, held_bytes

if TYPE_CHECKING:
    from jaxtyping import PyTree

    import lagdyna.filters
    import lagdyna.learners


FULL = 3000  # weights up to which `auto` keeps every covariance
LAYER = 5000  # weights of a layer up to which it keeps those within each layer
FEW = Usual(50, 32)  # more updates with covariances hardly predict better, and take long


class FilterConfig(LearnerConfig, frozen=True, kw_only=True):
    """Bayesian filter on the weights; see [`lagdyna.filters.AbstractFilter`][].

    In a training run it starts anew in each training phase. However often it passes over the
    data, each row counts once.

    **Arguments:**

    - `prior`: standard deviation of each weight about its initial value.
    - `noise`: standard deviation of an observation; estimated by default.
    - `process`: standard deviation of the random walk of each weight per update.
    - `process_decay`: factor on `process` after each update.
    - `fading`: forgetting factor.
    """

    prior: Positive = 1.0
    noise: Positive | None = None
    process: NonNegative = 0.0
    process_decay: UpToOne = 1.0
    fading: UpToOne = 1.0

    usual_phase: ClassVar[Usual] = Usual(200, 32)
    usual_fit: ClassVar[Usual] = Usual(1000, 32)
    is_filter: ClassVar[bool] = True
    squared: ClassVar[bool] = True

    def shared(self, budget: Budget) -> dict[str, Any]:
        """Arguments of every filter."""
        import jax.numpy as jnp

        return {
            "prior": self.prior,
            "noise": self.noise,
            "process": self.process,
            "process_decay": self.process_decay,
            "fading": self.fading,
            "repeats": jnp.maximum(budget.repeats, 1.0),
        }


class EKFConfig(FilterConfig, frozen=True, kw_only=True, tag="ekf"):
    """Extended Kalman filter with a full covariance (Das et al. 2026).

    See [`lagdyna.filters.KalmanLearner`][].

    **Arguments:**

    - `iterations`: linearisations per update.
    """

    iterations: Count = 1

    usual_phase: ClassVar[Usual] = FEW

    def build(self, loss: Any, budget: Budget) -> "lagdyna.learners.AbstractLearner":
        from ...filters import KalmanLearner

        batches = None if budget.errors is None else (budget.updates, budget.errors)
        options = {"blocks": "full", "iterations": self.iterations, "batches": batches}
        return KalmanLearner(loss, **self.shared(budget), **options)

    def memory(self, weights: "list[PyTree]") -> int:
        return held_bytes(weights, "full")


class BlockEKFConfig(FilterConfig, frozen=True, kw_only=True, tag="ekf-block"):
    """Decoupled extended Kalman filter (Puskorius & Feldkamp 1991).

    See [`lagdyna.filters.KalmanLearner`][].

    **Arguments:**

    - `iterations`: linearisations per update.
    - `blocks`: weights whose covariances are kept: those of a `layer`, or of a `node`.
    """

    iterations: Count = 1
    blocks: Literal["layer", "node"] = "layer"

    usual_phase: ClassVar[Usual] = FEW

    def build(self, loss: Any, budget: Budget) -> "lagdyna.learners.AbstractLearner":
        from ...filters import KalmanLearner

        return KalmanLearner(
            loss, **self.shared(budget), blocks=self.blocks, iterations=self.iterations
        )

    def memory(self, weights: "list[PyTree]") -> int:
        return held_bytes(weights, self.blocks)


class DiagonalEKFConfig(FilterConfig, frozen=True, kw_only=True, tag="ekf-diagonal"):
    """Extended Kalman filter with a variance per weight.

    See [`lagdyna.filters.KalmanLearner`][].

    **Arguments:**

    - `iterations`: linearisations per update.
    """

    iterations: Count = 1

    def build(self, loss: Any, budget: Budget) -> "lagdyna.learners.AbstractLearner":
        from ...filters import KalmanLearner

        return KalmanLearner(
            loss, **self.shared(budget), blocks="weight", iterations=self.iterations
        )


class LowRankEKFConfig(FilterConfig, frozen=True, kw_only=True, tag="ekf-lowrank"):
    """Extended Kalman filter with a covariance of low rank plus diagonal.

    See [`lagdyna.filters.KalmanLearner`][].

    **Arguments:**

    - `iterations`: linearisations per update.
    - `rank`: directions of the covariance beyond the diagonal.
    """

    iterations: Count = 1
    rank: Count = 64

    usual_phase: ClassVar[Usual] = FEW

    def build(self, loss: Any, budget: Budget) -> "lagdyna.learners.AbstractLearner":
        from ...filters import KalmanLearner

        options = {"blocks": "full", "rank": self.rank, "iterations": self.iterations}
        return KalmanLearner(loss, **self.shared(budget), **options)

    def memory(self, weights: "list[PyTree]") -> int:
        return held_bytes(weights, rows=2 * self.rank)


class CKFConfig(FilterConfig, frozen=True, kw_only=True, tag="ckf"):
    """Cubature Kalman filter: evaluates the model twice per weight in each update.

    See [`lagdyna.filters.SigmaPointLearner`][].
    """

    usual_fit: ClassVar[Usual] = Usual(200, 32)

    def build(self, loss: Any, budget: Budget) -> "lagdyna.learners.AbstractLearner":
        from ...filters import SigmaPointLearner

        return SigmaPointLearner(loss, **self.shared(budget))

    def memory(self, weights: "list[PyTree]") -> int:
        return held_bytes(weights, "full")


class UKFConfig(FilterConfig, frozen=True, kw_only=True, tag="ukf"):
    """Unscented Kalman filter: evaluates the model twice per weight in each update.

    See [`lagdyna.filters.SigmaPointLearner`][].

    **Arguments:**

    - `alpha`, `beta`, `kappa`: parameters of the scaled unscented transform.
    """

    alpha: UpToOne = 0.1
    beta: NonNegative = 2.0
    kappa: NonNegative = 0.0

    usual_fit: ClassVar[Usual] = Usual(200, 32)

    def build(self, loss: Any, budget: Budget) -> "lagdyna.learners.AbstractLearner":
        from ...filters import SigmaPointLearner

        scaled = {"alpha": self.alpha, "beta": self.beta, "kappa": self.kappa}
        return SigmaPointLearner(loss, **self.shared(budget), **scaled)

    def memory(self, weights: "list[PyTree]") -> int:
        return held_bytes(weights, "full")


class EnsembleConfig(FilterConfig, frozen=True, kw_only=True, tag="enkf"):
    """Ensemble Kalman filter; see [`lagdyna.filters.EnsembleLearner`][].

    **Arguments:**

    - `members`: size of the ensemble.
    """

    members: Annotated[int, Meta(ge=2)] = 128

    def build(self, loss: Any, budget: Budget) -> "lagdyna.learners.AbstractLearner":
        from ...filters import EnsembleLearner

        return EnsembleLearner(
            loss, **self.shared(budget), members=self.members, seed=budget.seed
        )

    def memory(self, weights: "list[PyTree]") -> int:
        return held_bytes(weights, rows=self.members)


class ParticleConfig(FilterConfig, frozen=True, kw_only=True, tag="pf"):
    """Particle filter, for a handful of weights; see [`lagdyna.filters.ParticleLearner`][].

    **Arguments:**

    - `particles`: how many.
    """

    particles: Annotated[int, Meta(ge=2)] = 1024

    def build(self, loss: Any, budget: Budget) -> "lagdyna.learners.AbstractLearner":
        from ...filters import ParticleLearner

        return ParticleLearner(
            loss, **self.shared(budget), particles=self.particles, seed=budget.seed
        )

    def memory(self, weights: "list[PyTree]") -> int:
        return held_bytes(weights, rows=self.particles)


class AutoFilterConfig(FilterConfig, frozen=True, kw_only=True, tag="auto"):
    """Extended Kalman filter with as many covariances as memory and time allow.

    All covariances if no model has more than 3000 weights; else those within each layer, if no
    layer has more than 5000 weights; else those within each node. A choice that does not fit
    into memory is passed over.

    **Arguments:**

    - `iterations`: linearisations per update.
    """

    iterations: Count = 1

    usual_phase: ClassVar[Usual] = FEW

    def resolved(self, weights: "list[PyTree]") -> LearnerConfig:
        """Choose `ekf` or `ekf-block` by the number of weights and the free memory."""
        from ...filters import largest_block

        options = {each: getattr(self, each) for each in self.__struct_fields__}
        full, layer = EKFConfig(**options), BlockEKFConfig(**options, blocks="layer")
        free = available_memory()
        largest = max(largest_block(each, "full") for each in weights)
        if largest <= FULL and full.memory(weights) <= free:
            return full
        largest = max(largest_block(each, "layer") for each in weights)
        if largest <= LAYER and layer.memory(weights) <= free:
            return layer
        return msgspec.structs.replace(layer, blocks="node")

    def build(self, loss: Any, budget: Budget) -> "lagdyna.learners.AbstractLearner":
        raise TypeError("the learner 'auto' stands for another one; call `resolved` first")
