from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..mechanics import State
from ..simulate import AbstractTransition
from ._action_box import ActionBox
from ._controller import AbstractController
from ._costs import AbstractCost
from ._sampling import check_arguments, resting_actions, rollout_cost, shift, smooth_noise


class CEMMemory(NamedTuple):
    """Mean of the actions to come, and the key of the next samples."""

    actions: Float[Array, "horizon m"]
    key: PRNGKeyArray


class CEM(AbstractController):
    """Model predictive control by the cross-entropy method.

    Each step draws sequences about the shifted mean of the last step, fits mean and standard
    deviation to the best of them, and repeats (Rubinstein 1999; Pinneri et al. 2020,
    "Sample-efficient cross-entropy method for real-time planning"). The mean is among the
    sequences. It takes the first action of the best sequence. Neither model nor cost need have
    derivatives.

    **Arguments:**

    - `transition`: the model.
    - `cost`: what to minimise over the horizon.
    - `box`: limits of the action.
    - `horizon`: number of steps that each sequence looks ahead.
    - `key`: for the samples.
    - `samples`: number of sequences of each round.
    - `elites`: number of best sequences that the next round is fitted to.
    - `rounds`: number of rounds of each step.
    - `noise`: first standard deviation, as a fraction of half the width of the box.
    - `correlation`: of the noise of two neighbouring steps, in `[0, 1)`.

    **Raises:** `ValueError` if an argument is out of range.
    """

    transition: AbstractTransition
    cost: AbstractCost
    box: ActionBox
    horizon: int = eqx.field(static=True)
    key: PRNGKeyArray
    samples: int = eqx.field(static=True, default=128)
    elites: int = eqx.field(static=True, default=16)
    rounds: int = eqx.field(static=True, default=3)
    noise: float = eqx.field(static=True, default=0.5)
    correlation: float = eqx.field(static=True, default=0.8)

    def __check_init__(self):
        check_arguments(self, ("horizon", "rounds", "noise"))
        if not 2 <= self.elites <= self.samples:
            raise ValueError(
                f"`elites` was {self.elites} of {self.samples} samples; 2 or more, up to "
                "all samples, are accepted"
            )

    def init(self, state: State) -> CEMMemory:
        return CEMMemory(resting_actions(self.box, self.horizon, state.q), self.key)

    def control(self, memory: CEMMemory, state: State) -> tuple[Float[Array, " m"], CEMMemory]:
        key, *keys = jax.random.split(memory.key, self.rounds + 1)
        lower, upper = self.box.bounds(memory.actions)
        shape = (self.samples, self.horizon, self.box.size)
        first = jnp.broadcast_to(0.5 * self.noise * (upper - lower), shape[1:])

        def improve(
            carry: tuple[Array, Array], key: Array
        ) -> tuple[tuple[Array, Array], Array]:
            mean, deviation = carry
            noise = smooth_noise(key, shape, self.correlation, mean).at[0].set(0)
            sequences = self.box.clip(mean + deviation * noise)
            costs = jax.vmap(
                lambda actions: rollout_cost(self.transition, self.cost, state, actions)
            )(sequences)
            best = sequences[jnp.argsort(costs)[: self.elites]]
            return (best.mean(axis=0), best.std(axis=0)), best[0]

        (mean, _), bests = jax.lax.scan(improve, (memory.actions, first), jnp.stack(keys))
        return bests[-1, 0], CEMMemory(shift(mean), key)
