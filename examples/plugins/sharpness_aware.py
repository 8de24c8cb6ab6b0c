"""A learner of your own: sharpness-aware minimisation (Foret et al. 2021).

    lagdyna fit arm.npz --learner examples/plugins/sharpness_aware.py:SharpnessAware
    lagdyna train Pendulum-v1 --learner examples/plugins/sharpness_aware.py:SharpnessAware

Each update climbs a distance `rho` along the gradient. Adam descends from the original weights
with the gradient found there, which prefers minima with a low loss all around.
"""

import equinox as eqx
import jax
import optax

from lagdyna.learners import AbstractLearner, AbstractLoss, apply_gradient, make_optimiser
from lagdyna.parts import LearnerConfig


class SharpnessAwareLearner(AbstractLearner):
    """Optax optimiser of the gradient at perturbed weights."""

    optimiser: optax.GradientTransformation = eqx.field(static=True)
    loss: AbstractLoss
    rho: float

    def init(self, model):
        return self.optimiser.init(eqx.filter(model, eqx.is_inexact_array))

    def update(self, model, state, batch):
        loss, gradient = eqx.filter_value_and_grad(self.loss)(model, batch)
        scale = self.rho / (optax.tree.norm(gradient) + 1e-12)
        perturbed = eqx.apply_updates(model, jax.tree.map(lambda g: scale * g, gradient))
        gradient = eqx.filter_grad(self.loss)(perturbed, batch)
        model, state, skipped = apply_gradient(self.optimiser, model, state, gradient)
        return model, state, {"loss": loss, "skipped": skipped}


class SharpnessAware(LearnerConfig, frozen=True, kw_only=True):
    """Adam on the gradient at perturbed weights.

    **Arguments:**

    - `rate`: learning rate of Adam; it falls to a hundredth along a cosine.
    - `rho`: length of the perturbation.
    - `clip`: largest norm of the gradient.
    """

    rate: float = 3e-3
    rho: float = 0.05
    clip: float = 100.0

    def build(self, loss, budget):
        rate = optax.cosine_decay_schedule(self.rate, budget.updates, 0.01)
        return SharpnessAwareLearner(make_optimiser("adam", rate, self.clip), loss, self.rho)
