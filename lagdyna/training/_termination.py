"""Learning of the termination from the replay buffer."""

import jax.numpy as jnp
import optax
from jaxtyping import PyTree

from ..agents import Metrics, Phase, Purpose
from ..data import ReplayBuffer
from ..learners import GradientLearner, TerminationLoss, learn, make_optimiser
from ..models import AbstractTermination, TerminationNetwork
from ..parts import GradientConfig, LearnerConfig


class TerminationLearner:
    """Learner of the termination: Adam, since filters need squared errors.

    **Arguments:**

    - `options`: the learner of the dynamics, which gives the updates and rows of a phase.
    """

    def __init__(self, options: LearnerConfig):
        assert options.updates is not None
        assert options.batch is not None
        self._batch = options.batch
        rate = optax.cosine_decay_schedule(3e-3, options.updates, 0.01)
        clip = options.clip if isinstance(options, GradientConfig) else 100.0
        self._classifier = GradientLearner(
            make_optimiser("adam", rate, clip), TerminationLoss()
        )

    def begin(self, termination: AbstractTermination) -> PyTree:
        """Create the state for a phase; `()` if there is nothing to learn."""
        if isinstance(termination, TerminationNetwork):
            return self._classifier.init(termination)
        return ()

    def fit(
        self,
        termination: AbstractTermination,
        state: PyTree,
        buffer: ReplayBuffer,
        phase: Phase,
        updates: int,
    ) -> tuple[AbstractTermination, PyTree, Metrics]:
        """Update the termination from last and other steps in equal parts."""
        if not isinstance(termination, TerminationNetwork):
            return termination, state, {}
        ended = buffer.filled & buffer.experience.terminated
        going = buffer.filled & ~buffer.experience.terminated
        weights = ended / jnp.maximum(ended.sum(), 1) + going / jnp.maximum(going.sum(), 1)
        fit = learn(
            self._classifier,
            termination,
            state,
            lambda key: buffer.sample_weighted(key, self._batch, weights),
            key=phase.key(Purpose.TERMINATION),
            steps=updates,
        )
        metrics = {
            "termination_loss": jnp.mean(fit.metrics["loss"]),
            "termination_skipped": jnp.sum(fit.metrics["skipped"]),
        }
        return fit.model, fit.state, metrics
