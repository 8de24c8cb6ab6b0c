"""Experience and evaluations: the compiled loop compared with the environments themselves."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given as given_
from hypothesis import strategies as st

from lagdyna.config import Config, given
from lagdyna.mechanics import State
from lagdyna.progress import Silence
from lagdyna.tasks import SuiteEnv, get_task
from lagdyna.training import (
    AbstractEnvironmentLoop,
    OneSeed,
    Records,
    Round,
    Trainer,
    TrainingState,
    make_environment_loop,
    run_rounds,
    start_seeds,
)
from lagdyna.training._compiled import CompiledLoop
from lagdyna.training._host import HostLoop
from lagdyna.training._rounds import _chunks

from .. import environments as environments  # registers them
from ..small import MLP, REPLAYED, small_config


def config_of(name: str, repeat: int, **changes: Any) -> Config:
    task = dataclasses.replace(get_task(name), repeat=repeat)
    return small_config(task=dataclasses.asdict(task), model=MLP, **changes)


def countdown(repeat: int, **changes: Any) -> Config:
    task = dataclasses.replace(
        get_task("Pendulum-v1"),
        env_id="lagdyna-tests/Countdown-v0",
        repeat=repeat,
        unchecked=True,
    )
    return small_config(task=dataclasses.asdict(task), model=MLP, **changes)


def collected(config: Config) -> tuple[TrainingState, float]:
    """All steps of a run that never trains, and the sum of their rewards."""
    seeds = OneSeed(Trainer(config))
    loop = make_environment_loop(seeds)
    training, rewards = collect(loop, seeds.start(), given(config.steps))
    loop.close()
    return training, rewards


def collect(
    loop: AbstractEnvironmentLoop, training: TrainingState, stop: int, end: int | None = None
) -> tuple[TrainingState, float]:
    """Collect until step `stop`; episodes may end a round from `end` on, by default `stop`."""
    ends = np.asarray([stop if end is None else end])
    stops, active = np.asarray([stop]), np.asarray([True])
    training, rewards = loop.collect(training, stops, ends, active, lambda done: None)
    return training, float(rewards[0])


@pytest.fixture(scope="module")
def compiled() -> tuple[OneSeed, AbstractEnvironmentLoop]:
    """Actions of 30 steps in the suite, so that the last action of an episode has 10."""
    config = config_of("pendulum", 30, steps=1500, collect={"random_steps": 700})
    seeds = OneSeed(Trainer(config))
    return seeds, make_environment_loop(seeds)


@pytest.fixture(scope="module")
def whole(compiled: tuple[OneSeed, AbstractEnvironmentLoop]) -> tuple[TrainingState, float]:
    """33 actions of 30 steps and one of 10, and half an episode more."""
    seeds, loop = compiled
    return collect(loop, seeds.start(), 1500)


def test_steps_of_a_run_are_steps_of_the_environment(
    whole: tuple[TrainingState, float],
) -> None:
    training, _ = whole
    assert (int(training.env_steps), int(training.episodes)) == (1500, 2)
    assert int(training.actions) == 34 + 17
    # Actions that the end of an episode or of the run cuts short are not stored.
    assert int(training.buffer.added) == 33 + 16
    np.testing.assert_array_equal(np.asarray(training.buffer.episode)[:49], 33 * [0] + 16 * [1])
    assert training.buffer.capacity == 1500 // 30


def test_compiled_experience_is_that_of_the_environment(
    whole: tuple[TrainingState, float],
) -> None:
    """The float32 environment repeats each stored transition, step by step."""
    training, rewards_sum = whole
    env = SuiteEnv("pendulum", precision="float32")
    stored = jax.tree.map(lambda x: np.asarray(x)[:49], training.buffer.experience)
    total = 0.0
    for i in range(49):
        state, action, reward, after, terminated = jax.tree.map(lambda x, i=i: x[i], stored)
        env.reset(options={"state": (state.q, state.qd)})
        rewards = [env.step(action)[1] for _ in range(30)]
        assert reward == pytest.approx(sum(rewards), rel=1e-4)
        assert np.cos(after.q - env.state.q) == pytest.approx(1, abs=1e-6)
        np.testing.assert_allclose(after.qd, env.state.qd, rtol=1e-3, atol=1e-4)
        assert not terminated
        total += float(reward)
        if i not in (0, 33):  # within an episode each state is the next of the one before
            np.testing.assert_array_equal(state.q, stored.next_state.q[i - 1])
            np.testing.assert_array_equal(state.qd, stored.next_state.qd[i - 1])
    starts = stored.state.q[[0, 33], 0]
    assert starts[0] != starts[1]
    assert np.all(np.cos(starts) < -0.99)
    assert not np.any(stored.state.qd[[0, 33]])
    # The two actions that were cut short had rewards too, of at most 1 a step.
    assert total <= rewards_sum <= total + 10 + 20
    assert len(np.unique(stored.action)) == 49


def test_collecting_in_pieces_equals_collecting_at_once(
    compiled: tuple[OneSeed, AbstractEnvironmentLoop], whole: tuple[TrainingState, float]
) -> None:
    seeds, loop = compiled
    training = seeds.start()
    for stop in (1, 31, 400, 1500):
        training, _ = collect(loop, training, stop, 1500)
    for a, b in zip(jax.tree.leaves(whole[0]), jax.tree.leaves(training), strict=True):
        if isinstance(a, jax.Array):
            np.testing.assert_array_equal(a, b)


def test_a_round_ends_at_the_end_of_an_episode(
    compiled: tuple[OneSeed, AbstractEnvironmentLoop],
) -> None:
    """Training may interrupt an episode after any action, here of 30 steps each."""
    seeds, loop = compiled
    training = seeds.start()
    for stop, steps, between in ((400, 420, False), (900, 900, False), (2000, 1000, True)):
        training, _ = collect(loop, training, stop, 300)
        assert int(training.env_steps) == steps
        assert loop.between_episodes(training).tolist() == [between]


def test_the_host_loop_stores_context_beside_the_coordinates() -> None:
    """The third entry of the observation is `rest` over 10, which here stands for a target."""
    config = countdown(1, steps=12)
    task = dataclasses.replace(config.task, context=(2, 0), context_range=1.0)
    training, _ = collected(dataclasses.replace(config, task=task))
    states, after = training.buffer.experience.state, training.buffer.experience.next_state
    assert states.q.shape == (12, 3)
    rest = np.asarray(states.q)[:, 1]
    assert np.all((rest > 0) & (rest < 1))
    np.testing.assert_allclose(np.asarray(after.q)[:, 1], rest - 0.1, atol=1e-6)
    np.testing.assert_array_equal(np.asarray(states.q)[:, 2], 1)
    np.testing.assert_array_equal(np.asarray(states.qd)[:, 1:], 0)


def test_a_transition_from_an_unknown_velocity_is_not_stored() -> None:
    """Of the suite's pendulum, which has no compiled loop without its velocity."""
    task = get_task("pendulum")
    hidden = dataclasses.replace(task.coordinates[0], velocity=None)
    for start, stored in ((None, 11), (0.0, 12)):
        coordinate = dataclasses.replace(hidden, start_velocity=start)
        positions = dataclasses.replace(task, coordinates=(coordinate,), repeat=1)
        config = small_config(task=dataclasses.asdict(positions), model=MLP, steps=12)
        training, _ = collected(config)
        assert (int(training.env_steps), int(training.actions)) == (12, 12)
        assert int(training.buffer.added) == stored
        speeds = np.asarray(training.buffer.experience.state.qd)[:stored, 0]
        assert (speeds[0] == 0) == (start == 0.0)
        assert np.all(speeds[1:] != 0)


def test_a_thousand_compiled_steps_are_one_call_of_the_host(
    compiled: tuple[OneSeed, AbstractEnvironmentLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds, loop = compiled
    calls: list[int] = []
    update = OneSeed.update

    def counted(self: OneSeed, *args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        return update(self, *args, **kwargs)

    monkeypatch.setattr(OneSeed, "update", counted)
    training, _ = collect(loop, seeds.start(), 1000)
    assert int(training.env_steps) == 1000
    assert len(calls) == 1


def test_compiled_evaluations_equal_those_in_the_environment(
    compiled: tuple[OneSeed, AbstractEnvironmentLoop],
) -> None:
    """Step by step in the float32 environment; 30 does not divide the 1000 steps."""
    seeds, loop = compiled
    training = seeds.start()
    assert isinstance(loop, CompiledLoop)
    starts = start_seeds(0, 1, 2)[None]
    returns = loop.evaluate(training, starts)
    expected = np.zeros(2)
    env = SuiteEnv("pendulum", precision="float32")
    for i, start in enumerate(starts[0]):
        env.reset(seed=int(start))
        for step in range(1000):
            if step % 30 == 0:
                state = State(env.state.q[None], env.state.qd[None])
                action = np.asarray(seeds.trainer.act(training, state))[0]
            expected[i] += env.step(action)[1]
    assert returns.shape == (1, 2)
    assert expected.std() > 0
    np.testing.assert_allclose(returns[0], expected, rtol=1e-3, atol=1e-4)


def test_the_host_loop_stores_a_terminated_action_however_short() -> None:
    """Episodes of one to nine steps, a reward of 1 for each, actions of four steps."""
    config = countdown(4, steps=40)
    training, rewards_sum = collected(config)
    assert isinstance(make_environment_loop(OneSeed(Trainer(config))), HostLoop)
    lengths, rest = [], 40
    while rest > 0:
        env = environments.Countdown()
        env.reset(seed=int(start_seeds(0, 0, len(lengths) + 1)[-1]))
        lengths.append(min(env.rest, rest))
        terminates = env.rest <= rest
        rest -= lengths[-1]
    assert rewards_sum == 40
    assert (int(training.env_steps), int(training.episodes)) == (40, len(lengths))
    actions = [[min(4, n - i) for i in range(0, n, 4)] for n in lengths]
    assert int(training.actions) == sum(map(len, actions))
    flat = [steps for each in actions for steps in each]
    if not terminates and flat[-1] < 4:
        flat.pop()
    assert int(training.buffer.added) == len(flat)
    np.testing.assert_array_equal(
        np.asarray(training.buffer.experience.reward)[: len(flat)], flat
    )
    assert training.buffer.capacity == 40


def test_the_host_loop_stores_no_action_that_truncation_cuts_short() -> None:
    """Episodes of twenty steps, eight for each action."""
    task = dataclasses.replace(
        get_task("Pendulum-v1"), env_id="lagdyna-tests/ShortPendulum-v0", repeat=8
    )
    table = dataclasses.asdict(task)
    training, _ = collected(small_config(task=table, model=MLP, steps=45))
    assert (int(training.env_steps), int(training.episodes)) == (45, 3)
    assert int(training.actions) == 3 + 3 + 1
    assert int(training.buffer.added) == 2 + 2
    assert not np.any(training.buffer.experience.terminated)


def test_nothing_is_compiled_after_the_first_round(compilations: Callable[[], int]) -> None:
    """In the compiled loop; `tests/runs/test_train.py` proves it of the host loop."""
    after: list[int] = []
    config = config_of(
        "pendulum",
        2,
        steps=3000,
        agent=REPLAYED,
        collect={"train_every": 600, "steps_per_round": 900},
    )
    seeds = OneSeed(Trainer(config))

    def keep(training: TrainingState, records: Records, begun: Round | None) -> None:
        if begun is None:
            after.append(compilations())

    training, (records,) = run_rounds(seeds, seeds.start(), [[]], keep, Silence())
    assert int(training.env_steps) == 3000
    assert [record["env_steps"] for record in records] == [1000, 2000, 3000]
    assert [e["env_steps"] for e in records[0]["evaluations"]] == [600, 1000]
    assert [record["episodes"] for record in records] == [1, 2, 3]
    assert after[1:] == after[:1] * 2


@given_(st.integers(0, 5000))
def test_a_phase_is_divided_into_chunks_of_at_most_two_sizes(updates: int) -> None:
    sizes = _chunks(updates)
    assert sum(sizes) == updates
    assert len(set(sizes)) <= 2
    assert all(0 < size <= 200 for size in sizes)
    assert len(sizes) <= 2 * -(-updates // 200)


@pytest.mark.parametrize(
    ("updates", "sizes"), [(300, [150] * 2), (2000, [200] * 10), (30, [30])]
)
def test_chunks_are_equal_where_they_can_be(updates: int, sizes: list[int]) -> None:
    assert _chunks(updates) == sizes
