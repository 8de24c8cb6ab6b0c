import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, PyTree, Scalar

from ...data import Experience
from ...learners import apply_gradient
from .._agent import Metrics
from .._networks import AbstractPolicy, NoisyPolicy
from .._polyak import polyak_average
from ._base import AbstractOffPolicy, OffPolicyState, action_values


class TD3(AbstractOffPolicy):
    """Twin delayed deep deterministic policy gradient (TD3).

    Deterministic policy gradient with twin critics, smoothed target actions, and less frequent
    updates of the actor (Fujimoto et al. 2018, "Addressing function approximation error in
    actor-critic methods"). `extra` is the target policy.

    **Arguments:** those of [`lagdyna.agents.AbstractOffPolicy`][], and

    - `noise`: the standard deviation of exploration noise.
    - `target_noise`, `target_clip`: the standard deviation and the largest magnitude of the
        noise of target actions.
    - `delay`: critic updates per update of the actor and of all targets.
    """

    noise: float = eqx.field(static=True, default=0.1)
    target_noise: float = eqx.field(static=True, default=0.2)
    target_clip: float = eqx.field(static=True, default=0.5)
    delay: int = eqx.field(static=True, default=2)

    def init_policy(self, key: PRNGKeyArray) -> AbstractPolicy:
        return NoisyPolicy(
            self.features,
            self.action_size,
            hidden=self.hidden,
            activation=self.activation,
            noise=self.noise,
            key=key,
        )

    def init_extra(self, policy: AbstractPolicy) -> AbstractPolicy:
        """Start the target policy at the actor."""
        return policy

    def update(
        self, state: OffPolicyState, batch: Experience, key: PRNGKeyArray
    ) -> tuple[OffPolicyState, Metrics]:
        target_policy: AbstractPolicy = state.extra
        noise = jax.random.normal(key, batch.action.shape, batch.action.dtype)
        noise = jnp.clip(self.target_noise * noise, -self.target_clip, self.target_clip)
        smoothed = jnp.clip(jax.vmap(target_policy.mode)(batch.next_state) + noise, -1, 1)
        next_values = action_values(state.targets, batch.next_state, smoothed).min(axis=0)
        state, metrics = self.update_critics(state, batch, next_values)
        # `cond` takes arrays only.
        arrays, rest = eqx.partition(state, eqx.is_array)

        def act(arrays: PyTree) -> tuple[PyTree, Array]:
            after, skipped = self._update_policy(eqx.combine(arrays, rest), batch)
            return eqx.filter(after, eqx.is_array), skipped

        arrays, skipped = jax.lax.cond(
            state.updates % self.delay == 0,
            act,
            lambda arrays: (arrays, jnp.zeros_like(metrics["skipped"])),
            arrays,
        )
        metrics["skipped"] += skipped
        return eqx.combine(arrays, rest), metrics

    def _update_policy(
        self, state: OffPolicyState, batch: Experience
    ) -> tuple[OffPolicyState, Scalar]:
        """Update the actor by the first critic, and all targets."""

        def loss(policy: AbstractPolicy) -> Scalar:
            actions = jax.vmap(policy.mode)(batch.state)
            return -jnp.mean(action_values(state.critics[:1], batch.state, actions))

        gradient = eqx.filter_grad(loss)(state.policy)
        policy, policy_state, skipped = apply_gradient(
            self.optimiser, state.policy, state.policy_state, gradient
        )
        state = state.replace(
            policy=policy,
            policy_state=policy_state,
            extra=polyak_average(state.extra, policy, self.target_rate),
            targets=polyak_average(state.targets, state.critics, self.target_rate),
        )
        return state, skipped
