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
    q, qd, action, reward = np.random.default_rng(seed).normal(size=(4, rows, 1))
    states = State(q, qd), State(q + 0.1 * qd, qd + 0.1)
    fields = (states[0], np.tanh(action), reward[:, 0], states[1], np.full(rows, ended))
    return Experience(*jax.tree.map(jnp.asarray, fields))


@eqx.filter_jit
def initial(agent: Any) -> Any:
    return agent.init(jax.random.key(0))


@eqx.filter_jit
def updated(agent: Any, state: Any, batch: Any, seed: Array) -> tuple[Any, Metrics]:
    """One update of the agent, as one program."""
    return agent.update(state, batch, key=jax.random.key(seed))


def spread(state: OffPolicyState) -> OffPolicyState:
    """Targets that differ from the networks, as after some updates."""
    other = jax.tree.map(
        lambda x: jnp.asarray(1.1 * np.asarray(x)) if eqx.is_inexact_array(x) else x, state
    )
    return state.replace(targets=other.targets, extra=other.extra)


@eqx.filter_jit
def values(critics: Any, state: State, action: Array) -> Array:
    return jnp.stack([jax.vmap(critic)(state, action) for critic in critics])


@eqx.filter_jit
def modes(policy: AbstractPolicy, state: State) -> Array:
    return jax.vmap(policy.mode)(state)


def test_td3_critics_regress_on_the_smaller_smoothed_target(x64: None) -> None:
    agent = TD3(**options(), target_noise=0.3, target_clip=0.4)
    before, batch = spread(initial(agent)), some_experience()
    _, metrics = updated(agent, before, batch, jnp.asarray(5))
    drawn = np.asarray(jax.random.normal(jax.random.key(5), (BATCH, 1)))
    mode = np.asarray(modes(before.extra, batch.next_state))
    action = np.clip(mode + np.clip(0.3 * drawn, -0.4, 0.4), -1, 1)
    both = np.asarray(values(before.targets, batch.next_state, jnp.asarray(action)))
    assert 0 < np.mean(both[0] < both[1]) < 1, "the smaller one must matter"
    targets = np.asarray(batch.reward) + 0.9 * both.min(axis=0)
    found = np.asarray(values(before.critics, batch.state, batch.action))
    close(metrics["critic_loss"], np.sum(np.mean((found - targets) ** 2, axis=1)), 1e-10)
    close(metrics["value"], np.mean(found), 1e-10)
    assert metrics["skipped"] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_value_after_termination_is_0(kind: type[AbstractOffPolicy], x64: None) -> None:
    agent = kind(**options())
    state, batch = spread(initial(agent)), some_experience(ended=True)
    _, metrics = updated(agent, state, batch, jnp.asarray(1))
    found = np.asarray(values(state.critics, batch.state, batch.action))
    errors = found - np.asarray(batch.reward)
    close(metrics["critic_loss"], np.sum(np.mean(errors**2, axis=1)), 1e-10)


def test_td3_delays_the_actor_and_the_targets(x64: None) -> None:
    agent = TD3(**options(), delay=2)
    first, batch = initial(agent), some_experience()
    waited, _ = updated(agent, first, batch, jnp.asarray(1))
    for part in ("policy", "extra", "targets"):
        np.testing.assert_array_equal(
            weights(getattr(waited, part)), weights(getattr(first, part))
        )
    acted, _ = updated(agent, waited, batch, jnp.asarray(2))

    def value(policy: Any) -> Scalar:
        actions = jax.vmap(policy.mode)(batch.state)
        return jnp.mean(jax.vmap(acted.critics[0])(batch.state, actions))

    step = weights(acted.policy) - weights(waited.policy)
    gradient = weights(eqx.filter_jit(eqx.filter_grad(value))(waited.policy))
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
    state = initial(agent)
    mean = state.policy.network.layers[-1].bias[0]
    policy = eqx.tree_at(
        lambda p: p.network.layers[-1].bias, state.policy, jnp.asarray([float(mean), bias])
    )
    state = state.replace(policy=policy)
    after, metrics = updated(agent, state, some_experience(), jnp.asarray(1))
    rises = float(after.extra.logarithm) > float(state.extra.logarithm)
    assert rises == (float(metrics["entropy"]) < -1) == (bias < 0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_policy_learns_an_immediate_reward(kind: type[AbstractOffPolicy]) -> None:
    """The best action is `sin q / 2`, and every step terminates."""
    agent = kind(**options(optimiser=ADAM, target_rate=0.05, hidden=(32,)))
    q = jnp.asarray(np.linspace(-3, 3, 25)[:, None])

    @eqx.filter_jit
    def learned_actions() -> Array:
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
        learned: Any = eqx.combine(jax.lax.scan(body, first, keys)[0], rest)
        return jax.vmap(learned.policy.mode)(State(q, 0 * q))

    np.testing.assert_allclose(learned_actions(), 0.5 * np.sin(q), rtol=0, atol=0.1)


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
    starts = State(*map(jnp.asarray, (np.arange(6.0)[:, None], np.zeros((6, 1)))))
    imagined = _imagined(small_dyna(), world, starts, some_experience(rows=6))
    assert imagined.added == 24
    return jax.tree.map(
        lambda x: np.asarray(x)[:24].reshape(4, 6, *x.shape[1:]), imagined.experience
    )


@eqx.filter_jit
def _imagined(agent: Dyna, world: WorldModel, starts: State, real: Experience) -> ReplayBuffer:
    state = agent.init(jax.random.key(0))
    state = agent.imagine(state, world, starts, real, key=jax.random.key(3))
    assert state.imagined is not None
    return state.imagined


def test_imagined_transitions_are_consecutive_steps_of_the_model() -> None:
    world = drift_world()
    made = imagined(world)
    np.testing.assert_array_equal(made.state.q[0, :, 0], np.arange(6))
    np.testing.assert_array_equal(made.next_state.q[:-1], made.state.q[1:])
    close(made.next_state.q, made.state.q + 0.5 * made.action + 0.25, 1e-6)
    close(made.reward, (made.next_state.q - made.action)[..., 0], 1e-6)
    assert not made.terminated.any()
    rows = State(*(jnp.asarray(x.reshape(24, 1)) for x in made.state))
    mode = np.asarray(modes(initial(small_dyna()).policy, rows)).reshape(4, 6, 1)
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


@eqx.filter_jit
def filled(experience: Experience) -> ReplayBuffer:
    return ReplayBuffer.empty(BATCH, 1, 1).add(experience, jnp.zeros((), int))


@pytest.mark.parametrize(("ratio", "broken"), [(0.0, "imagined"), (1.0, "real")])
def test_the_ratio_is_the_imagined_fraction_of_a_batch(ratio: float, broken: str) -> None:
    """Rewards of transitions that no batch contains may be NaN."""
    agent = small_dyna(ratio=ratio)
    state = initial(agent)
    assert agent.uses_model == (ratio > 0) == (state.imagined is not None)
    bad = some_experience()._replace(reward=jnp.asarray(np.full(BATCH, np.nan)))
    real = filled(bad if broken == "real" else some_experience())
    other = filled(bad if broken == "imagined" else some_experience())
    state = dataclasses.replace(state, imagined=other)
    _, metrics = updated(agent, state, real, jnp.asarray(1))
    assert metrics["skipped"] == 0
    assert np.isfinite(metrics["critic_loss"])
    _, metrics = updated(small_dyna(), state, real, jnp.asarray(1))
    assert metrics["skipped"] > 0


# A batch without imagined transitions is the same to every learner.
@pytest.mark.parametrize(("kind", "ratio"), [(TD3, 0.0), *((kind, 0.5) for kind in KINDS)])
def test_improving_imagines_once_and_updates_the_actor(
    kind: type[AbstractOffPolicy], ratio: float
) -> None:
    agent = small_dyna(learner=kind(**options(features=Features(LINE, (4.0,)))), ratio=ratio)
    before, buffer = initial(agent), filled(some_experience())
    world = drift_world() if agent.uses_model else None

    @eqx.filter_jit
    def improve(place: Phase) -> tuple[DynaState, Metrics]:
        return agent.improve(before, world, buffer, place, 3)

    after, metrics = improve(phase(1))
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
