"""Experience beyond the limits of imagined rollouts."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagdyna.config import Config
from lagdyna.data import Experience, ReplayBuffer
from lagdyna.mechanics import Limits, State
from lagdyna.simulate import WorldModel
from lagdyna.tasks import Outcome, Plant
from lagdyna.training import Trainer, TrainingState
from lagdyna.training._in_range import InRange

from ..small import DYNA, MLP, recorded, small_config

LIMIT = 6.0  # m, three times the range of the track
FASTEST = 60.0  # rad/s, six times the sampling range
BOX = InRange(Limits((LIMIT, math.inf), (math.inf, FASTEST)))
clip, is_in_range = jax.jit(lambda x: BOX.clip(x)), jax.jit(lambda x: BOX(x))


def cart_config() -> Config:
    learner = {"updates": 30, "batch": 8}
    return small_config(task="cartpole", steps=240, model=MLP, learner=learner, agent=DYNA)


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    return Trainer(cart_config())


def world(training: TrainingState) -> WorldModel:
    assert training.world is not None
    return training.world


def driven(trainer: Trainer, far: float, reward: float) -> TrainingState:
    """The state after 30 steps within the limit and 30 about `far` m away with that reward."""
    draws: Any = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    training = trainer.init()
    for i, (x, angle, velocity, spin, _) in enumerate(draws):
        x = np.clip(x, -5, 5) if i < 30 else far + x
        q, qd = np.asarray([x, angle]), np.asarray([velocity, spin])
        state = jax.device_put(State(q, qd))
        after = State(q + 0.04 * qd, qd)
        # The motion beyond the limit differs, and the dynamics must not learn from it.
        if i >= 30:
            after = State(after.q, qd + reward)
        outcome = Outcome(
            jax.device_put(after), 1.0 if i < 30 else reward, False, False, steps=4
        )
        training = recorded(trainer, training, state, np.tanh(draws[i, 4:]), outcome)
    return trainer.begin_phase(training)


def test_the_limits_are_those_of_imagined_rollouts() -> None:
    configs = cart_config(), small_config(task="acrobot")
    plants = [Plant.of_task(config.task) for config in configs]
    cart, links = (
        InRange.of(config, plant).limits for config, plant in zip(configs, plants, strict=True)
    )
    # Except for angles, which are wrapped before they come so far.
    for plant, limits in zip(plants, (cart, links), strict=True):
        positions, velocities = plant.limits
        assert velocities == limits.velocities
        pairs = zip(positions, limits.positions, strict=True)
        assert all(x in (y, 3 * math.pi) for x, y in pairs)
    assert cart == Limits((LIMIT, math.inf), (30.0, FASTEST))
    assert links == Limits((math.inf, math.inf), (FASTEST, FASTEST))


@given(
    st.lists(st.floats(-50, 50, width=32), min_size=4, max_size=4),
    st.lists(st.floats(-50, 50, width=32), min_size=4, max_size=4),
)
def test_states_beyond_the_limit_are_stored_at_the_limit(
    before: list[float], after: list[float]
) -> None:
    states = [State(np.asarray(x[:2]), np.asarray(x[2:])) for x in (before, after)]
    entry = Experience(states[0], np.zeros(1), np.zeros(()), states[1], np.zeros((), bool))
    stored = clip(jax.device_put(entry))
    for old, new in zip((before, after), (stored.state, stored.next_state), strict=True):
        x, angle, velocity, spin = old
        assert new.q.tolist() == [min(max(x, -LIMIT), LIMIT), angle]
        assert new.qd.tolist() == [velocity, min(max(spin, -FASTEST), FASTEST)]
    inside = [abs(x[0]) < LIMIT and abs(x[3]) < FASTEST for x in (before, after)]
    assert bool(is_in_range(stored)) == all(inside)


def test_experience_beyond_the_limit_teaches_the_reward_and_not_the_dynamics(
    trainer: Trainer,
) -> None:
    learned = []
    for far, reward in ((20.0, 3.0), (700.0, -3.0)):
        training = driven(trainer, far, reward)
        learned.append(world(trainer.fit(training, jnp.asarray(0), 30)[0]))
    first, second = ([np.asarray(x) for x in jax.tree.leaves(w.transition)] for w in learned)
    untrained = [np.asarray(x) for x in jax.tree.leaves(world(trainer.init()).transition)]
    assert any((a != b).any() for a, b in zip(first, untrained, strict=True))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    beyond = jax.device_put(State(np.asarray([LIMIT, 0.0]), np.zeros(2)))
    reward = eqx.filter_jit(lambda world: world.reward(beyond, jnp.zeros(1), beyond))
    high, low = (float(reward(w)) for w in learned)
    assert high - low > 2.0


def test_without_experience_in_range_the_dynamics_do_not_change(trainer: Trainer) -> None:
    training = driven(trainer, 20.0, 1.0)
    far = jax.tree.map(
        lambda x: jax.device_put(np.roll(x, -30, axis=0)), training.buffer.experience
    )
    added = jax.device_put(np.asarray(30, training.buffer.added.dtype))
    buffer = ReplayBuffer(far, training.buffer.episode, added)
    training = trainer.begin_phase(eqx.tree_at(lambda t: t.buffer, training, buffer))
    after, metrics = trainer.fit(training, jnp.asarray(0), 30)
    assert int(metrics["model_skipped"]) == 30
    for part, changes in (("transition", False), ("reward", True)):
        leaves = (jax.tree.leaves(getattr(world(t), part)) for t in (training, after))
        pairs = zip(*leaves, strict=True)
        assert any((np.asarray(a) != np.asarray(b)).any() for a, b in pairs) == changes


def test_windows_end_at_the_limit() -> None:
    x = np.asarray([0.0, 1.0, 5.0, LIMIT, LIMIT, 2.0, 1.0])
    states = State(np.stack([x, x], axis=1), np.zeros((7, 2)))
    before, after = (
        jax.tree.map(lambda z, at=at: z[at], states) for at in (slice(6), slice(1, 7))
    )
    steps = np.arange(6.0)[:, None], np.zeros(6), after, np.zeros(6, bool)

    @jax.jit
    def sampled(entries):
        buffer = ReplayBuffer.empty(6, 2, 1).add(entries, jnp.asarray(0))
        return (
            BOX.rows(buffer),
            BOX.sample(buffer, jax.random.key(0), 100),
            BOX.sample_windows(buffer, jax.random.key(1), 100, 3),
        )

    rows, drawn, (windows, mask) = sampled(jax.device_put(Experience(before, *steps)))
    assert rows.tolist() == [True, True, False, False, False, True]
    assert {float(a) for a in np.asarray(drawn.action)[:, 0]} == {0.0, 1.0, 5.0}
    starts = np.asarray(windows.action)[:, 0, 0].astype(int)
    inside = {0: [1, 1, 0], 1: [1, 0, 0], 2: [0, 0, 0], 3: [0] * 3, 4: [0] * 3, 5: [1, 0, 0]}
    assert {*starts.tolist()} == set(inside)
    for start, row in zip(starts.tolist(), mask.tolist(), strict=True):
        assert row == inside[start]
