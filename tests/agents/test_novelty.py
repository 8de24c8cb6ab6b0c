"""The reward for new states, and the agent that explores by it until rewards differ."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagdyna.agents import (
    Features,
    ImaginationAgent,
    InitialStarts,
    NoveltyReward,
    rewards_are_equal,
)
from lagdyna.data import Experience, ReplayBuffer
from lagdyna.mechanics import Coordinates, Limits, State
from lagdyna.models import GivenReward
from lagdyna.simulate import WorldModel

from .toys import (
    BATCH,
    FEATURES,
    phase,
    small_actor_critic,
    swing,
)

ZERO = jnp.zeros(1)
KNOWN = GivenReward(lambda state, action, next_state: 7.0 + 0 * action[0])


@eqx.filter_jit
def buffer_of(q: Any, rewards: Any, capacity: int = 10) -> ReplayBuffer:
    """Transitions that rest at the positions `q`, shape `(entries, n)`."""
    q = jnp.asarray(q, float)
    state = State(q, 0 * q)
    size = len(q)
    experience = Experience(
        state,
        jnp.zeros((size, 1)),
        jnp.asarray(rewards, float),
        state,
        jnp.zeros(size, bool),
    )
    empty = ReplayBuffer.empty(capacity, q.shape[1], 1)
    return empty.add(experience, jnp.asarray(0))


def at(*q: float) -> State:
    return State(jnp.asarray(q), jnp.zeros(len(q)))


@eqx.filter_jit
def reward_at(reward: NoveltyReward, state: State) -> Any:
    return reward(at(0.0), ZERO, state)


def test_a_state_far_from_all_others_has_novelty_1_and_a_visited_one_0() -> None:
    reward = NoveltyReward.of_buffer(KNOWN, FEATURES, buffer_of([[0.3]] * 4, [0.0] * 4))
    # Of four equal states the density is 1, so the novelty is -log(1.001) / log(1000).
    assert float(reward_at(reward, at(0.3))) == pytest.approx(
        -np.log(1.001) / np.log(1e3), rel=1e-3
    )
    assert float(reward_at(reward, at(0.3 + np.pi))) == pytest.approx(1, abs=1e-4)


def test_the_density_is_the_mean_of_kernels_around_visited_states() -> None:
    visited = np.asarray([0.0, 0.1, 0.4, -0.3])
    reward = NoveltyReward.of_buffer(KNOWN, FEATURES, buffer_of(visited[:, None], [0.0] * 4))
    for q in (0.0, 0.25, -1.0):
        chords = 2 * np.sin((q - visited) / 2) / 0.2  # of the unit circle
        expected = -np.log(np.exp(-0.5 * chords**2).mean() + 1e-3) / np.log(1e3)
        assert float(reward_at(reward, at(q))) == pytest.approx(expected, rel=1e-4)


def test_more_coordinates_have_wider_kernels() -> None:
    pair = Features(Coordinates((True, True)), (4.0, 4.0))
    reward = NoveltyReward.of_buffer(KNOWN, pair, buffer_of([[0.0, 0.0]], [0.0]))
    expected = -np.log(np.exp(-0.5 * (2 * np.sin(0.25) / 0.04**0.25) ** 2) + 1e-3) / np.log(1e3)
    assert float(reward_at(reward, at(0.0, 0.5))) == pytest.approx(expected, rel=1e-4)


def test_novelty_grows_away_from_a_visited_state() -> None:
    reward = NoveltyReward.of_buffer(KNOWN, FEATURES, buffer_of([[0.0]], [0.0]))
    found = [float(reward_at(reward, at(q))) for q in (0.0, 0.1, 0.2, 0.4, 0.6)]
    assert found == sorted(found)
    assert found[-1] > found[0] + 0.5


def test_rewards_that_differ_replace_novelty() -> None:
    alike = NoveltyReward.of_buffer(KNOWN, FEATURES, buffer_of([[0.0], [0.1]], [2.0, 2.0]))
    met = NoveltyReward.of_buffer(KNOWN, FEATURES, buffer_of([[0.0], [0.1]], [2.0, 3.0]))
    assert float(reward_at(alike, at(0.0))) < 0.2
    assert float(reward_at(met, at(0.0))) == 7


def test_the_context_is_no_reason_for_novelty() -> None:
    joint = Features(Coordinates((True,)), (4.0,))
    reward = NoveltyReward.of_buffer(KNOWN, joint, buffer_of([[0.3, 0.5]], [0.0]))
    assert float(reward_at(reward, at(0.3, -0.9))) == pytest.approx(0, abs=1e-3)
    assert float(reward_at(reward, at(2.0, 0.5))) == pytest.approx(1, abs=1e-3)


@given(
    rewards=st.lists(st.sampled_from([0.0, 1.0]), min_size=3, max_size=3),
    offset=st.sampled_from([-1e3, 0.0, 5.0]),
)
def test_rewards_are_equal_if_none_differs(rewards: list[float], offset: float) -> None:
    buffer = buffer_of([[0.0]] * 3, np.asarray(rewards) + offset)
    assert bool(rewards_are_equal(buffer)) == (len(set(rewards)) == 1)


def test_empty_slots_and_broken_rewards_count_as_no_reward() -> None:
    assert rewards_are_equal(ReplayBuffer.empty(5, 1, 1))
    assert rewards_are_equal(buffer_of([[0.0]] * 3, [2.0, np.nan, 2.0]))
    assert rewards_are_equal(buffer_of([[0.0]] * 2, [2.0, 2.0 + 1e-6]))
    assert not rewards_are_equal(buffer_of([[0.0]] * 3, [2.0, np.nan, 3.0]))


def explorer(**changes: Any) -> ImaginationAgent:
    options: dict[str, Any] = {
        "actor_critic": small_actor_critic(),
        "batch": BATCH,
        "starts": InitialStarts(),
        "sampling_range": Limits((3.0,), (8.0,)),
        "entropy_end": 1.0,
        "entropy_phases": 5,
        "interval": 2,
        "novelty": FEATURES,
    }
    return ImaginationAgent(**{**options, **changes})


@eqx.filter_jit
def imagined_reward(agent: ImaginationAgent, buffer: ReplayBuffer) -> Any:
    state = agent.init(jax.random.key(0))
    return agent.improve(state, WorldModel(swing(), KNOWN), buffer, phase(1), 2)[1][
        "imagined_reward"
    ]


def test_the_agent_imagines_novelty_until_rewards_differ() -> None:
    alike, met = (buffer_of([[0.0], [0.1]], rewards) for rewards in ([2.0, 2.0], [2.0, 3.0]))
    assert 0 < float(imagined_reward(explorer(), alike)) < 1
    assert float(imagined_reward(explorer(), met)) == pytest.approx(7)
    # Other agents take rewards as they are.
    assert float(imagined_reward(explorer(novelty=None), alike)) == pytest.approx(7)


def test_the_reward_scale_is_that_of_novelty_until_rewards_differ() -> None:
    world = WorldModel(swing(), GivenReward(lambda state, action, next_state: 0 * action[0]))

    def scale(rewards: list[float]) -> float:
        buffer = buffer_of([[0.0], [0.1]], rewards)
        explored = explorer()._explored(world, buffer)
        return float(explorer().reward_scale(explored, buffer, phase(1)))

    assert 0.5 < scale([-100.0, -100.0]) <= 1
    assert scale([-100.0, -90.0]) == pytest.approx(np.sqrt((100**2 + 90**2) / 2), rel=1e-4)
