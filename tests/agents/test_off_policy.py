"""Off-policy actor-critics, and Dyna, which imagines a part of their transitions."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jaxtyping import Array, Float, PRNGKeyArray, Scalar

from lagdyna.agents import (
    SAC,
    TD3,
    AbstractOffPolicy,
    AbstractPolicy,
    Dyna,
    DynaState,
    Features,
    Metrics,
    MixedStarts,
    NoisyPolicy,
    OffPolicyState,
    Phase,
    ReplayedStarts,
    UniformStarts,
    action_values,
    polyak_average,
)
from lagdyna.data import Experience, ReplayBuffer
from lagdyna.learners import apply_gradient
from lagdyna.mechanics import Coordinates, Limits, State
from lagdyna.models import (
    AbstractTermination,
    BoundTermination,
    GivenReward,
    NoTermination,
)
from lagdyna.simulate import AbstractTransition, WorldModel

from ..helpers import PENDULUM, close
from .toys import phase, weights

FEATURES = Features(PENDULUM, (4.0,))
BATCH = 32
PLAIN, ADAM = optax.sgd(1e-2), optax.adam(1e-2)


class DDPG(AbstractOffPolicy):
    """A variant as a user writes it in a file of their own (Lillicrap et al. 2016)."""

    noise: float = eqx.field(static=True, default=0.1)

    def init_policy(self, key: PRNGKeyArray) -> AbstractPolicy:
        return NoisyPolicy(
            self.features,
            self.action_size,
            hidden=self.hidden,
            activation=self.activation,
            noise=self.noise,
            key=key,
        )

    def update(
        self, state: OffPolicyState, batch: Experience, key: PRNGKeyArray
    ) -> tuple[OffPolicyState, Metrics]:
        next_values = self.values(state, batch.next_state)
        state, metrics = self.update_critics(state, batch, next_values)

        def loss(policy: AbstractPolicy) -> Scalar:
            actions = jax.vmap(policy.mode)(batch.state)
            return -jnp.mean(action_values(state.critics, batch.state, actions))

        gradient = eqx.filter_grad(loss)(state.policy)
        policy, policy_state, skipped = apply_gradient(
            self.optimiser, state.policy, state.policy_state, gradient
        )
        targets = polyak_average(state.targets, state.critics, self.target_rate)
        state = state.replace(policy=policy, policy_state=policy_state, targets=targets)
        return state, {**metrics, "skipped": metrics["skipped"] + skipped}


KINDS = [TD3, SAC, DDPG]


def options(**changes: Any) -> dict[str, Any]:
    return {
        "features": FEATURES,
        "action_size": 1,
        "hidden": (24,),
        "activation": jnp.tanh,
        "critics": 2,
        "discount": 0.9,
        "target_rate": 0.25,
        "optimiser": PLAIN,
        **changes,
    }


def some_experience(seed: int = 0, rows: int = BATCH, ended: bool = False) -> Experience:
    keys = jax.random.split(jax.random.key(seed), 4)
    q, qd, action, reward = (jax.random.normal(key, (rows, 1)) for key in keys)
    next_state = State(q + 0.1 * qd, qd + 0.1)
    terminated = jnp.full(rows, ended)
    return Experience(State(q, qd), jnp.tanh(action), reward[:, 0], next_state, terminated)


def spread(state: OffPolicyState) -> OffPolicyState:
    """Targets that differ from the networks, as after some updates."""
    other = jax.tree.map(lambda x: 1.1 * x if eqx.is_inexact_array(x) else x, state)
    return state.replace(targets=other.targets, extra=other.extra)


def values(critics: Any, state: State, action: Array) -> np.ndarray:
    return np.stack([jax.vmap(critic)(state, action) for critic in critics])


def test_td3_critics_regress_on_the_smaller_smoothed_target(x64: None) -> None:
    agent = TD3(**options(), target_noise=0.3, target_clip=0.4)
    before, batch = spread(agent.init(jax.random.key(0))), some_experience()
    key = jax.random.key(5)
    _, metrics = agent.update(before, batch, key)
    noise = np.clip(0.3 * np.asarray(jax.random.normal(key, (BATCH, 1))), -0.4, 0.4)
    mode = np.asarray(jax.vmap(before.extra.mode)(batch.next_state))
    both = values(before.targets, batch.next_state, jnp.asarray(np.clip(mode + noise, -1, 1)))
    assert 0 < np.mean(both[0] < both[1]) < 1, "the smaller one must matter"
    targets = np.asarray(batch.reward) + 0.9 * both.min(axis=0)
    found = values(before.critics, batch.state, batch.action)
    close(metrics["critic_loss"], np.sum(np.mean((found - targets) ** 2, axis=1)), 1e-10)
    close(metrics["value"], np.mean(found), 1e-10)
    assert metrics["skipped"] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_value_after_termination_is_0(kind: type[AbstractOffPolicy], x64: None) -> None:
    agent = kind(**options())
    state, batch = spread(agent.init(jax.random.key(0))), some_experience(ended=True)
    _, metrics = agent.update(state, batch, jax.random.key(1))
    errors = values(state.critics, batch.state, batch.action) - np.asarray(batch.reward)
    close(metrics["critic_loss"], np.sum(np.mean(errors**2, axis=1)), 1e-10)


def test_td3_delays_the_actor_and_the_targets(x64: None) -> None:
    agent = TD3(**options(), delay=2)
    first, batch = agent.init(jax.random.key(0)), some_experience()
    waited, _ = agent.update(first, batch, jax.random.key(1))
    for part in ("policy", "extra", "targets"):
        np.testing.assert_array_equal(
            weights(getattr(waited, part)), weights(getattr(first, part))
        )
    acted, _ = agent.update(waited, batch, jax.random.key(2))

    def value(policy: Any) -> Scalar:
        actions = jax.vmap(policy.mode)(batch.state)
        return jnp.mean(jax.vmap(acted.critics[0])(batch.state, actions))

    step = weights(acted.policy) - weights(waited.policy)
    gradient = weights(eqx.filter_grad(value)(waited.policy))
    np.testing.assert_allclose(step, 1e-2 * gradient, rtol=1e-8)
    for targets, networks in (("targets", "critics"), ("extra", "policy")):
        old, to = weights(getattr(waited, targets)), weights(getattr(acted, networks))
        np.testing.assert_allclose(
            weights(getattr(acted, targets)), old + 0.25 * (to - old), rtol=1e-10
        )


@pytest.mark.parametrize("bias", [-20.0, 1.0])
def test_the_temperature_rises_if_entropy_is_too_low(bias: float, x64: None) -> None:
    """`bias` makes the noise of the policy very small, or larger than its target."""
    agent = SAC(**options())
    state = agent.init(jax.random.key(0))
    policy: Any = state.policy
    last = policy.network.layers[-1]
    policy = eqx.tree_at(lambda p: p.network.layers[-1].bias, policy, last.bias.at[1].set(bias))
    after, metrics = agent.update(
        state.replace(policy=policy), some_experience(), jax.random.key(1)
    )
    rises = float(after.extra.logarithm) > float(state.extra.logarithm)
    assert rises == (float(metrics["entropy"]) < -1) == (bias < 0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_policy_learns_an_immediate_reward(kind: type[AbstractOffPolicy]) -> None:
    """The best action is `sin q / 2`, and every step terminates."""
    agent = kind(**options(optimiser=ADAM, target_rate=0.05, hidden=(32,)))
    first, rest = eqx.partition(agent.init(jax.random.key(0)), eqx.is_array)

    def body(arrays: Any, key: Array) -> tuple[Any, None]:
        draw, act, key = jax.random.split(key, 3)
        q = jax.random.uniform(draw, (64, 1), minval=-jnp.pi, maxval=jnp.pi)
        action = jax.random.uniform(act, (64, 1), minval=-1.0)
        reward = -((action - 0.5 * jnp.sin(q)) ** 2)[:, 0]
        state, terminated = State(q, 0 * q), jnp.ones(64, bool)
        batch = Experience(state, action, reward, state, terminated)
        learned, _ = agent.update(eqx.combine(arrays, rest), batch, key)
        return eqx.filter(learned, eqx.is_array), None

    keys = jax.random.split(jax.random.key(1), 1000)
    learned = eqx.combine(jax.jit(lambda a, k: jax.lax.scan(body, a, k)[0])(first, keys), rest)
    q = jnp.linspace(-3, 3, 25)[:, None]
    action = jax.vmap(learned.policy.mode)(State(q, 0 * q))
    assert float(jnp.max(jnp.abs(action - 0.5 * jnp.sin(q)))) < 0.1


class Drift(AbstractTransition):
    """Moves by its action; not finite beyond a bound."""

    coordinates: Coordinates
    bound: float = 1e9

    def step(self, state: State, action: Float[Array, " m"]) -> State:
        q = state.q + 0.5 * action + 0.25
        return State(jnp.where(q > self.bound, jnp.nan, q), state.qd + 1)


def reward(state: State, action: Float[Array, " m"], next_state: State) -> Scalar:
    return next_state.q[0] - action[0]


LINE = Coordinates((False,))
LIMITS = Limits((50.0,), (50.0,))


def drift_world(
    bound: float = 1e9, termination: AbstractTermination = NoTermination()
) -> WorldModel:
    return WorldModel(Drift(LINE, bound), GivenReward(reward), termination)


def small_dyna(**changes: Any) -> Dyna:
    made: dict[str, Any] = {
        "learner": TD3(**options(features=Features(LINE, (4.0,))), noise=0.5),
        "batch": 8,
        "ratio": 0.5,
        "starts": MixedStarts((ReplayedStarts(), UniformStarts(LIMITS)), (2, 4)),
        "rollouts": 6,
        "length": 4,
        "capacity": 48,
        "limits": LIMITS,
    }
    return Dyna(**{**made, **changes})


def imagined(world: WorldModel) -> Experience:
    """24 imagined transitions, time and rollouts being the leading axes."""
    agent, fallback = small_dyna(), some_experience(rows=6)
    starts = State(jnp.arange(6.0)[:, None], jnp.zeros((6, 1)))
    state = agent.init(jax.random.key(0))
    state = agent.imagine(state, world, starts, fallback, key=jax.random.key(3))
    assert state.imagined is not None
    assert int(state.imagined.size) == 24
    return jax.tree.map(lambda x: x[:24].reshape(4, 6, *x.shape[1:]), state.imagined.experience)


def test_imagined_transitions_are_consecutive_steps_of_the_model() -> None:
    world = drift_world()
    made = imagined(world)
    np.testing.assert_array_equal(made.state.q[0, :, 0], np.arange(6))
    np.testing.assert_array_equal(made.next_state.q[:-1], made.state.q[1:])
    step = jax.vmap(jax.vmap(world.transition.step))
    close(made.next_state.q, step(made.state, made.action).q, 1e-6)
    close(made.reward, (made.next_state.q - made.action)[..., 0], 1e-6)
    assert not made.terminated.any()
    policy = small_dyna().init(jax.random.key(0)).policy
    mode = jax.vmap(jax.vmap(policy.mode))(made.state)
    assert np.std(made.action - mode) > 0.1, "actions have exploration noise"


def test_a_rollout_that_terminates_continues_from_its_start() -> None:
    made = imagined(drift_world(termination=BoundTermination((5.4,))))
    ended = np.asarray(made.terminated)
    np.testing.assert_array_equal(ended, np.asarray(made.next_state.q[..., 0]) > 5.4)
    assert ended[:3].any()
    starts = np.broadcast_to(np.arange(6.0), (3, 6))
    expected = np.where(ended[:3], starts, made.next_state.q[:3, :, 0])
    np.testing.assert_array_equal(made.state.q[1:, :, 0], expected)


def test_transitions_that_are_not_finite_are_replaced_by_real_ones() -> None:
    made = imagined(drift_world(bound=4.5))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(made))
    replaced = np.isin(made.reward, np.asarray(some_experience(rows=6).reward))
    assert replaced.any()
    assert not replaced.all()


@pytest.mark.parametrize(("ratio", "broken"), [(0.0, "imagined"), (1.0, "real")])
def test_the_ratio_is_the_imagined_fraction_of_a_batch(ratio: float, broken: str) -> None:
    """Rewards of transitions that no batch contains may be NaN."""
    agent = small_dyna(ratio=ratio)
    state = agent.init(jax.random.key(0))
    assert agent.uses_model == (ratio > 0) == (state.imagined is not None)
    bad = some_experience()._replace(reward=jnp.full(BATCH, jnp.nan))
    empty, zero = ReplayBuffer.empty(BATCH, 1, 1), jnp.zeros((), int)
    real = empty.add(bad if broken == "real" else some_experience(), zero)
    other = empty.add(bad if broken == "imagined" else some_experience(), zero)
    state = dataclasses.replace(state, imagined=other)
    _, metrics = agent.update(state, real, key=jax.random.key(1))
    assert metrics["skipped"] == 0
    assert np.isfinite(metrics["critic_loss"])
    _, metrics = small_dyna().update(state, real, key=jax.random.key(1))
    assert metrics["skipped"] > 0


# A batch without imagined transitions is the same to every learner.
@pytest.mark.parametrize(("kind", "ratio"), [(TD3, 0.0), *((kind, 0.5) for kind in KINDS)])
def test_improving_imagines_once_and_updates_the_actor(
    kind: type[AbstractOffPolicy], ratio: float
) -> None:
    agent = small_dyna(learner=kind(**options(features=Features(LINE, (4.0,)))), ratio=ratio)
    buffer = ReplayBuffer.empty(BATCH, 1, 1).add(some_experience(), jnp.zeros((), int))
    world = drift_world() if agent.uses_model else None

    @eqx.filter_jit
    def improve(place: Phase) -> tuple[DynaState, Metrics]:
        return agent.improve(agent.init(jax.random.key(0)), world, buffer, place, 3)

    before, (after, metrics) = agent.init(jax.random.key(0)), improve(phase(1))
    assert metrics["skipped"] == 0
    assert {"critic_loss", "value"} <= set(metrics)
    assert int(after.learned.updates) == 3
    assert after.imagined is None or int(after.imagined.size) == 24
    moved = weights(after.policy)
    assert not np.array_equal(moved, weights(before.policy))
    np.testing.assert_array_equal(moved, weights(improve(phase(1))[0].policy))
    assert not np.array_equal(moved, weights(improve(phase(2))[0].policy))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ratio": 1.5}, "`ratio` must be between 0 and 1, got 1.5"),
        ({"length": 0}, "must be positive, got 8, 6 and 0"),
        ({"capacity": 23}, "`capacity` was 23, and 6 rollouts of 4 steps"),
        ({"rollouts": 5}, "counts \\(2, 4\\), which must sum to `rollouts`, 5"),
    ],
)
def test_impossible_options_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small_dyna(**changes)
