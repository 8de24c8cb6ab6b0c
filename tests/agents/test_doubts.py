"""Rollouts in samples of what is left open of a model, and pessimism about what they say."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jaxtyping import Array, Float, Scalar

from lagdyna.agents import (
    TD3,
    Dyna,
    Features,
    ImaginationActorCritic,
    imagine,
    uniform_states,
)
from lagdyna.agents._doubts import doubts
from lagdyna.data import Experience
from lagdyna.mechanics import State
from lagdyna.models import BoundTermination, GivenReward
from lagdyna.simulate import AbstractTransition, SampledTransition

from ..helpers import PENDULUM, close, normals, randomised
from .test_imagination import Swing

STRENGTHS = (0.0, 3.0, 10.0)
BATCH, HORIZON = 6, 4
FEATURES = Features(PENDULUM, (4.0,))
LIMITS = ((10.0,), (100.0,))
REWARD = GivenReward(lambda state, action, following: -(following.qd[0] ** 2) - action[0])


def sampled(strengths: tuple[float, ...] = STRENGTHS) -> SampledTransition:
    return SampledTransition(Swing(PENDULUM, jnp.asarray(strengths)))


def starts() -> State:
    return uniform_states(jax.random.key(0), BATCH, (3.0,), (4.0,))


def an_agent(pessimism: float) -> ImaginationActorCritic:
    return ImaginationActorCritic(
        features=FEATURES,
        action_size=1,
        hidden=(6,),
        activation=jnp.tanh,
        horizon=HORIZON,
        restart=1.0,
        limits=LIMITS,
        discount=0.9,
        return_lambda=0.8,
        entropy=0.0,
        critics=2,
        target_rate=0.25,
        policy_optimiser=optax.sgd(1.0),
        critic_optimiser=optax.sgd(1.0),
        pessimism=pessimism,
    )


def behaviour_of(agent: ImaginationActorCritic) -> Any:
    behaviour = agent.init(jax.random.key(0), BATCH)
    return eqx.tree_at(
        lambda b: (b.policy, b.critics, b.targets),
        behaviour,
        (
            randomised(behaviour.policy, 1, 0.4),
            randomised(behaviour.critics, 2, 0.4),
            randomised(behaviour.targets, 3, 0.4),
        ),
    )


@eqx.filter_jit
def lost(agent: ImaginationActorCritic, transition: Any) -> Scalar:
    metrics = agent.update(
        behaviour_of(agent),
        transition,
        REWARD,
        starts(),
        jnp.asarray(2.0),
        key=jax.random.key(9),
        termination=BoundTermination((2.0,)),
    )[1]
    return metrics["actor_loss"]


def test_each_rollout_stays_in_its_world(x64: None) -> None:
    policy = behaviour_of(an_agent(0.0)).policy
    noise = normals(1, HORIZON, BATCH, 1)
    made = eqx.filter_jit(imagine)(policy, sampled(), REWARD, starts(), noise)
    for i in range(BATCH):
        alone = Swing(PENDULUM, jnp.asarray(STRENGTHS[i % 3]))
        one = State(starts().q[i : i + 1], starts().qd[i : i + 1])
        only = eqx.filter_jit(imagine)(policy, alone, REWARD, one, noise[:, i : i + 1])
        close([x[:, i] for x in made.states], [x[:, 0] for x in only.states], 1e-12)
        close(made.rewards[:, i], only.rewards[:, 0], 1e-12)


def test_rollouts_that_cannot_be_shared_out_are_refused() -> None:
    with pytest.raises(ValueError, match="a batch of 6 rollouts .* 4 samples"):
        sampled((1.0, 2.0, 3.0, 4.0)).steps(starts(), jnp.zeros((BATCH, 1)))


def test_doubt_is_the_deviation_over_the_members(x64: None) -> None:
    states, actions = starts(), jnp.linspace(-1, 1, BATCH)[:, None]

    def worth(following: State) -> Float[Array, " batch"]:
        return 2 * following.qd[:, 0]

    found = doubts(sampled(), states, actions, worth)
    forces = np.outer(np.sin(states.q[:, 0]), STRENGTHS)
    close(found, 2 * 0.1 * forces.std(axis=1, ddof=1), 1e-12)
    # Where they agree nothing is doubted, and the gradient is a number.
    still = State(jnp.zeros((BATCH, 1)), states.qd)

    def agreed(actions: Array) -> Scalar:
        return jnp.sum(doubts(sampled(), still, actions, worth))

    value, gradient = jax.value_and_grad(agreed)(actions)
    assert float(value) < 1e-12
    assert np.all(np.isfinite(gradient))


def test_pessimism_lowers_what_is_imagined_where_models_differ() -> None:
    """By as much for each deviation in the first step's rewards; the worlds are the same."""
    plain, once, twice = (float(lost(an_agent(p), sampled())) for p in (0.0, 1.0, 2.0))
    assert once > plain
    assert twice - plain == pytest.approx(2 * (once - plain), rel=1e-3)
    same = sampled((3.0, 3.0, 3.0))
    assert float(lost(an_agent(2.0), same)) == pytest.approx(
        float(lost(an_agent(0.0), Swing(PENDULUM, jnp.asarray(3.0)))), rel=1e-4
    )


def test_pessimism_about_one_world_is_refused() -> None:
    with pytest.raises(ValueError, match="`pessimism` asks how far the members"):
        lost(an_agent(1.0), Swing(PENDULUM, jnp.asarray(3.0)))


def a_dyna(pessimism: float) -> Dyna:
    learner = TD3(
        features=FEATURES,
        action_size=1,
        hidden=(6,),
        activation=jnp.tanh,
        critics=2,
        discount=0.9,
        target_rate=0.25,
        optimiser=optax.sgd(1.0),
        noise=0.0,
    )
    return Dyna(learner, 8, 0.5, BATCH, 2, 2 * BATCH, LIMITS, pessimism)


def dyna_made(agent: Dyna, transition: AbstractTransition | SampledTransition) -> Experience:
    state = State(jnp.zeros((BATCH, 1)), jnp.zeros((BATCH, 1)))
    zero = jnp.zeros(BATCH)
    instead = Experience(state, zero[:, None], zero, state, zero > 0)
    behaviour = eqx.tree_at(
        lambda b: b.learned.targets,
        agent.init(jax.random.key(0), 1),
        randomised(agent.init(jax.random.key(0), 1).learned.targets, 1, 0.4),
    )
    made = agent.imagine(
        behaviour, transition, REWARD, starts(), instead, key=jax.random.key(1)
    )
    assert made.imagined is not None
    return made.imagined.experience


def test_transitions_are_paid_less_where_models_differ(x64: None) -> None:
    plain, doubted = (dyna_made(a_dyna(p), sampled()) for p in (0.0, 3.0))
    close(plain.next_state.q, doubted.next_state.q, 1e-12)
    agent = a_dyna(3.0)
    learned = eqx.tree_at(
        lambda b: b.targets,
        agent.init(jax.random.key(0), 1).learned,
        randomised(agent.init(jax.random.key(0), 1).learned.targets, 1, 0.4),
    )

    def worths(strength: float) -> np.ndarray:
        transition = Swing(PENDULUM, jnp.asarray(strength))
        following = transition.steps(plain.state, plain.action)
        paid = jax.vmap(REWARD)(plain.state, plain.action, following)
        return np.asarray(paid + 0.9 * agent.learner.values(learned, following))

    deviation = np.std([worths(strength) for strength in STRENGTHS], axis=0, ddof=1)
    assert deviation.max() > 0.01
    close(plain.reward - doubted.reward, 3 * deviation, 1e-9)
