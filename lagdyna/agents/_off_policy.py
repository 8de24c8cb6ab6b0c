"""Actor-critics that learn from single transitions, whoever made them."""

import abc
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree, Scalar

from ..data import Experience
from ..learners import apply_gradient
from ..mechanics import State
from ..models import Activation, Network
from ._networks import AbstractPolicy, Features, NoisyPolicy, Policy
from ._targets import followed


class ActionCritic(eqx.Module):
    """An estimate of the discounted return from a state and an action, `Q(s, a)`.

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
        return self.network(jnp.concatenate([self.features(state), action]))[0]


class ActorCritic(NamedTuple):
    """What an off-policy agent has learned, and what it needs to go on learning.

    **Attributes:**

    - `policy`: the actor, with its noise.
    - `critics`: one or more; the smallest of their estimates is believed.
    - `targets`: slowly following copies of them.
    - `target_policy`: one of the actor, of TD3 only; of soft agents nothing changes it.
    - `policy_state`, `critics_state`: of the optimisers.
    - `log_temperature`, `temperature_state`: what a nat of entropy is worth, as a logarithm,
        and its optimiser's; of soft agents only, nothing else changes them.
    - `updates`: how many there have been.
    """

    policy: AbstractPolicy
    critics: tuple[ActionCritic, ...]
    target_policy: AbstractPolicy
    targets: tuple[ActionCritic, ...]
    policy_state: PyTree
    critics_state: PyTree
    log_temperature: Scalar
    temperature_state: PyTree
    updates: Int[Array, ""]


class AbstractOffPolicy(eqx.Module):
    """Learns to act from a batch of transitions, real or imagined: critics by their
    temporal-difference error, the actor by the critics' gradient (Das et al. 2026, eqs.
    17-20; Silver et al. 2014).

    **Arguments:**

    - `features`: what policy and critics see of a state.
    - `action_size`: `m`.
    - `hidden`, `activation`: of policy and critics.
    - `critics`: how many; the smallest estimate is believed (Fujimoto et al. 2018).
    - `discount`: of the return.
    - `target_rate`: the fraction of the way that targets go in an update.
    - `optimiser`: an Optax transformation, of policy, critics and temperature.
    """

    features: eqx.AbstractVar[Features]
    action_size: eqx.AbstractVar[int]
    hidden: eqx.AbstractVar[tuple[int, ...]]
    activation: eqx.AbstractVar[Activation]
    critics: eqx.AbstractVar[int]
    discount: eqx.AbstractVar[float]
    target_rate: eqx.AbstractVar[float]
    optimiser: eqx.AbstractVar[optax.GradientTransformation]

    @abc.abstractmethod
    def first_policy(self, key: PRNGKeyArray) -> AbstractPolicy:
        """An untrained actor."""

    @abc.abstractmethod
    def update(
        self, learned: ActorCritic, batch: Experience, key: PRNGKeyArray
    ) -> tuple[ActorCritic, dict[str, Scalar]]:
        """One update from a batch of transitions, leading axis `batch`.

        **Returns:** what has been learned then, and metrics: `critic_loss`; `value`, the mean
        estimate; `entropy`, the policy's, of soft agents; and `skipped`, how many of the
        updates were not finite and so were not applied.
        """

    def init(self, key: PRNGKeyArray) -> ActorCritic:
        """Untrained policy and critics."""
        policy_key, *critic_keys = jax.random.split(key, 1 + self.critics)
        policy = self.first_policy(policy_key)
        options = {"hidden": self.hidden, "activation": self.activation}
        critics = tuple(
            ActionCritic(self.features, self.action_size, key=k, **options) for k in critic_keys
        )
        log_temperature = jnp.zeros(())
        return ActorCritic(
            policy,
            critics,
            policy,
            critics,
            self.optimiser.init(eqx.filter(policy, eqx.is_inexact_array)),
            self.optimiser.init(eqx.filter(critics, eqx.is_inexact_array)),
            log_temperature,
            self.optimiser.init(log_temperature),
            jnp.zeros((), int),
        )

    def values(self, learned: ActorCritic, states: State) -> Float[Array, " batch"]:
        """What a batch of states is believed to be worth under the policy without noise."""
        actions = jax.vmap(learned.policy.mode)(states)
        return _values(learned.targets, states, actions).min(axis=0)

    def _criticised(
        self, learned: ActorCritic, batch: Experience, following: Float[Array, " batch"]
    ) -> tuple[ActorCritic, dict[str, Scalar]]:
        """One update of the critics towards `r + gamma` times the value that follows.

        Where the environment ended for good nothing follows (Das et al. 2026, eqs. 19, 20).
        """
        wanted = batch.reward + self.discount * jnp.where(batch.terminated, 0, following)

        def loss(critics: tuple[ActionCritic, ...]) -> tuple[Scalar, Array]:
            values = _values(critics, batch.state, batch.action)
            return jnp.sum(jnp.mean((values - wanted) ** 2, axis=1)), values

        (lost, values), gradient = eqx.filter_value_and_grad(loss, has_aux=True)(
            learned.critics
        )
        critics, state, skipped = apply_gradient(
            self.optimiser, learned.critics, learned.critics_state, gradient
        )
        learned = learned._replace(
            critics=critics, critics_state=state, updates=learned.updates + 1
        )
        return learned, {
            "critic_loss": lost,
            "value": jnp.mean(values),
            "skipped": skipped,
        }


class TD3(AbstractOffPolicy):
    """Deterministic policy gradient with twin critics, smoothed target actions, and an actor
    that is updated less often (Fujimoto et al. 2018, "Addressing function approximation error
    in actor-critic methods").

    **Arguments:** those of [`lagdyna.agents.AbstractOffPolicy`][], and

    - `noise`: standard deviation of the noise of actions in the environment.
    - `target_noise`, `target_clip`: of the noise of target actions, and its largest size.
    - `delay`: critic updates for each update of the actor and of all targets.
    """

    features: Features
    action_size: int = eqx.field(static=True)
    hidden: tuple[int, ...] = eqx.field(static=True)
    activation: Activation = eqx.field(static=True)
    critics: int = eqx.field(static=True)
    discount: float = eqx.field(static=True)
    target_rate: float = eqx.field(static=True)
    optimiser: optax.GradientTransformation = eqx.field(static=True)
    noise: float = eqx.field(static=True, default=0.1)
    target_noise: float = eqx.field(static=True, default=0.2)
    target_clip: float = eqx.field(static=True, default=0.5)
    delay: int = eqx.field(static=True, default=2)

    def first_policy(self, key: PRNGKeyArray) -> AbstractPolicy:
        return NoisyPolicy(
            self.features,
            self.action_size,
            hidden=self.hidden,
            activation=self.activation,
            noise=self.noise,
            key=key,
        )

    def update(
        self, learned: ActorCritic, batch: Experience, key: PRNGKeyArray
    ) -> tuple[ActorCritic, dict[str, Scalar]]:
        noise = jax.random.normal(key, batch.action.shape, batch.action.dtype)
        noise = jnp.clip(self.target_noise * noise, -self.target_clip, self.target_clip)
        smoothed = jnp.clip(
            jax.vmap(learned.target_policy.mode)(batch.next_state) + noise, -1, 1
        )
        following = _values(learned.targets, batch.next_state, smoothed).min(axis=0)
        learned, metrics = self._criticised(learned, batch, following)

        def act(learned: ActorCritic) -> tuple[ActorCritic, Array]:
            def loss(policy: AbstractPolicy) -> Scalar:
                actions = jax.vmap(policy.mode)(batch.state)
                return -jnp.mean(_values(learned.critics[:1], batch.state, actions))

            gradient = eqx.filter_grad(loss)(learned.policy)
            policy, state, skipped = apply_gradient(
                self.optimiser, learned.policy, learned.policy_state, gradient
            )
            return learned._replace(
                policy=policy,
                policy_state=state,
                target_policy=followed(learned.target_policy, policy, self.target_rate),
                targets=followed(learned.targets, learned.critics, self.target_rate),
            ), skipped

        arrays, rest = eqx.partition(learned, eqx.is_array)

        def acted(arrays: PyTree) -> tuple[PyTree, Array]:
            after, skipped = act(eqx.combine(arrays, rest))
            return eqx.filter(after, eqx.is_array), skipped

        arrays, skipped = jax.lax.cond(
            learned.updates % self.delay == 0,
            acted,
            lambda arrays: (arrays, jnp.zeros_like(metrics["skipped"])),
            arrays,
        )
        metrics["skipped"] += skipped
        return eqx.combine(arrays, rest), metrics


class SAC(AbstractOffPolicy):
    """Soft actor-critic with a temperature that keeps the policy's entropy at minus the number
    of actions (Haarnoja et al. 2018, "Soft actor-critic algorithms and applications").

    **Arguments:** those of [`lagdyna.agents.AbstractOffPolicy`][].
    """

    features: Features
    action_size: int = eqx.field(static=True)
    hidden: tuple[int, ...] = eqx.field(static=True)
    activation: Activation = eqx.field(static=True)
    critics: int = eqx.field(static=True)
    discount: float = eqx.field(static=True)
    target_rate: float = eqx.field(static=True)
    optimiser: optax.GradientTransformation = eqx.field(static=True)

    def first_policy(self, key: PRNGKeyArray) -> AbstractPolicy:
        return Policy(
            self.features,
            self.action_size,
            hidden=self.hidden,
            activation=self.activation,
            key=key,
        )

    def update(
        self, learned: ActorCritic, batch: Experience, key: PRNGKeyArray
    ) -> tuple[ActorCritic, dict[str, Scalar]]:
        shape = (2, *batch.action.shape)
        eps, next_eps = jax.random.normal(key, shape, batch.action.dtype)
        temperature = jnp.exp(learned.log_temperature)
        actions, log_probability = jax.vmap(learned.policy.sample)(batch.next_state, next_eps)
        following = _values(learned.targets, batch.next_state, actions).min(axis=0)
        following = following - temperature * log_probability
        learned, metrics = self._criticised(learned, batch, following)

        def loss(policy: AbstractPolicy) -> tuple[Scalar, Scalar]:
            actions, log_probability = jax.vmap(policy.sample)(batch.state, eps)
            values = _values(learned.critics, batch.state, actions).min(axis=0)
            return jnp.mean(temperature * log_probability - values), -jnp.mean(log_probability)

        (_, entropy), gradient = eqx.filter_value_and_grad(loss, has_aux=True)(learned.policy)
        policy, policy_state, policy_skipped = apply_gradient(
            self.optimiser, learned.policy, learned.policy_state, gradient
        )
        # The gradient of log(temperature) (entropy - target), as in the authors' code.
        log_temperature, temperature_state, temperature_skipped = apply_gradient(
            self.optimiser,
            learned.log_temperature,
            learned.temperature_state,
            entropy + self.action_size,
        )
        learned = learned._replace(
            policy=policy,
            policy_state=policy_state,
            targets=followed(learned.targets, learned.critics, self.target_rate),
            log_temperature=log_temperature,
            temperature_state=temperature_state,
        )
        metrics["entropy"] = entropy
        metrics["skipped"] += policy_skipped + temperature_skipped
        return learned, metrics


def _values(
    critics: tuple[ActionCritic, ...], states: State, actions: Float[Array, "batch m"]
) -> Float[Array, "critics batch"]:
    return jnp.stack([jax.vmap(critic)(states, actions) for critic in critics])
