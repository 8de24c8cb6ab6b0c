"""Episodes that end: what an agent makes of it in imagination."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Scalar

from lagdyna.agents import imagine, imagined_return, lambda_returns, survival
from lagdyna.mechanics import State
from lagdyna.models import AbstractReward, AbstractTermination, BoundTermination

from ..helpers import close, identical, normals
from .test_imagination import (
    BATCH,
    a_reward,
    a_transition,
    an_agent,
    learned,
    some_starts,
)

ENDS = BoundTermination((2.0,), 0.1)


class Cliff(AbstractTermination):
    """Ends for certain beyond 2, and nowhere else."""

    def __call__(self, state: State) -> Scalar:
        return jnp.where(jnp.abs(state.q[0]) > 2.0, 1.0, 0.0)


class Bribe(AbstractReward):
    """Pays `own`, and whatever it is for going on from where episodes are over."""

    own: AbstractReward
    after: Float[Array, ""]

    def __call__(self, state: State, action: Float[Array, " m"], next_state: State) -> Scalar:
        over = jnp.abs(state.q[0]) > 2.0
        return self.own(state, action, next_state) + jnp.where(over, self.after, 0.0)


@eqx.filter_jit
def update(termination: AbstractTermination, reward: AbstractReward):
    agent = an_agent(critics=1)
    return agent.update(
        learned(agent),
        a_transition(),
        reward,
        some_starts(),
        jnp.ones(()),
        key=jax.random.key(9),
        termination=termination,
    )


def test_the_chance_to_be_alive_is_what_is_left_after_every_state(x64: None) -> None:
    states = State(*normals(0, 2, 6, BATCH, 1))
    discounts, weights = survival(ENDS, states, 0.9)
    for i in range(BATCH):
        alive = 1.0
        for t in range(5):
            alive *= 1 - float(ENDS(State(states.q[t, i], states.qd[t, i])))
            following = float(ENDS(State(states.q[t + 1, i], states.qd[t + 1, i])))
            close(weights[t, i], alive, 1e-12)
            close(discounts[t, i], 0.9 * (1 - following), 1e-12)
    gradient = jax.grad(lambda q: survival(ENDS, State(q, states.qd), 0.9)[1].sum())(states.q)
    assert not np.any(gradient), "an agent may not make steps count by what it does"


def test_losses_are_weighted_by_the_chance_to_be_alive(x64: None) -> None:
    agent, reward = an_agent(critics=1), a_reward()
    behaviour = learned(agent)
    _, metrics = update(ENDS, reward)
    noise = jax.random.normal(jax.random.key(9), (5, BATCH, 1))
    imagined = eqx.filter_jit(imagine)(
        behaviour.policy, a_transition(), reward, some_starts(), noise, ENDS
    )
    ends = jax.vmap(jax.vmap(ENDS))(imagined.states)
    assert 0.05 < np.mean(ends) < 0.95
    weights = np.cumprod(1 - np.asarray(ends), axis=0)[:-1]
    following = State(imagined.states.q[1:], imagined.states.qd[1:])
    returns = lambda_returns(
        imagined.rewards - 0.1 * imagined.log_probabilities,
        jax.vmap(jax.vmap(behaviour.targets[0]))(following),
        0.9 * (1 - ends[1:]),
        0.8,
    )
    visited = State(imagined.states.q[:-1], imagined.states.qd[:-1])
    errors = jax.vmap(jax.vmap(behaviour.critics[0]))(visited) - returns
    assert weights.sum() > 1
    close(metrics["actor_loss"], -(weights * returns).sum() / weights.sum(), 1e-10)
    close(metrics["critic_loss"], 0.5 * (weights * errors**2).sum() / weights.sum(), 1e-10)
    close(metrics["imagined_reward"], (weights * imagined.rewards).sum() / weights.sum(), 1e-10)


def test_what_is_paid_after_the_end_does_not_count(x64: None) -> None:
    honest = update(Cliff(), Bribe(a_reward(), jnp.asarray(0.0)))
    bribed = update(Cliff(), Bribe(a_reward(), jnp.asarray(1e3)))
    identical(honest[0], bribed[0])
    identical(honest[1], bribed[1])
    _, tempted = update(BoundTermination((1e9,)), Bribe(a_reward(), jnp.asarray(1e3)))
    assert tempted["imagined_reward"] > 1, "the bribe is there to be had"


def test_a_rollout_waits_where_it_ended(x64: None) -> None:
    """Until then it goes as it would have gone."""
    policy, noise = learned(an_agent(critics=1)).policy, normals(3, 4, BATCH, 1)
    run = eqx.filter_jit(imagine)
    free = run(policy, a_transition(), a_reward(), some_starts(), noise)
    held = run(policy, a_transition(), a_reward(), some_starts(), noise, Cliff())
    over = np.abs(np.asarray(free.states.q[..., 0])) > 2.0
    ended = over.any(axis=0)
    assert 0 < ended.mean() < 1
    for i in range(BATCH):
        last = over[:, i].argmax() if ended[i] else 4
        close(held.states.q[: last + 1, i], free.states.q[: last + 1, i], 1e-12)
        assert np.all(held.states.q[last:, i] == held.states.q[last, i])


def test_what_an_episode_is_imagined_to_pay_ends_with_it(x64: None) -> None:
    """By a loop over each step of each rollout, counted by the chance to get there."""
    policy, transition, reward = learned(an_agent()).policy, a_transition(), a_reward()
    starts = some_starts()
    found = eqx.filter_jit(imagined_return)(policy, transition, reward, starts, 9, ENDS)
    total, alive_to_the_end = 0.0, 0
    for i in range(BATCH):
        state, alive = State(starts.q[i], starts.qd[i]), 1.0
        for _ in range(9):
            alive *= 1 - float(ENDS(state))
            action = policy.mode(state)
            over = float(ENDS(state)) > 0.99  # it waits, and counts for next to nothing
            following = state if over else transition.step(state, action)
            total += alive * float(reward(state, action, following)) / BATCH
            state = following
        alive_to_the_end += alive > 0.5
    assert 0 < alive_to_the_end < BATCH
    close(found, total, 1e-9)
