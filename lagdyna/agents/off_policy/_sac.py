import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray, PyTree, Scalar

from ...data import Experience
from ...learners import apply_gradient
from .._agent import Metrics
from .._networks import AbstractPolicy, Policy
from .._polyak import polyak_average
from ._base import AbstractOffPolicy, OffPolicyState, action_values


class Temperature(eqx.Module):
    """Learned entropy coefficient of SAC.

    **Attributes:**

    - `logarithm`: of the coefficient, in units of reward per nat.
    - `state`: of its optimiser.
    """

    logarithm: Scalar
    state: PyTree


class SAC(AbstractOffPolicy):
    """Soft actor-critic with a learned temperature.

    The temperature keeps the entropy of the policy near `-m` nats (Haarnoja et al. 2018, "Soft
    actor-critic algorithms and applications"). `extra` is the
    [`lagdyna.agents.Temperature`][], which the same optimiser learns.

    **Arguments:** those of [`lagdyna.agents.AbstractOffPolicy`][].
    """

    def init_policy(self, key: PRNGKeyArray) -> AbstractPolicy:
        return Policy(
            self.features,
            self.action_size,
            hidden=self.hidden,
            activation=self.activation,
            key=key,
        )

    def init_extra(self, policy: AbstractPolicy) -> Temperature:
        """Start at a temperature of 1."""
        del policy
        logarithm = jnp.zeros(())
        return Temperature(logarithm, self.optimiser.init(logarithm))

    def update(
        self, state: OffPolicyState, batch: Experience, key: PRNGKeyArray
    ) -> tuple[OffPolicyState, Metrics]:
        shape = (2, *batch.action.shape)
        eps, next_eps = jax.random.normal(key, shape, batch.action.dtype)
        temperature = jnp.exp(state.extra.logarithm)
        actions, log_probability = jax.vmap(state.policy.sample)(batch.next_state, next_eps)
        next_values = action_values(state.targets, batch.next_state, actions).min(axis=0)
        next_values = next_values - temperature * log_probability
        state, metrics = self.update_critics(state, batch, next_values)

        def loss(policy: AbstractPolicy) -> tuple[Scalar, Scalar]:
            actions, log_probability = jax.vmap(policy.sample)(batch.state, eps)
            values = action_values(state.critics, batch.state, actions).min(axis=0)
            return jnp.mean(temperature * log_probability - values), -jnp.mean(log_probability)

        (_, entropy), gradient = eqx.filter_value_and_grad(loss, has_aux=True)(state.policy)
        policy, policy_state, policy_skipped = apply_gradient(
            self.optimiser, state.policy, state.policy_state, gradient
        )
        # The gradient of log(temperature) (entropy - target), as in the authors' code.
        logarithm, temperature_state, temperature_skipped = apply_gradient(
            self.optimiser,
            state.extra.logarithm,
            state.extra.state,
            entropy + self.action_size,
        )
        state = state.replace(
            policy=policy,
            policy_state=policy_state,
            targets=polyak_average(state.targets, state.critics, self.target_rate),
            extra=Temperature(logarithm, temperature_state),
        )
        metrics["entropy"] = entropy
        metrics["skipped"] += policy_skipped + temperature_skipped
        return state, metrics
