"""Learners that follow the gradient of a loss: the optimisers of Optax."""

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from ...options import NonNegative, Positive, UpToOne
from ._base import Budget, LearnerConfig, Usual

if TYPE_CHECKING:
    from jaxtyping import Array, Float

    import lagdyna.learners


class GradientConfig(LearnerConfig, frozen=True, kw_only=True):
    """Optax optimiser of clipped gradients; see [`lagdyna.learners.GradientLearner`][].

    **Arguments:**

    - `rate`: learning rate; it falls to a hundredth along a cosine within each training phase
        or fit.
    - `clip`: largest norm of the gradient.
    - `weight_decay`: decoupled weight decay of the dynamics' networks, per unit of learning
        rate. It is annealed to 0 along a cosine. By default what the agent asks for, 0.1 with
        `imagination`; 0 of other agents and of fits.
    - `weight_decay_until`: fraction of the run after which the decay is 0; of a training run
        at least five phases.
    """

    rate: Positive = 3e-3
    clip: Positive = 100.0
    weight_decay: NonNegative | None = None
    weight_decay_until: UpToOne = 0.3

    usual_phase: ClassVar[Usual] = Usual(2000, 64)
    usual_fit: ClassVar[Usual] = Usual(10_000, 256)

    def build(
        self, loss: "lagdyna.learners.AbstractLoss", budget: Budget
    ) -> "lagdyna.learners.AbstractLearner":
        import optax

        from ...learners import GradientLearner, make_optimiser, with_weight_decay

        rate = optax.cosine_decay_schedule(self.rate, budget.updates, 0.01)
        optimiser = make_optimiser(self.name, rate, self.clip)
        if budget.weight_decay:
            optimiser = with_weight_decay(optimiser, rate)
        return GradientLearner(optimiser, loss)

    def with_weight_decay(self, state: Any, strength: "Float[Array, '']") -> Any:
        from ...learners import set_weight_decay

        return state._replace(optimiser=set_weight_decay(state.optimiser, strength))

    def decay_left(self, done: "Float[Array, '']", whole: float) -> "Float[Array, '']":
        """Fraction of the weight decay that is left.

        **Arguments:** `done`, phases or other equal parts of the run that are over; `whole`,
        the number of them after which the decay is 0.
        """
        import jax.numpy as jnp
        import optax

        return jnp.asarray(optax.cosine_decay_schedule(1.0, round(whole), 0.0)(done))

    def with_usual_decay(self, weight_decay: float) -> "GradientConfig":
        """Fill the weight decay if it was left open."""
        if self.weight_decay is not None:
            return self
        return msgspec.structs.replace(self, weight_decay=weight_decay)


class AdamConfig(GradientConfig, frozen=True, kw_only=True, tag="adam"):
    """Adam (Kingma & Ba 2015)."""


class AdamWConfig(GradientConfig, frozen=True, kw_only=True, tag="adamw"):
    """AdamW (Loshchilov & Hutter 2019), with Optax's own weight decay on top."""


class LionConfig(GradientConfig, frozen=True, kw_only=True, tag="lion"):
    """Lion (Chen et al. 2023), with Optax's own weight decay on top."""


class RMSPropConfig(GradientConfig, frozen=True, kw_only=True, tag="rmsprop"):
    """RMSProp (Tieleman & Hinton 2012)."""


class SGDConfig(GradientConfig, frozen=True, kw_only=True, tag="sgd"):
    """Stochastic gradient descent."""
