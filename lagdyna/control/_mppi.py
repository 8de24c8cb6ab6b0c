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


class MPPIMemory(NamedTuple):
    """Mean of the actions to come, and the key of the next samples."""

    actions: Float[Array, "horizon m"]
    key: PRNGKeyArray


class MPPI(AbstractController):
    """Model predictive path integral control: the weighted mean of random action sequences.

    Each step adds noise to the shifted mean of the last step, simulates all sequences, and
    averages them with weights `exp(-(cost - least) / temperature)` (Williams et al. 2017,
    "Information theoretic MPC for model-based reinforcement learning"). Neither model nor cost
    need have derivatives. One of the sequences is the mean itself.

    **Arguments:**

    - `transition`: the model.
    - `cost`: what to minimise over the horizon.
    - `box`: limits of the action.
    - `horizon`: number of steps that each sequence looks ahead.
    - `key`: for the noise.
    - `samples`: number of sequences.
    - `temperature`: in units of the cost's standard deviation over the samples.
    - `noise`: standard deviation, as a fraction of half the width of the box.
    - `correlation`: of the noise of two neighbouring steps, in `[0, 1)`.

    **Raises:** `ValueError` if an argument is out of range.
    """

    transition: AbstractTransition
    cost: AbstractCost
    box: ActionBox
    horizon: int = eqx.field(static=True)
    key: PRNGKeyArray
    samples: int = eqx.field(static=True, default=256)
    temperature: float = eqx.field(static=True, default=0.1)
    noise: float = eqx.field(static=True, default=0.5)
    correlation: float = eqx.field(static=True, default=0.8)

    def __check_init__(self):
        check_arguments(self, ("horizon", "samples", "temperature", "noise"))

    def init(self, state: State) -> MPPIMemory:
        return MPPIMemory(resting_actions(self.box, self.horizon, state.q), self.key)

    def control(
        self, memory: MPPIMemory, state: State
    ) -> tuple[Float[Array, " m"], MPPIMemory]:
        key, noise_key = jax.random.split(memory.key)
        lower, upper = self.box.bounds(memory.actions)
        shape = (self.samples, self.horizon, self.box.size)
        noise = smooth_noise(noise_key, shape, self.correlation, memory.actions)
        noise = noise.at[0].set(0) * (0.5 * self.noise * (upper - lower))
        sequences = self.box.clip(memory.actions + noise)
        costs = jax.vmap(
            lambda actions: rollout_cost(self.transition, self.cost, state, actions)
        )(sequences)
        finite = jnp.isfinite(costs)
        spread = jnp.std(costs, where=finite)
        scale = self.temperature * jnp.where(spread > 0, spread, 1)
        weights = jax.nn.softmax(jnp.where(finite, -costs / scale, -jnp.inf))
        # If no sequence is finite, keep the mean.
        weights = jnp.where(jnp.any(finite), weights, jnp.zeros_like(weights).at[0].set(1))
        actions = jnp.einsum("s,stm->tm", weights, sequences)
        return actions[0], MPPIMemory(shift(actions), key)
