"""Rollouts in posterior samples of the dynamics, and pessimism about their disagreement."""

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
    DynaState,
    MixedStarts,
    ReplayedStarts,
    disagreement,
    imagine,
)
from lagdyna.data import Experience
from lagdyna.mechanics import Limits, State
from lagdyna.models import BoundTermination, GivenReward
from lagdyna.simulate import SampledTransition, WorldModel

from ..helpers import PENDULUM, close, normals, randomised
from .toys import (
    BATCH,
    FEATURES,
    Swing,
    randomly_trained,
    small_actor_critic,
    some_starts,
    swing,
)

STRENGTHS = (0.0, 3.0, 10.0)
HORIZON = 4
LIMITS = Limits((10.0,), (100.0,))
REWARD = GivenReward(lambda state, action, next_state: -(next_state.qd[0] ** 2) - action[0])


def sampled(strengths: tuple[float, ...] = STRENGTHS) -> SampledTransition:
    return SampledTransition(Swing(PENDULUM, jnp.asarray(strengths)))


def world(samples: SampledTransition | None, **options: Any) -> WorldModel:
    return WorldModel(swing(), REWARD, samples=samples, **options)


@eqx.filter_jit
def loss(pessimism: float, samples: SampledTransition | None) -> Scalar:
    agent = small_actor_critic(horizon=HORIZON, entropy=0.0, pessimism=pessimism)
    metrics = agent.update(
        randomly_trained(agent, 1),
        world(samples, termination=BoundTermination((2.0,))),
        some_starts(),
        jnp.asarray(2.0),
        key=jax.random.key(9),
    )[1]
    return metrics["actor_loss"]


def test_each_rollout_stays_in_its_sample(x64: None) -> None:
    policy = randomly_trained(small_actor_critic()).policy
    noise = normals(1, HORIZON, BATCH, 1)
    made = eqx.filter_jit(imagine)(policy, world(sampled()), some_starts(), noise)
    made, starts, noise = jax.tree.map(np.asarray, (made, some_starts(), noise))
    for i in range(BATCH):
        alone = WorldModel(swing(STRENGTHS[i % 3]), REWARD)
        one, its_noise = jax.device_put(
            (jax.tree.map(lambda x, i=i: x[i : i + 1], starts), noise[:, i : i + 1])
        )
        only = jax.tree.map(np.asarray, eqx.filter_jit(imagine)(policy, alone, one, its_noise))
        close([x[:, i] for x in made.states], [x[:, 0] for x in only.states], 1e-12)
        close(made.rewards[:, i], only.rewards[:, 0], 1e-12)


def test_disagreement_is_the_standard_deviation_over_samples(x64: None) -> None:
    states = some_starts()
    actions = jax.device_put(np.linspace(-1, 1, BATCH)[:, None])

    def value(next_states: State) -> Float[Array, " batch"]:
        return 2 * next_states.qd[:, 0]

    @jax.jit
    def disagreed(states: State, actions: Array) -> Float[Array, " batch"]:
        return disagreement(sampled(), states, actions, value)

    found = disagreed(states, actions)
    forces = np.outer(np.sin(np.asarray(states.q)[:, 0]), STRENGTHS)
    close(found, 2 * 0.1 * forces.std(axis=1, ddof=1), 1e-12)
    # Where all samples agree it is 0, and its gradient is finite.
    still = State(jax.device_put(np.zeros((BATCH, 1))), states.qd)

    def agreed(actions: Array) -> Scalar:
        return jnp.sum(disagreed(still, actions))

    total, gradient = jax.jit(jax.value_and_grad(agreed))(actions)
    assert float(total) < 1e-12
    assert np.all(np.isfinite(gradient))


def test_pessimism_lowers_returns_where_samples_disagree() -> None:
    plain, once, twice = (float(loss(p, sampled())) for p in (0.0, 1.0, 2.0))
    assert once > plain
    assert twice - plain == pytest.approx(2 * (once - plain), rel=1e-3)
    equal = sampled((3.0, 3.0, 3.0))
    assert float(loss(2.0, equal)) == pytest.approx(float(loss(0.0, None)), rel=1e-4)


def test_pessimism_without_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="`pessimism` .* at least two; got a Swing"):
        loss(1.0, None)


def dyna(pessimism: float) -> Dyna:
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
    starts = MixedStarts((ReplayedStarts(),), (BATCH,))
    return Dyna(learner, 8, 0.5, starts, BATCH, 2, 2 * BATCH, LIMITS, pessimism)


def dyna_state(agent: Dyna) -> DynaState:
    state = eqx.filter_jit(agent.init)(jax.random.key(0))
    return eqx.tree_at(
        lambda s: s.learned.targets, state, randomised(state.learned.targets, 1, 0.4)
    )


def imagined_by(agent: Dyna) -> Experience:
    zero, rest = np.zeros(BATCH), np.zeros((BATCH, 1))
    state = State(rest, rest)
    fallback = jax.device_put(Experience(state, rest, zero, state, zero > 0))
    made = eqx.filter_jit(agent.imagine)(
        dyna_state(agent), world(sampled()), some_starts(), fallback, key=jax.random.key(1)
    )
    assert made.imagined is not None
    return made.imagined.experience


def test_pessimism_lowers_rewards_of_dyna_where_samples_disagree(x64: None) -> None:
    plain, lowered = (imagined_by(dyna(p)) for p in (0.0, 3.0))
    close(plain.next_state.q, lowered.next_state.q, 1e-12)
    agent = dyna(3.0)
    learned = dyna_state(agent).learned

    @eqx.filter_jit
    def step_values(transition: Swing) -> Array:
        next_states = transition.steps(plain.state, plain.action)
        rewards = jax.vmap(REWARD)(plain.state, plain.action, next_states)
        return rewards + 0.9 * agent.learner.values(learned, next_states)

    each = [np.asarray(step_values(swing(strength))) for strength in STRENGTHS]
    deviation = np.std(each, axis=0, ddof=1)
    assert deviation.max() > 0.01
    close(np.asarray(plain.reward) - np.asarray(lowered.reward), 3 * deviation, 1e-9)
