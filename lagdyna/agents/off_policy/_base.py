"""The interface of off-policy actor-critics, and what they share."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree, Scalar

from ...data import Experience
from ...learners import apply_gradient
from ...mechanics import State
from ...models import Activation, Network
from .._agent import Metrics
from .._networks import AbstractPolicy, Features


class ActionCritic(eqx.Module):
    """Estimate of the discounted return from a state and an action, `Q(s, a)`.

    **Arguments:** as for [`lagdyna.agents.Policy`][].
    """

    network: Network
    features: Features

    def __init__(
        self,
        features: Features,
        action_size: int,
        *,
        hidden: tuple[int, ...],
        activation: Activation,
        key: PRNGKeyArray,
    ):
        self.network = Network(
            features.size + action_size,
            1,
            hidden,
            activation,
            output_scale=0.1,
            linear=False,
            key=key,
        )
        self.features = features

    def __call__(self, state: State, action: Float[Array, " m"]) -> Scalar:
        """Compute the value of an action in a state of shapes `(n,)`, in units of reward."""
        return self.network(jnp.concatenate([self.features(state), action]))[0]


class OffPolicyState(eqx.Module):
    """State of an [`lagdyna.agents.AbstractOffPolicy`][].

    **Attributes:**

    - `policy`: the actor.
    - `critics`: one or more; the smallest of their estimates is used.
    - `targets`: Polyak averages of the critics.
    - `policy_state`, `critics_state`: states of the optimisers.
    - `extra`: what one algorithm adds: the target policy of TD3, the
        [`lagdyna.agents.Temperature`][] of SAC.
    - `updates`: the number of updates so far.
    """

    policy: AbstractPolicy
    critics: tuple[ActionCritic, ...]
    targets: tuple[ActionCritic, ...]
    policy_state: PyTree
    critics_state: PyTree
    extra: PyTree
    updates: Int[Array, ""]

    def replace(self, **changes: Any) -> "OffPolicyState":
        """Return a copy with some attributes changed."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return OffPolicyState(**{**fields, **changes})


class AbstractOffPolicy(eqx.Module):
    """Actor-critic that learns from batches of transitions, real or imagined.

    Critics reduce the temporal-difference error, and the actor ascends their gradient (Das et
    al. 2026, eqs. 17-20; Silver et al. 2014).

    To write a variant, subclass this class and implement `init_policy` and `update`; override
    `init_extra` if the variant keeps more state. Use `update_critics` for the critics, and
    [`lagdyna.agents.action_values`][], [`lagdyna.agents.polyak_average`][] and
    [`lagdyna.learners.apply_gradient`][] for the rest. A subclass may add fields.

    **Arguments:**

    - `features`: the input of policy and critics.
    - `action_size`: `m`.
    - `hidden`, `activation`: of policy and critics.
    - `critics`: the number of critics; the smallest estimate is used (Fujimoto et al. 2018).
    - `discount`: of the return.
    - `target_rate`: the rate of the Polyak average.
    - `optimiser`: an Optax transformation, for policy and critics.
    """

    features: Features
    action_size: int = eqx.field(static=True)
    hidden: tuple[int, ...] = eqx.field(static=True)
    activation: Activation = eqx.field(static=True)
    critics: int = eqx.field(static=True)
    discount: float = eqx.field(static=True)
    target_rate: float = eqx.field(static=True)
    optimiser: optax.GradientTransformation = eqx.field(static=True)

    @abc.abstractmethod
    def init_policy(self, key: PRNGKeyArray) -> AbstractPolicy:
        """Create an untrained actor."""

    def init_extra(self, policy: AbstractPolicy) -> PyTree:
        """Create the state that this algorithm adds. The default adds none.

        **Arguments:** `policy`, the untrained actor.
        """
        del policy
        return ()

    @abc.abstractmethod
    def update(
        self, state: OffPolicyState, batch: Experience, key: PRNGKeyArray
    ) -> tuple[OffPolicyState, Metrics]:
        """Update actor and critics once.

        **Arguments:**

        - `state`: from `init` or the last update.
        - `batch`: transitions, leading axis `batch`.
        - `key`: for random draws.

        **Returns:** the state, and metrics: `critic_loss`; `value`, the mean estimate; and
        `skipped`, the number of gradient steps that were not finite and were not applied. SAC
        adds `entropy`, in nats.
        """

    def init(self, key: PRNGKeyArray) -> OffPolicyState:
        """Create an untrained policy and critics."""
        policy_key, *critic_keys = jax.random.split(key, 1 + self.critics)
        policy = self.init_policy(policy_key)
        options = {"hidden": self.hidden, "activation": self.activation}
        critics = tuple(
            ActionCritic(self.features, self.action_size, key=k, **options) for k in critic_keys
        )
        return OffPolicyState(
            policy=policy,
            critics=critics,
            targets=critics,
            policy_state=self.optimiser.init(eqx.filter(policy, eqx.is_inexact_array)),
            critics_state=self.optimiser.init(eqx.filter(critics, eqx.is_inexact_array)),
            extra=self.init_extra(policy),
            updates=jnp.zeros((), int),
        )

    def values(self, state: OffPolicyState, states: State) -> Float[Array, " batch"]:
        """Estimate the values of states, shapes `(batch, n)`, under the policy's mode."""
        actions = jax.vmap(state.policy.mode)(states)
        return action_values(state.targets, states, actions).min(axis=0)

    def update_critics(
        self, state: OffPolicyState, batch: Experience, next_values: Float[Array, " batch"]
    ) -> tuple[OffPolicyState, Metrics]:
        """Update the critics once towards `r + gamma V(s')`, and count the update.

        The value after a terminated step counts as 0 (Das et al. 2026, eqs. 19, 20).

        **Arguments:**

        - `state`: from `init` or the last update.
        - `batch`: transitions, leading axis `batch`.
        - `next_values`: `V(s')` of the batch, from the target critics.

        **Returns:** the state, and metrics `critic_loss`, `value` and `skipped`.
        """
        targets = batch.reward + self.discount * jnp.where(batch.terminated, 0, next_values)

        def loss(critics: tuple[ActionCritic, ...]) -> tuple[Scalar, Array]:
            values = action_values(critics, batch.state, batch.action)
            return jnp.sum(jnp.mean((values - targets) ** 2, axis=1)), values

        (lost, values), gradient = eqx.filter_value_and_grad(loss, has_aux=True)(state.critics)
        critics, critics_state, skipped = apply_gradient(
            self.optimiser, state.critics, state.critics_state, gradient
        )
        state = state.replace(
            critics=critics, critics_state=critics_state, updates=state.updates + 1
        )
        metrics = {"critic_loss": lost, "value": jnp.mean(values), "skipped": skipped}
        return state, metrics


def action_values(
    critics: tuple[ActionCritic, ...], states: State, actions: Float[Array, "batch m"]
) -> Float[Array, "critics batch"]:
    """Compute the estimates of each critic for a batch of states and actions."""
    return jnp.stack([jax.vmap(critic)(states, actions) for critic in critics])
