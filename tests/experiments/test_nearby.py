"""What is learned, and what is not, where carts have been driven off."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagdyna.data import Experience, ReplayBuffer
from lagdyna.experiments import Trainer, Training
from lagdyna.experiments._agents import make_agent
from lagdyna.experiments._nearby import Nearby
from lagdyna.mechanics import State
from lagdyna.tasks import Outcome

from .small import recorded, small_config

LIMIT = 6.0  # m, three times what the track's reward reaches
FASTEST = 60.0  # rad/s, six times what is worth imagining
BOX = Nearby(((LIMIT, math.inf), (math.inf, FASTEST)))


def cart_config(**options: Any) -> Any:
    learner = {"updates": 30, "batch": 8, **options}
    return small_config(task="cartpole", steps=240, learner=learner, agent={"name": "dyna"})


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    return Trainer(cart_config())


def driven(trainer: Trainer, far: float, pay: float) -> Training:
    """After steps that were near, then steps beyond the limit, `far` m away, paid `pay`."""
    draws: Any = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    training = trainer.init()
    for i, (x, angle, velocity, spin, _) in enumerate(draws):
        x = np.clip(x, -5, 5) if i < 30 else far + x
        q, qd = jnp.asarray([x, angle]), jnp.asarray([velocity, spin])
        state = State(q, qd)
        after = State(q + 0.04 * qd, qd)
        # Where it went beyond the limit is nothing that the dynamics may learn from.
        if i >= 30:
            after = State(after.q, qd + pay)
        outcome = Outcome(after, 1.0 if i < 30 else pay, False, False, steps=4)
        training = recorded(trainer, training, state, np.tanh(draws[i, 4:]), outcome)
    return trainer.begin_fit(training)


def test_the_limits_are_those_of_imagined_rollouts() -> None:
    configs = cart_config(), small_config(task="acrobot")
    cart, links = (Nearby.of(c).limits for c in configs)
    # Of angles alone an agent is told more: they are wrapped before they come so far.
    for config, (far, fast) in zip(configs, (cart, links), strict=True):
        positions, velocities = make_agent(config).limits
        assert velocities == fast
        assert all(x in (y, 3 * math.pi) for x, y in zip(positions, far, strict=True))
    assert cart == ((LIMIT, math.inf), (30.0, FASTEST))
    assert links == ((math.inf, math.inf), (FASTEST, FASTEST))


@given(
    st.lists(st.floats(-50, 50, width=32), min_size=4, max_size=4),
    st.lists(st.floats(-50, 50, width=32), min_size=4, max_size=4),
)
def test_states_are_stored_at_the_limit_and_only_where_beyond(
    before: list[float], after: list[float]
) -> None:
    states = [State(jnp.asarray(x[:2]), jnp.asarray(x[2:])) for x in (before, after)]
    given_ = Experience(states[0], jnp.zeros(1), jnp.zeros(()), states[1], jnp.zeros((), bool))
    stored = BOX.clipped(given_)
    for old, new in zip((before, after), (stored.state, stored.next_state), strict=True):
        x, angle, velocity, spin = old
        assert new.q.tolist() == [min(max(x, -LIMIT), LIMIT), angle]
        assert new.qd.tolist() == [velocity, min(max(spin, -FASTEST), FASTEST)]
    inside = [abs(x[0]) < LIMIT and abs(x[3]) < FASTEST for x in (before, after)]
    assert bool(BOX(stored)) == all(inside)


def test_what_happens_beyond_teaches_the_reward_and_not_the_dynamics(trainer: Trainer) -> None:
    learned = []
    for far, pay in ((20.0, 3.0), (700.0, -3.0)):
        training = driven(trainer, far, pay)
        learned.append(trainer.fit(training, jnp.asarray(0), 30)[0])
    first, second = ([np.asarray(x) for x in jax.tree.leaves(t.transition)] for t in learned)
    untaught = [np.asarray(x) for x in jax.tree.leaves(trainer.init().transition)]
    assert any((a != b).any() for a, b in zip(first, untaught, strict=True))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    beyond = State(jnp.asarray([LIMIT, 0.0]), jnp.zeros(2))
    high, low = (float(t.reward(beyond, jnp.zeros(1), beyond)) for t in learned)
    assert high - low > 2.0


def test_with_nothing_near_the_dynamics_stay_as_they_are(trainer: Trainer) -> None:
    training = driven(trainer, 20.0, 1.0)
    far = jax.tree.map(lambda x: jnp.roll(x, -30, axis=0), training.buffer.experience)
    buffer = ReplayBuffer(far, training.buffer.episode, jnp.asarray(30))
    training = trainer.begin_fit(eqx.tree_at(lambda t: t.buffer, training, buffer))
    after, metrics = trainer.fit(training, jnp.asarray(0), 30)
    assert int(metrics["model_skipped"]) == 30
    pairs = zip(*(jax.tree.leaves(t.transition) for t in (training, after)), strict=True)
    assert all((a == b).all() for a, b in pairs)
    assert any(
        (a != b).any()
        for a, b in zip(*(jax.tree.leaves(t.reward) for t in (training, after)), strict=True)
    )


def test_windows_end_where_the_limit_is_passed() -> None:
    x = jnp.asarray([0.0, 1.0, 5.0, LIMIT, LIMIT, 2.0, 1.0])
    states = State(jnp.stack([x, x], axis=1), jnp.zeros((7, 2)))
    buffer = ReplayBuffer.empty(6, 2, 1).add(
        Experience(
            jax.tree.map(lambda z: z[:-1], states),
            jnp.arange(6.0)[:, None],
            jnp.zeros(6),
            jax.tree.map(lambda z: z[1:], states),
            jnp.zeros(6, bool),
        ),
        jnp.asarray(0),
    )
    assert BOX.rows(buffer).tolist() == [True, True, False, False, False, True]
    drawn = BOX.sample(buffer, jax.random.key(0), 100)
    assert {float(a) for a in drawn.action[:, 0]} == {0.0, 1.0, 5.0}
    windows, mask = BOX.sample_windows(buffer, jax.random.key(1), 100, 3)
    starts = windows.action[:, 0, 0].astype(int)
    inside = {0: [1, 1, 0], 1: [1, 0, 0], 2: [0, 0, 0], 3: [0] * 3, 4: [0] * 3, 5: [1, 0, 0]}
    assert {*starts.tolist()} == set(inside)
    for start, row in zip(starts.tolist(), mask.tolist(), strict=True):
        assert row == inside[start]
