"""The actor-critic that learns by backpropagation through imagined rollouts."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree, Scalar

from ..learners import apply_gradient
from ..mechanics import Limits, State
from ..models import AbstractTermination, Activation, NoTermination
from ..simulate import WorldModel
from ._disagreement import disagreement
from ._networks import Critic, Features, Policy
from ._polyak import polyak_average
from ._returns import lambda_returns
from ._rollouts import ImaginedRollouts, imagine
from ._survival import survival


class ActorCritic(eqx.Module):
    """State of an [`lagdyna.agents.ImaginationActorCritic`][].

    **Attributes:**

    - `policy`: the actor.
    - `critics`: one or more; the smallest of their estimates is used.
    - `targets`: Polyak averages of the critics.
    - `policy_state`, `critics_state`: states of the optimisers.
    - `carried_states`: the final states of the last imagined rollouts, from which the next
        ones continue, a `State` of shapes `(batch, n)`. A rollout whose state is not finite
        is reset.
    """

    policy: Policy
    critics: tuple[Critic, ...]
    targets: tuple[Critic, ...]
    policy_state: PyTree
    critics_state: PyTree
    carried_states: State


class ImaginationActorCritic(eqx.Module):
    """Actor-critic that learns by backpropagation through imagined rollouts.

    The actor ascends the gradient of the lambda-return through policy, transition, reward
    and critic; the critic regresses on the same return (Ramesh & Ravindran 2023, after
    Dreamer, Hafner et al. 2020). Rollouts continue from the final states of the last update,
    so they visit the states of the current policy far beyond their horizon (as in SHAC, Xu et
    al. 2022). A fraction of them is reset to new starts.

    **Arguments:**

    - `features`: the input of policy and critics.
    - `action_size`: `m`.
    - `hidden`, `activation`: of policy and critics.
    - `horizon`: `T`, the steps of an imagined rollout.
    - `reset_fraction`: the probability that a rollout is reset in an update; 1 resets all.
    - `limits`: the box that imagined states are clipped to. A rollout that reaches a face is
        reset.
    - `discount`, `return_lambda`: of [`lagdyna.agents.lambda_returns`][].
    - `entropy`: the entropy coefficient, in units of scaled reward per nat.
    - `critics`: the number of critics.
    - `target_rate`: the rate of the Polyak average.
    - `policy_optimiser`, `critic_optimiser`: Optax transformations.
    - `pessimism`: the weight of the disagreement that is subtracted from rewards. The
        disagreement is the standard deviation, over the posterior samples of the dynamics, of
        the reward plus the discounted next value.
    """

    features: Features
    action_size: int = eqx.field(static=True)
    hidden: tuple[int, ...] = eqx.field(static=True)
    activation: Activation = eqx.field(static=True)
    horizon: int = eqx.field(static=True)
    reset_fraction: float = eqx.field(static=True)
    limits: Limits = eqx.field(static=True)
    discount: float = eqx.field(static=True)
    return_lambda: float = eqx.field(static=True)
    entropy: float = eqx.field(static=True)
    critics: int = eqx.field(static=True)
    target_rate: float = eqx.field(static=True)
    policy_optimiser: optax.GradientTransformation = eqx.field(static=True)
    critic_optimiser: optax.GradientTransformation = eqx.field(static=True)
    pessimism: float = eqx.field(static=True, default=0.0)

    def init(self, key: PRNGKeyArray, batch: int) -> ActorCritic:
        """Create an untrained policy and critics, for `batch` imagined rollouts."""
        policy_key, *critic_keys = jax.random.split(key, 1 + self.critics)
        options = {"hidden": self.hidden, "activation": self.activation}
        policy = Policy(self.features, self.action_size, key=policy_key, **options)
        critics = tuple(Critic(self.features, key=k, **options) for k in critic_keys)
        nowhere = jnp.full((batch, self.features.coordinates.n), jnp.nan, float)
        return ActorCritic(
            policy,
            critics,
            critics,
            self.policy_optimiser.init(eqx.filter(policy, eqx.is_inexact_array)),
            self.critic_optimiser.init(eqx.filter(critics, eqx.is_inexact_array)),
            State(nowhere, nowhere),
        )

    def update(
        self,
        state: ActorCritic,
        world: WorldModel,
        starts: State,
        reward_scale: Scalar,
        *,
        key: PRNGKeyArray,
        entropy: Scalar | None = None,
    ) -> tuple[ActorCritic, dict[str, Scalar]]:
        """Update actor and critics once, on one batch of imagined rollouts.

        **Arguments:**

        - `state`: from `init` or the last update.
        - `world`: the model that rollouts are imagined in.
        - `starts`: states for the rollouts that are reset, shapes `(batch, n)`.
        - `reward_scale`: rewards are divided by it, so that values are of order
            `1 / (1 - discount)` for every task.
        - `key`: for the noise of the policy and the resets.
        - `entropy`: the entropy coefficient of this update; by default that of the agent.

        **Returns:** the state, and metrics: `actor_loss`, `critic_loss`, `imagined_reward`
        (unscaled), `entropy` (in nats), and `skipped`, the number of the two gradient steps
        that were not finite and were not applied. Where episodes end, the means are weighted
        as [`lagdyna.agents.survival`][] says.

        **Raises:** `ValueError` if the number of posterior samples does not divide `batch`, or
        `pessimism` is set and the world has fewer than two.
        """
        termination = world.termination
        shape = (self.horizon, starts.q.shape[0], self.action_size)
        noise = jax.random.normal(key, shape, starts.q.dtype)
        if self.reset_fraction < 1:
            reset_key = jax.random.fold_in(key, 1)
            starts = self._reset_rollouts(state.carried_states, starts, reset_key, termination)
        coefficient = self.entropy if entropy is None else entropy

        def actor_loss(
            policy: Policy,
        ) -> tuple[Scalar, tuple[ImaginedRollouts, Array, Array | None]]:
            rollouts = imagine(policy, world, starts, noise, self.limits)
            next_states = jax.tree.map(lambda x: x[1:], rollouts.states)
            values = _values(state.targets, next_states).min(axis=0)
            rewards = rollouts.rewards / reward_scale
            if self.pessimism:
                rewards = rewards - self.pessimism * self._disagreement(
                    state.targets, world, rollouts, reward_scale
                )
            discount, weights = self.discount, None
            if not isinstance(termination, NoTermination):
                discount, weights = survival(termination, rollouts.states, discount)
            returns = lambda_returns(
                rewards - coefficient * rollouts.log_probabilities,
                values,
                discount,
                self.return_lambda,
            )
            return -_mean(returns, weights), (rollouts, returns, weights)

        (loss, (rollouts, returns, weights)), gradient = eqx.filter_value_and_grad(
            actor_loss, has_aux=True
        )(state.policy)
        policy, policy_state, policy_skipped = apply_gradient(
            self.policy_optimiser, state.policy, state.policy_state, gradient
        )

        visited = jax.tree.map(lambda x: x[:-1], rollouts.states)

        def critic_loss(critics: tuple[Critic, ...]) -> Scalar:
            errors = jnp.sum((_values(critics, visited) - returns) ** 2, axis=0)
            return 0.5 * _mean(errors, weights)

        critics_loss, gradient = eqx.filter_value_and_grad(critic_loss)(state.critics)
        critics, critics_state, critics_skipped = apply_gradient(
            self.critic_optimiser, state.critics, state.critics_state, gradient
        )
        metrics = {
            "actor_loss": loss,
            "critic_loss": critics_loss,
            "imagined_reward": _mean(rollouts.rewards, weights),
            "entropy": -_mean(rollouts.log_probabilities, weights),
            "skipped": policy_skipped + critics_skipped,
        }
        targets = polyak_average(state.targets, critics, self.target_rate)
        # A rollout with a step that was not finite is reset in the next update.
        finite = jnp.all(rollouts.is_finite, axis=0)[:, None]
        carried = jax.tree.map(
            lambda x: jnp.where(finite, jax.lax.stop_gradient(x[-1]), jnp.nan),
            rollouts.states,
        )
        state = ActorCritic(policy, critics, targets, policy_state, critics_state, carried)
        return state, metrics

    def _disagreement(
        self,
        targets: tuple[Critic, ...],
        world: WorldModel,
        rollouts: ImaginedRollouts,
        reward_scale: Scalar,
    ) -> Float[Array, "time batch"]:
        """Compute the disagreement of posterior samples about the value of each step."""

        def of_step(states: State, actions: Array) -> Array:
            def value(next_states: State) -> Array:
                next_states = self.limits.clip(next_states)
                alive = 1 - jax.vmap(world.termination)(next_states)
                values = jnp.stack([jax.vmap(critic)(next_states) for critic in targets])
                rewards = world.rewards(states, actions, next_states) / reward_scale
                return rewards + self.discount * alive * values.min(axis=0)

            return disagreement(world.imagined, states, actions, value)

        visited = jax.tree.map(lambda x: x[:-1], rollouts.states)
        return jax.vmap(of_step)(visited, rollouts.actions)

    def _reset_rollouts(
        self,
        carried: State,
        starts: State,
        key: PRNGKeyArray,
        termination: AbstractTermination = NoTermination(),
    ) -> State:
        """Choose where the next rollouts begin: at new starts, or at the carried states."""
        reset_key, order_key = jax.random.split(key)
        reset = jax.random.bernoulli(reset_key, self.reset_fraction, carried.q.shape[:1])
        reset |= ~self.limits.contains(carried)
        if not isinstance(termination, NoTermination):
            reset |= jax.vmap(termination)(carried) > 0.5
        # Starts are ordered by kind; a permutation gives each rollout a start of any kind.
        order = jax.random.permutation(order_key, carried.q.shape[0])
        starts = jax.tree.map(lambda x: x[order], starts)
        return jax.tree.map(lambda a, b: jnp.where(reset[:, None], a, b), starts, carried)


def _mean(x: Float[Array, "time batch"], weights: Array | None) -> Scalar:
    """Compute the mean, weighted where there are weights; 0 if all of them are 0."""
    if weights is None:
        return jnp.mean(x)
    return jnp.sum(weights * x) / jnp.maximum(jnp.sum(weights), 1)


def _values(critics: tuple[Critic, ...], states: State) -> Float[Array, "critics time batch"]:
    return jnp.stack([jax.vmap(jax.vmap(critic))(states) for critic in critics])
