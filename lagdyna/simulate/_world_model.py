import equinox as eqx
import jax
from jaxtyping import Array, Float

from ..mechanics import State
from ..models import AbstractReward, AbstractTermination, NoTermination
from ._sampled import SampledTransition
from ._transition import AbstractTransition


class WorldModel(eqx.Module):
    """Model of a task: dynamics, reward and the end of episodes.

    **Arguments:**

    - `transition`: the dynamics from one action to the next.
    - `reward`: the reward of `(state, action, next_state)`.
    - `termination`: the probability that an episode ends in a state; never by default.
    - `samples`: dynamics drawn from the posterior of a filter. Imagined rollouts use them in
        place of `transition` where they are given.
    """

    transition: AbstractTransition
    reward: AbstractReward
    termination: AbstractTermination = NoTermination()
    samples: SampledTransition | None = None

    @property
    def imagined(self) -> AbstractTransition | SampledTransition:
        """Dynamics of imagined rollouts: the posterior samples, or `transition`."""
        return self.transition if self.samples is None else self.samples

    def ended(self, states: State, probability: float = 0.5) -> Array:
        """Whether episodes have ended in a batch of states, by a probability threshold."""
        return jax.vmap(self.termination)(states) > probability

    def rewards(
        self, states: State, actions: Float[Array, "batch m"], next_states: State
    ) -> Float[Array, " batch"]:
        """Compute the rewards of a batch of transitions."""
        return jax.vmap(self.reward)(states, actions, next_states)
