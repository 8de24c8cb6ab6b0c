"""Rollouts of episodes that end."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Scalar

from lagdyna.agents import ActorCritic, imagine, imagined_return, lambda_returns, survival
from lagdyna.mechanics import State
from lagdyna.models import AbstractReward, AbstractTermination, BoundTermination

from ..helpers import close, identical, normals
from .toys import (
    BATCH,
    random_reward,
    randomly_trained,
    small_actor_critic,
    some_starts,
    swing_world,
)

ENDS = BoundTermination((2.0,), 0.1)


class Cliff(AbstractTermination):
    """Ends for certain beyond 2, and nowhere else."""

    def __call__(self, state: State) -> Scalar:
        return jnp.where(jnp.abs(state.q[0]) > 2.0, 1.0, 0.0)


class Bribe(AbstractReward):
    """Another reward, plus `after` beyond the end of an episode."""

    own: AbstractReward
    after: Float[Array, ""]

    def __call__(self, state: State, action: Float[Array, " m"], next_state: State) -> Scalar:
        ended = jnp.abs(state.q[0]) > 2.0
        return self.own(state, action, next_state) + jnp.where(ended, self.after, 0.0)


@eqx.filter_jit
def update(
    termination: AbstractTermination, reward: AbstractReward
) -> tuple[ActorCritic, dict[str, Scalar]]:
    agent = small_actor_critic(critics=1)
    return agent.update(
        randomly_trained(agent),
        swing_world(reward, termination),
        some_starts(),
        jnp.ones(()),
        key=jax.random.key(9),
    )


def test_weights_are_products_of_survival_probabilities(x64: None) -> None:
    states = State(*normals(0, 2, 6, BATCH, 1))
    q, qd = states

    @jax.jit
    def weighted(q: Array) -> tuple[Array, Array, Array]:
        discounts, weights = survival(ENDS, State(q, qd), 0.9)
        return discounts, weights, jax.vmap(jax.vmap(ENDS))(State(q, qd))

    discounts, weights, probabilities = map(np.asarray, weighted(q))
    for i in range(BATCH):
        alive = 1.0
        for t in range(5):
            alive *= 1 - probabilities[t, i]
            close(weights[t, i], alive, 1e-12)
            close(discounts[t, i], 0.9 * (1 - probabilities[t + 1, i]), 1e-12)
    gradient = jax.jit(jax.grad(lambda q: weighted(q)[1].sum()))(q)
    assert not np.any(gradient), "actions must not change the weights of steps"


def test_losses_are_weighted_by_survival(x64: None) -> None:
    agent, reward = small_actor_critic(critics=1), random_reward()
    state = randomly_trained(agent)
    _, metrics = update(ENDS, reward)

    @eqx.filter_jit
    def imagined(policy, world):
        noise = jax.random.normal(jax.random.key(9), (5, BATCH, 1))
        return imagine(policy, world, some_starts(), noise)

    rollouts = imagined(state.policy, swing_world(reward, ENDS))

    @eqx.filter_jit
    def evaluated(state, rollouts):
        ends = jax.vmap(jax.vmap(ENDS))(rollouts.states)
        returns = lambda_returns(
            rollouts.rewards - 0.1 * rollouts.log_probabilities,
            jax.vmap(jax.vmap(state.targets[0]))(
                jax.tree.map(lambda x: x[1:], rollouts.states)
            ),
            0.9 * (1 - ends[1:]),
            0.8,
        )
        visited = jax.tree.map(lambda x: x[:-1], rollouts.states)
        return ends, returns, jax.vmap(jax.vmap(state.critics[0]))(visited) - returns

    ends, returns, errors = map(np.asarray, evaluated(state, rollouts))
    rewards = np.asarray(rollouts.rewards)
    assert 0.05 < np.mean(ends) < 0.95
    weights = np.cumprod(1 - ends, axis=0)[:-1]
    assert weights.sum() > 1
    close(metrics["actor_loss"], -(weights * returns).sum() / weights.sum(), 1e-10)
    close(metrics["critic_loss"], 0.5 * (weights * errors**2).sum() / weights.sum(), 1e-10)
    close(metrics["imagined_reward"], (weights * rewards).sum() / weights.sum(), 1e-10)


def test_rewards_after_the_end_do_not_count(x64: None) -> None:
    honest = update(Cliff(), Bribe(random_reward(), jnp.asarray(0.0)))
    bribed = update(Cliff(), Bribe(random_reward(), jnp.asarray(1e3)))
    identical(honest[0], bribed[0])
    identical(honest[1], bribed[1])
    _, tempted = update(BoundTermination((1e9,)), Bribe(random_reward(), jnp.asarray(1e3)))
    assert tempted["imagined_reward"] > 1, "without an end the reward counts"


def test_a_rollout_stays_where_it_ended(x64: None) -> None:
    policy = randomly_trained(small_actor_critic(critics=1)).policy
    noise, run = normals(3, 4, BATCH, 1), eqx.filter_jit(imagine)
    free = run(policy, swing_world(), some_starts(), noise)
    ending = run(policy, swing_world(termination=Cliff()), some_starts(), noise)
    free_q, q = np.asarray(free.states.q), np.asarray(ending.states.q)
    beyond = np.abs(free_q[..., 0]) > 2.0
    ended = beyond.any(axis=0)
    assert 0 < ended.mean() < 1
    for i in range(BATCH):
        last = beyond[:, i].argmax() if ended[i] else 4
        close(q[: last + 1, i], free_q[: last + 1, i], 1e-12)
        assert np.all(q[last:, i] == q[last, i])


def test_the_imagined_return_is_weighted_by_survival(x64: None) -> None:
    """By a loop over each step of each rollout."""
    policy = randomly_trained(small_actor_critic()).policy
    world, starts = swing_world(termination=ENDS), some_starts()
    found = eqx.filter_jit(imagined_return)(policy, world, starts, 9)

    @eqx.filter_jit
    def step(state: State) -> tuple[Scalar, State, Scalar]:
        action, ends = policy.mode(state), ENDS(state)
        after = jax.tree.map(
            lambda old, new: jnp.where(ends > 0.99, old, new),
            state,
            world.transition.step(state, action),
        )
        return ends, after, world.reward(state, action, after)

    total, alive_to_the_end = 0.0, 0
    for i in range(BATCH):
        state, alive = (
            jax.tree.map(lambda x, i=i: jax.device_put(np.asarray(x)[i]), starts),
            1.0,
        )
        for _ in range(9):
            ends, state, reward = step(state)
            alive *= 1 - float(ends)
            total += alive * float(reward) / BATCH
        alive_to_the_end += alive > 0.5
    assert 0 < alive_to_the_end < BATCH
    close(found, total, 1e-9)
