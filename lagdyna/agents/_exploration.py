import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt

from ..mechanics import State
from ._agent import Purpose, run_key
from ._networks import AbstractPolicy


class Exploration(eqx.Module):
    """Exploration strategy: random actions first, then the policy's with its noise.

    After the first steps, a fraction of the stretches of ten actions stays random. A policy
    that holds a system still would otherwise show its model the same state over and over.

    **Arguments:**

    - `random_steps`: environment steps with random actions at the start of a run.
    - `hold`: the number of actions for which each of those stays the same.
    - `random_fraction`: the fraction of later stretches that is random. Their actions stay
        the same for five actions each.
    - `action_size`: `m`.
    """

    random_steps: int = eqx.field(static=True)
    hold: int = eqx.field(static=True)
    random_fraction: float = eqx.field(static=True)
    action_size: int = eqx.field(static=True)

    def __check_init__(self):
        if self.random_steps < 0 or self.hold < 1 or not 0 <= self.random_fraction <= 1:
            raise ValueError(
                "`random_steps` must not be negative, `hold` at least 1 and `random_fraction` "
                f"from 0 to 1, got {self.random_steps}, {self.hold} and {self.random_fraction}"
            )

    def action(
        self,
        policy: AbstractPolicy,
        state: State,
        *,
        seed: UInt[Array, ""],
        phases: Int[Array, ""],
        actions: Int[Array, ""],
        env_steps: Int[Array, ""],
        seeks_new: Bool[Array, ""] | None = None,
    ) -> Float[Array, " m"]:
        """Draw an exploratory action, in `[-1, 1]^m`.

        **Arguments:**

        - `policy`: the acting policy.
        - `state`: of shapes `(n,)`.
        - `seed`: the seed of the run.
        - `phases`, `actions`, `env_steps`: the numbers of training phases, actions and
            environment steps so far.
        - `seeks_new`: whether the policy is rewarded for new states. Random stretches are off
            while it is: they interrupt a swing-up by a weak motor.
        """
        shape = (self.action_size,)
        held_key = jax.random.fold_in(
            run_key(seed, Purpose.RANDOM_ACTION, jnp.zeros((), int)), actions // self.hold
        )
        held = jax.random.uniform(held_key, shape, minval=-1.0, maxval=1.0)
        noise_key = jax.random.fold_in(run_key(seed, Purpose.NOISE, phases), actions)
        action, _ = policy.sample(state, jax.random.normal(noise_key, shape))
        if self.random_fraction:
            stretch_key = run_key(seed, Purpose.STRETCH, actions // _STRETCH)
            is_random = jax.random.bernoulli(stretch_key, self.random_fraction)
            if seeks_new is not None:
                is_random &= ~seeks_new
            kick_key = run_key(seed, Purpose.KICK, actions // _KICK)
            kick = jax.random.uniform(kick_key, shape, minval=-1.0, maxval=1.0)
            action = jnp.where(is_random, kick, action)
        return jnp.where(env_steps < self.random_steps, held, action)


# Actions of a stretch, and how many of them are the same: enough to push a system that is held
# still out of its place.
_STRETCH, _KICK = 10, 5
