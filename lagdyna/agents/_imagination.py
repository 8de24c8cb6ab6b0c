from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree, Scalar

from ..learners import apply_gradient
from ..mechanics import State
from ..models import AbstractReward, AbstractTermination, Activation, NoTermination
from ..simulate import AbstractTransition, SampledTransition
from ._doubts import doubts
from ._networks import Critic, Features, Policy
from ._returns import lambda_returns
from ._survival import survival
from ._targets import followed

Limits = tuple[tuple[float, ...], tuple[float, ...]]


class Imagined(NamedTuple):
    """A batch of imagined rollouts.

    **Attributes:** (time leads)

    - `states`: `s_0 .. s_T`, a `State` of shapes `(T + 1, batch, n)`.
    - `actions`: `a_0 .. a_{T-1}`, shape `(T, batch, m)`.
    - `rewards`: `r_0 .. r_{T-1}`, shape `(T, batch)`.
    - `log_probabilities`: of the actions, shape `(T, batch)`.
    - `followed`: whether the model's `s_{t+1}` was a number, shape `(T, batch)`.
    """

    states: State
    actions: Float[Array, "time batch m"]
    rewards: Float[Array, "time batch"]
    log_probabilities: Float[Array, "time batch"]
    followed: Bool[Array, "time batch"]


def imagine(
    policy: Policy,
    transition: AbstractTransition | SampledTransition,
    reward: AbstractReward,
    starts: State,
    noise: Float[Array, "time batch m"],
    termination: AbstractTermination = NoTermination(),
    limits: Limits | None = None,
) -> Imagined:
    """Rollouts of a stochastic policy through a model, differentiable in all of it.

    Where a step of the model is not a number, its rollout stays where it was. On the way back
    through a step, the gradient of a rollout that is not a number counts as 0, and one ten
    times longer than the median of the batch is shortened to that, so it is exact for all but
    a few. What a model of little data cannot follow, or amplifies beyond all bounds, is one
    rollout's trouble and not that of the whole batch.

    **Arguments:**

    - `policy`, `transition`, `reward`: who acts, in what, and for what.
        In a [`lagdyna.simulate.SampledTransition`][] each rollout has a world of its own.
    - `starts`: a `State` of shapes `(batch, n)`.
    - `noise`: standard normal, one vector per action.
    - `termination`: where episodes end. A rollout that is over waits where it ended: a
        model that has seen nothing beyond could take it anywhere, infinity included.
    - `limits`: the largest magnitudes of positions and velocities, each of length `n`, at
        which a state is clipped, for the same reason. None by default.
    """

    def body(state: State, eps: Array) -> tuple[State, tuple[State, Array, Array, Array]]:
        action, log_probability = jax.vmap(policy.sample)(state, eps)
        following = transition.steps(jax.tree.map(_sound, state), _sound(action))
        followed = jnp.all(jnp.isfinite(following.q) & jnp.isfinite(following.qd), axis=-1)
        following = jax.tree.map(partial(jnp.where, followed[:, None]), following, state)
        if limits is not None:
            following = clipped(following, limits)
        if not isinstance(termination, NoTermination):
            over = jax.vmap(termination)(state)[:, None] > _OVER
            following = jax.tree.map(partial(jnp.where, over), state, following)
        return following, (following, action, log_probability, followed)

    _, (following, actions, log_probabilities, followed) = jax.lax.scan(body, starts, noise)
    states = jax.tree.map(
        lambda first, rest: jnp.concatenate([first[None], rest]), starts, following
    )
    # Nothing in the loop waits for the rewards, so they are computed all at once.
    visited = jax.tree.map(lambda x: x[:-1], states)
    rewards = jax.vmap(jax.vmap(reward))(visited, actions, following)
    return Imagined(states, actions, rewards, log_probabilities, followed)


def imagined_return(
    policy: Policy,
    transition: AbstractTransition,
    reward: AbstractReward,
    starts: State,
    actions: int,
    termination: AbstractTermination = NoTermination(),
) -> Scalar:
    """What a policy without noise is paid in a model, as a mean over some starts.

    **Arguments:**

    - `policy`, `transition`, `reward`, `termination`: as for [`lagdyna.agents.imagine`][].
        There are no limits: to be clipped is to gain or lose energy from nowhere.
    - `starts`: a `State` of shapes `(batch, n)`.
    - `actions`: how many from each start; what is paid for them is not discounted, and
        counts by the probability that the episode has got there.

    **Returns:** the mean over the batch of the sums over the actions, in units of the task's
    reward.
    """
    action = eqx.filter_eval_shape(jax.vmap(policy.mode), starts)
    still = jnp.zeros((actions, *action.shape), action.dtype)
    imagined = imagine(policy, transition, reward, starts, still, termination)
    paid = imagined.rewards
    if not isinstance(termination, NoTermination):
        paid = paid * survival(termination, imagined.states, 1.0)[1]
    return jnp.mean(jnp.sum(paid, axis=0))


@jax.custom_vjp
def _sound(x: Float[Array, "batch n"]) -> Float[Array, "batch n"]:
    """The same, with a gradient that no row dominates.

    A row that is not a number counts as 0, one that is ten times longer than is usual in the
    batch, by the median of those that are not 0, is shortened to that: a few rollouts that
    chaos or a bad model amplifies would otherwise decide the sum alone.
    """
    return x


def _sound_forward(x: Array) -> tuple[Array, None]:
    return x, None


def _sound_backward(_: None, gradient: Array) -> tuple[Array]:
    finite = jnp.all(jnp.isfinite(gradient), axis=-1, keepdims=True)
    gradient = jnp.where(finite, gradient, 0)
    # Scaled first, since squares of what is finite may not be.
    largest = jnp.max(jnp.abs(gradient), axis=-1, keepdims=True)
    scale = jnp.where(largest > 0, largest, 1)
    length = scale * jnp.linalg.norm(gradient / scale, axis=-1, keepdims=True)
    usual = jnp.nanmedian(jnp.where(length > 0, length, jnp.nan))
    shortened = gradient * jnp.where(length > 0, jnp.minimum(1, _MOST * usual / length), 1)
    return (shortened,)


# Times what is usual, how long a row of a gradient may be.
_MOST = 10.0

_sound.defvjp(_sound_forward, _sound_backward)


def clipped(state: State, limits: Limits) -> State:
    """States as far as rollouts may go: each position and velocity at its limit if beyond.

    **Arguments:**

    - `state`: of shapes `(..., n)`.
    - `limits`: the largest magnitudes of positions and of velocities, each of length `n`.
    """
    q, qd = (
        jnp.clip(x, -jnp.asarray(limit, x.dtype), jnp.asarray(limit, x.dtype))
        for x, limit in zip(state, limits, strict=True)
    )
    return State(q, qd)


def within(states: State, limits: Limits) -> Bool[Array, "*batch"]:
    """Which states are short of the limits, and numbers.

    **Arguments:** `states`, of shapes `(..., n)`; `limits`, as of [`lagdyna.agents.clipped`][],
    where 0 stands for none, as of a context, which does not move.
    """
    all_of_it = jnp.ones(states.q.shape[:-1], bool)
    for x, limit in zip(states, limits, strict=True):
        limit = jnp.asarray(limit, x.dtype)
        inside = (jnp.abs(x) < limit) | (limit == 0)
        all_of_it &= jnp.all(inside & jnp.isfinite(x), axis=-1)
    return all_of_it


# The probability from which on an end counts as certain.
_OVER = 0.99


class Behaviour(eqx.Module):
    """What an imagination agent has learned, and what it needs to go on learning.

    **Attributes:**

    - `policy`: the actor.
    - `critics`: one or more; the smallest of their estimates is believed.
    - `targets`: slowly following copies of the critics.
    - `policy_state`, `critics_state`: of the optimisers.
    - `going`: where the latest imagined rollouts have come to, a `State` of shapes
        `(batch, n)`; what is not a number is about to begin.
    """

    policy: Policy
    critics: tuple[Critic, ...]
    targets: tuple[Critic, ...]
    policy_state: PyTree
    critics_state: PyTree
    going: State


class ImaginationActorCritic(eqx.Module):
    """Learns to act inside a model, by backpropagation through imagined rollouts.

    The actor climbs the gradient of the lambda-return through policy, transition, reward
    and critic; the critic regresses on the same return (Ramesh & Ravindran 2023, after
    Dreamer, Hafner et al. 2020). Rollouts go on where the last update's came to, so that
    they visit what the policy of the moment visits, far beyond their horizon (as in SHAC,
    Xu et al. 2022); some begin anew. What differs from the papers, and why, is in the docs.

    **Arguments:**

    - `features`: what policy and critics see of a state.
    - `action_size`: `m`.
    - `hidden`, `activation`: of policy and critics.
    - `horizon`: `T`, imagined steps.
    - `restart`: the fraction of the rollouts that begins anew in an update, by chance; 1 is
        all of them.
    - `limits`: the largest magnitudes of positions and velocities, each of length `n`; a
        rollout is clipped there, and begins anew. One that no solver can follow would
        otherwise spoil the updates of all.
    - `discount`, `return_lambda`: of [`lagdyna.agents.lambda_returns`][].
    - `entropy`: what a nat of the policy's entropy is worth, in units of scaled reward.
    - `critics`: how many.
    - `target_rate`: the fraction of the way that targets go to the critics in an update.
    - `policy_optimiser`, `critic_optimiser`: Optax transformations.
    - `pessimism`: how many standard deviations of what a step is worth, its reward and the
        discounted value that follows, are taken off its reward, over the members of a
        [`lagdyna.simulate.SampledTransition`][].
    """

    features: Features
    action_size: int = eqx.field(static=True)
    hidden: tuple[int, ...] = eqx.field(static=True)
    activation: Activation = eqx.field(static=True)
    horizon: int = eqx.field(static=True)
    restart: float = eqx.field(static=True)
    limits: Limits = eqx.field(static=True)
    discount: float = eqx.field(static=True)
    return_lambda: float = eqx.field(static=True)
    entropy: float = eqx.field(static=True)
    critics: int = eqx.field(static=True)
    target_rate: float = eqx.field(static=True)
    policy_optimiser: optax.GradientTransformation = eqx.field(static=True)
    critic_optimiser: optax.GradientTransformation = eqx.field(static=True)
    pessimism: float = eqx.field(static=True, default=0.0)

    def init(self, key: PRNGKeyArray, batch: int) -> Behaviour:
        """Untrained policy and critics, for `batch` imagined rollouts in an update."""
        policy_key, *critic_keys = jax.random.split(key, 1 + self.critics)
        policy = Policy(
            self.features,
            self.action_size,
            hidden=self.hidden,
            activation=self.activation,
            key=policy_key,
        )
        critics = tuple(
            Critic(self.features, hidden=self.hidden, activation=self.activation, key=k)
            for k in critic_keys
        )
        return Behaviour(
            policy,
            critics,
            critics,
            self.policy_optimiser.init(eqx.filter(policy, eqx.is_inexact_array)),
            self.critic_optimiser.init(eqx.filter(critics, eqx.is_inexact_array)),
            State(
                *(
                    jnp.full((batch, self.features.coordinates.n), jnp.nan, float)
                    for _ in range(2)
                )
            ),
        )

    def update(
        self,
        behaviour: Behaviour,
        transition: AbstractTransition | SampledTransition,
        reward: AbstractReward,
        starts: State,
        reward_scale: Scalar,
        *,
        key: PRNGKeyArray,
        termination: AbstractTermination = NoTermination(),
        entropy: Scalar | None = None,
    ) -> tuple[Behaviour, dict[str, Scalar]]:
        """One update of actor and critics on one batch of imagined rollouts.

        **Arguments:**

        - `behaviour`: from `init` or the last update.
        - `transition`, `reward`: the model.
        - `starts`: where the rollouts begin that do begin, a `State` of shapes `(batch, n)`.
        - `reward_scale`: rewards are divided by it, so that values are of order
            `1 / (1 - discount)` whatever the task pays in.
        - `key`: for the policy's noise.
        - `termination`: where episodes end, see [`lagdyna.agents.survival`][].
        - `entropy`: what a nat of entropy is worth now, by default as much as ever.

        **Returns:** the behaviour, and metrics: `actor_loss`, `critic_loss`,
        `imagined_reward`, `entropy`, and `skipped`, how many of the two updates were not
        finite and so were not applied. Where episodes end the means that they are count
        a step by the probability that its rollout has got there.

        **Raises:** `ValueError` if a [`lagdyna.simulate.SampledTransition`][] has members that
        do not divide `batch`, or `pessimism` is asked of any other transition.
        """
        shape = (self.horizon, starts.q.shape[0], self.action_size)
        noise = jax.random.normal(key, shape, starts.q.dtype)
        if self.restart < 1:
            begin_key = jax.random.fold_in(key, 1)
            starts = self._begun(behaviour.going, starts, begin_key, termination)
        worth = self.entropy if entropy is None else entropy

        def actor_loss(policy: Policy) -> tuple[Scalar, tuple[Imagined, Array, Array | None]]:
            imagined = imagine(
                policy, transition, reward, starts, noise, termination, self.limits
            )
            following = jax.tree.map(lambda x: x[1:], imagined.states)
            values = _values(behaviour.targets, following).min(axis=0)
            paid = imagined.rewards / reward_scale
            if self.pessimism:
                paid = paid - self.pessimism * self._doubts(
                    behaviour.targets, transition, reward, imagined, reward_scale, termination
                )
            discount, weights = self.discount, None
            if not isinstance(termination, NoTermination):
                discount, weights = survival(termination, imagined.states, discount)
            returns = lambda_returns(
                paid - worth * imagined.log_probabilities,
                values,
                discount,
                self.return_lambda,
            )
            return -_mean(returns, weights), (imagined, returns, weights)

        (loss, (imagined, returns, weights)), gradient = eqx.filter_value_and_grad(
            actor_loss, has_aux=True
        )(behaviour.policy)
        policy, policy_state, policy_skipped = apply_gradient(
            self.policy_optimiser, behaviour.policy, behaviour.policy_state, gradient
        )

        visited = jax.tree.map(lambda x: x[:-1], imagined.states)

        def critic_loss(critics: tuple[Critic, ...]) -> Scalar:
            errors = jnp.sum((_values(critics, visited) - returns) ** 2, axis=0)
            return 0.5 * _mean(errors, weights)

        critics_loss, gradient = eqx.filter_value_and_grad(critic_loss)(behaviour.critics)
        critics, critics_state, critics_skipped = apply_gradient(
            self.critic_optimiser, behaviour.critics, behaviour.critics_state, gradient
        )
        metrics = {
            "actor_loss": loss,
            "critic_loss": critics_loss,
            "imagined_reward": _mean(imagined.rewards, weights),
            "entropy": -_mean(imagined.log_probabilities, weights),
            "skipped": policy_skipped + critics_skipped,
        }
        targets = followed(behaviour.targets, critics, self.target_rate)
        # What the model could not follow begins anew.
        whole = jnp.all(imagined.followed, axis=0)[:, None]
        going = jax.tree.map(
            lambda x: jnp.where(whole, jax.lax.stop_gradient(x[-1]), jnp.nan),
            imagined.states,
        )
        behaviour = Behaviour(policy, critics, targets, policy_state, critics_state, going)
        return behaviour, metrics

    def _doubts(
        self,
        targets: tuple[Critic, ...],
        transition: AbstractTransition | SampledTransition,
        reward: AbstractReward,
        imagined: Imagined,
        reward_scale: Scalar,
        termination: AbstractTermination,
    ) -> Float[Array, "time batch"]:
        """How far the members of the transition are apart about what each step is worth."""

        def of(states: State, actions: Array) -> Array:
            def worth(following: State) -> Array:
                following = clipped(following, self.limits)
                going = 1 - jax.vmap(termination)(following)
                values = jnp.stack([jax.vmap(critic)(following) for critic in targets])
                paid = jax.vmap(reward)(states, actions, following) / reward_scale
                return paid + self.discount * going * values.min(axis=0)

            return doubts(transition, states, actions, worth)

        visited = jax.tree.map(lambda x: x[:-1], imagined.states)
        return jax.vmap(of)(visited, imagined.actions)

    def _begun(
        self,
        going: State,
        starts: State,
        key: PRNGKeyArray,
        termination: AbstractTermination = NoTermination(),
    ) -> State:
        """Where the next rollouts start: some anew, the others where the last ones are."""
        begin_key, order_key = jax.random.split(key)
        begin = jax.random.bernoulli(begin_key, self.restart, going.q.shape[:1])
        begin |= ~within(going, self.limits)
        if not isinstance(termination, NoTermination):
            begin |= jax.vmap(termination)(going) > 0.5
        # In which order fresh starts come, say replayed ones first, must not decide which
        # rollouts get them.
        order = jax.random.permutation(order_key, going.q.shape[0])
        fresh = jax.tree.map(lambda x: x[order], starts)
        return jax.tree.map(lambda a, b: jnp.where(begin[:, None], a, b), fresh, going)


def _mean(x: Float[Array, "time batch"], weights: Array | None) -> Scalar:
    """The mean; with weights, the weighted one, 0 if they all are."""
    if weights is None:
        return jnp.mean(x)
    return jnp.sum(weights * x) / jnp.maximum(jnp.sum(weights), 1)


def _values(critics: tuple[Critic, ...], states: State) -> Float[Array, "critics time batch"]:
    return jnp.stack([jax.vmap(jax.vmap(critic))(states) for critic in critics])
