"""Where experience comes from: the compiled world beside the environments themselves."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from lagdyna.experiments import Config, Trainer, Training
from lagdyna.experiments._seeds import OneSeed
from lagdyna.experiments._worlds import CompiledWorld, HostWorld, make_world, start_seeds
from lagdyna.mechanics import State
from lagdyna.tasks import SuiteEnv, get_task

from .. import environments as environments  # registers them
from .small import small_config


def config_of(name: str, repeat: int, **changes: Any) -> Config:
    task = dataclasses.replace(get_task(name), repeat=repeat)
    return small_config(task=dataclasses.asdict(task), **changes)


def countdown(repeat: int, **changes: Any) -> Config:
    task = dataclasses.replace(
        get_task("Pendulum-v1"), env_id="lagdyna-tests/Countdown-v0", repeat=repeat
    )
    return small_config(task=dataclasses.asdict(task), **changes)


def all_of_it(config: Config) -> tuple[Training, float]:
    """A run that never trains: all of its steps, and the sum of their rewards."""
    seeds = OneSeed(Trainer(config))
    world = make_world(seeds)
    steps = np.asarray([config.steps])
    training, paid = world.collect(
        seeds.start(), steps, steps, np.asarray([True]), lambda done: None
    )
    world.close()
    return training, float(paid[0])


@pytest.fixture(scope="module")
def lived() -> tuple[Training, float]:
    """33 actions of 30 steps and one of 10, and half an episode more."""
    return all_of_it(config_of("pendulum", 30, steps=1500, collect={"random_steps": 700}))


def test_a_run_s_steps_are_the_environment_s(lived: tuple[Training, float]) -> None:
    training, _ = lived
    assert (int(training.env_steps), int(training.episodes)) == (1500, 2)
    assert int(training.actions) == 34 + 17
    # What an end that is none of the task's cut short is not stored.
    assert int(training.buffer.added) == 33 + 16
    np.testing.assert_array_equal(training.buffer.episode[:49], 33 * [0] + 16 * [1])
    assert training.buffer.capacity == 1500 // 30


def test_compiled_experience_is_that_of_the_environment(lived: tuple[Training, float]) -> None:
    """Each stored transition, made again by the float32 environment, step by step."""
    training, paid = lived
    env = SuiteEnv("pendulum", precision="float32")
    stored = jax.tree.map(lambda x: np.asarray(x[:49]), training.buffer.experience)
    total = 0.0
    for i in range(49):
        state, action, reward, following, terminated = jax.tree.map(lambda x, i=i: x[i], stored)
        env.reset(options={"state": (state.q, state.qd)})
        rewards = [env.step(action)[1] for _ in range(30)]
        assert reward == pytest.approx(sum(rewards), rel=1e-4)
        assert np.cos(following.q - env.state.q) == pytest.approx(1, abs=1e-6)
        np.testing.assert_allclose(following.qd, env.state.qd, rtol=1e-3, atol=1e-4)
        assert not terminated
        total += float(reward)
        if i not in (0, 33):  # an episode goes on from where it was
            np.testing.assert_array_equal(state.q, stored.next_state.q[i - 1])
            np.testing.assert_array_equal(state.qd, stored.next_state.qd[i - 1])
    starts = stored.state.q[[0, 33], 0]
    assert starts[0] != starts[1]
    assert np.all(np.cos(starts) < -0.99)
    assert not np.any(stored.state.qd[[0, 33]])
    # The two actions that were cut short paid too, at most 1 a step.
    assert total <= paid <= total + 10 + 20
    assert len(np.unique(stored.action)) == 49


def test_collecting_in_pieces_is_collecting_at_once(lived: tuple[Training, float]) -> None:
    whole, _ = lived
    seeds = OneSeed(
        Trainer(config_of("pendulum", 30, steps=1500, collect={"random_steps": 700}))
    )
    world, training = make_world(seeds), seeds.start()
    ends = np.asarray([1500])
    for stop in (1, 31, 400, 1500):
        training, _ = world.collect(
            training, np.asarray([stop]), ends, np.asarray([True]), lambda done: None
        )
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(training), strict=True):
        if isinstance(a, jax.Array):
            np.testing.assert_array_equal(a, b)


def test_an_episode_is_collected_in_parts_though_a_round_has_its_steps() -> None:
    """In actions of 30 steps: a training may come before the end of the episode, not after."""
    config = config_of("pendulum", 30, steps=1500, collect={"random_steps": 700})
    seeds = OneSeed(Trainer(config))
    world, training = make_world(seeds), seeds.start()
    for stop, steps, between in ((400, 420, False), (900, 900, False), (2000, 1000, True)):
        training, _ = world.collect(
            training,
            np.asarray([stop]),
            np.asarray([300]),
            np.asarray([True]),
            lambda done: None,
        )
        assert int(training.env_steps) == steps
        assert world.between(training).tolist() == [between]


def test_on_the_host_context_is_stored_beside_the_coordinates() -> None:
    """Its third entry is `rest` over 10 at the time, which here stands for a target."""
    config = countdown(1, steps=12)
    task = dataclasses.replace(config.task, context=(2, 0), context_range=1.0)
    training, _ = all_of_it(dataclasses.replace(config, task=task))
    states, following = training.buffer.experience.state, training.buffer.experience.next_state
    assert states.q.shape == (12, 3)
    rest = np.asarray(states.q[:, 1])
    assert np.all((rest > 0) & (rest < 1))
    np.testing.assert_allclose(following.q[:, 1], rest - 0.1, atol=1e-6)
    np.testing.assert_array_equal(states.q[:, 2], 1)
    np.testing.assert_array_equal(states.qd[:, 1:], 0)


def test_a_round_of_a_thousand_steps_is_one_call_of_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[int] = []
    change = OneSeed.change

    def counted(self: OneSeed, *args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        return change(self, *args, **kwargs)

    monkeypatch.setattr(OneSeed, "change", counted)
    training, _ = all_of_it(config_of("pendulum", 2, steps=1000))
    assert int(training.env_steps) == 1000
    assert len(calls) == 1


@pytest.mark.parametrize("repeat", [30, 7])
def test_policies_are_judged_as_in_the_environment(repeat: int) -> None:
    """Step by step in the float32 environment; 7 and 30 do not divide the 1000 steps."""
    seeds = OneSeed(Trainer(config_of("pendulum", repeat)))
    training, world = seeds.start(), make_world(seeds)
    assert isinstance(world, CompiledWorld)
    starts = start_seeds(0, 1, 2)[None]
    returns = world.evaluate(training, starts)
    expected = np.zeros(2)
    env = SuiteEnv("pendulum", precision="float32")
    for i, start in enumerate(starts[0]):
        env.reset(seed=int(start))
        for step in range(1000):
            if step % repeat == 0:
                state = State(env.state.q[None], env.state.qd[None])
                action = np.asarray(seeds.trainer.act(training, state))[0]
            expected[i] += env.step(action)[1]
    assert returns.shape == (1, 2)
    assert expected.std() > 0
    np.testing.assert_allclose(returns[0], expected, rtol=1e-3, atol=1e-4)


def test_on_the_host_what_ends_for_good_is_stored_however_short() -> None:
    """Episodes of one to nine steps, a reward of 1 for each, actions of four steps."""
    config = countdown(4, steps=40)
    training, paid = all_of_it(config)
    assert isinstance(make_world(OneSeed(Trainer(config))), HostWorld)
    lengths, rest = [], 40
    while rest > 0:
        env = environments.Countdown()
        env.reset(seed=int(start_seeds(0, 0, len(lengths) + 1)[-1]))
        lengths.append(min(env.rest, rest))
        ends_for_good = env.rest <= rest
        rest -= lengths[-1]
    assert paid == 40
    assert (int(training.env_steps), int(training.episodes)) == (40, len(lengths))
    actions = [[min(4, n - i) for i in range(0, n, 4)] for n in lengths]
    assert int(training.actions) == sum(map(len, actions))
    flat = [steps for each in actions for steps in each]
    if not ends_for_good and flat[-1] < 4:
        flat.pop()
    assert int(training.buffer.added) == len(flat)
    np.testing.assert_array_equal(training.buffer.experience.reward[: len(flat)], flat)
    assert training.buffer.capacity == 40


def test_on_the_host_what_time_cuts_short_is_not_stored() -> None:
    """Episodes of twenty steps, eight for each action."""
    task = dataclasses.replace(
        get_task("Pendulum-v1"), env_id="lagdyna-tests/ShortPendulum-v0", repeat=8
    )
    training, _ = all_of_it(small_config(task=dataclasses.asdict(task), steps=45))
    assert (int(training.env_steps), int(training.episodes)) == (45, 3)
    assert int(training.actions) == 3 + 3 + 1
    assert int(training.buffer.added) == 2 + 2
    assert not np.any(training.buffer.experience.terminated)


def test_nothing_is_compiled_after_the_first_round_of_a_compiled_world(
    compilations: Callable[[], int],
) -> None:
    from lagdyna.experiments import Silence
    from lagdyna.experiments._rounds import run_rounds

    after: list[int] = []
    config = config_of(
        "pendulum",
        2,
        steps=3000,
        solver={"name": "euler"},
        collect={"train_every": 600, "steps_per_round": 900},
    )
    seeds = OneSeed(Trainer(config))
    training, (records,) = run_rounds(
        seeds, seeds.start(), [[]], lambda *_: after.append(compilations()), Silence()
    )
    assert int(training.env_steps) == 3000
    assert [record["env_steps"] for record in records] == [1000, 2000, 3000]
    assert [e["env_steps"] for e in records[0]["evaluations"]] == [600, 1000]
    assert [record["episodes"] for record in records] == [1, 2, 3]
    assert after[1:] == after[:1] * 2
