"""Learned models in place of environments."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import equinox as eqx
import gymnasium as gym
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from lagdyna import UserError
from lagdyna.config import Config
from lagdyna.identification import Sizes
from lagdyna.mechanics import State
from lagdyna.parts import SimulatorConfig
from lagdyna.runs import FittedRun, load_run, train
from lagdyna.simulate import LearnedModel, rollout
from lagdyna.tasks import get_task, simulator_of, suite_task
from lagdyna.worlds import LearnedEnv, _world, world_task

from ..control.systems import pendulum
from ..helpers import close
from ..small import REPLAYED, small_config

REWARDS = """
import jax.numpy as jnp

def upright(state, action):
    return jnp.cos(state.q[0]) - 0.1 * action @ action

def lifted(state, action, next_state):
    return next_state.qd[0] - state.qd[0]

def vector(state, action):
    return state.q
"""
SIZES = Sizes(
    n=1,
    actions=1,
    control="tau",
    dt=0.05,
    time=1.0,
    energy=1.0,
    position=(1.0,),
    origin=(0.0,),
    action=(1.0,),
    mass=(1.0,),
    speeds=(2.0,),
    steps_q=(0.1,),
    steps_qd=(0.1,),
)


@pytest.fixture(autouse=True)
def fitted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> LearnedModel:
    """Every directory holds a fit of a pendulum; the working directory holds rewards."""
    model = LearnedModel(pendulum())
    found = FittedRun(SimpleNamespace(), model, None, [], None, SIZES)  # pyright: ignore
    monkeypatch.setattr(_world, "load", lambda run, trust: found)
    monkeypatch.setattr(_world, "kind_of", lambda run: "fit")
    monkeypatch.setattr(_world, "check_precision", lambda run: None)
    (tmp_path / "mine.py").write_text(REWARDS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return model


def made(reward: str = "upright", **options: object) -> LearnedEnv:
    """An environment of the fit."""
    given = {"start": [np.pi], "limit": [0.5], "reward": f"mine.py:{reward}", **options}
    env = gym.make("lagdyna/LearnedModel-v0", run="fit", **given).unwrapped
    assert isinstance(env, LearnedEnv)
    return env


@pytest.mark.filterwarnings("ignore:.*Box observation space:UserWarning")
def test_environment_simulates_the_model_with_actions_as_parts_of_their_limits(fitted):
    env = made()
    check_env(env, skip_render_check=True)
    env.reset(options={"state": ([0.3], [0.1])})
    observations, rewards = [], []
    for action in (1.0, -0.4, 3.0):  # beyond 1 is clipped
        observation, reward, terminated, truncated, _ = env.step(np.asarray([action]))
        observations.append(observation)
        rewards.append(reward)
        assert not terminated
        assert not truncated
    start = State(jnp.asarray([0.3]), jnp.asarray([0.1]))
    torques = jnp.asarray([[0.5], [-0.2], [0.5]])
    states = rollout(fitted.transition, start, torques)
    close(np.stack(observations), np.concatenate([states.q, states.qd], 1)[1:], 1e-5)
    expected = jnp.cos(states.q[:-1, 0]) - 0.1 * torques[:, 0] ** 2
    close(np.asarray(rewards), expected, 1e-5)


def test_episodes_start_at_rest_around_the_start():
    env = made(spread=0.2)
    starts = np.stack([env.reset(seed=seed)[0] for seed in range(200)])
    assert np.all(starts[:, 1] == 0)
    angles = np.mod(starts[:, 0], 2 * np.pi) - np.pi
    assert angles.std() == pytest.approx(0.2, rel=0.2)
    assert np.array_equal(env.reset(seed=3)[0], starts[3])


def test_reward_of_three_arguments_gets_the_next_state():
    env = made("lifted")
    before, _ = env.reset(seed=0)
    after, reward, *_ = env.step(np.asarray([1.0]))
    assert reward == pytest.approx(after[1] - before[1], rel=1e-5)


def test_time_step_has_no_rounding_of_recorded_times(monkeypatch):
    sizes = SIZES._replace(dt=0.020000000000000018)  # of times such as 1.02 - 1.0
    found = _world.load(Path("fit"), trust=False)._replace(sizes=sizes)
    monkeypatch.setattr(_world, "load", lambda run, trust: found)
    task = world_task("other", start=[np.pi], reward="mine.py:upright", limit=[0.5])
    assert task.dt == 0.02
    assert task.max_episode_steps == 500


def test_policy_is_learned_in_a_fit_alone_and_loaded_with_it(tmp_path):
    """Nothing of the model is learned, and the run needs no environment."""
    task = world_task("fit", start=[np.pi], reward="mine.py:upright", limit=[0.5], episode=10)
    assert task.max_episode_steps == 10
    small = small_config(model=None, agent=REPLAYED, learner=None, reward=None, steps=20)
    config = Config(
        task=task,
        model="simulator",
        agent=small.agent,
        collect=small.collect,
        evaluation=small.evaluation,
        steps=20,
    )
    summary = train(config, tmp_path / "run")
    assert np.isfinite(summary["return_mean"])
    with pytest.raises(UserError, match="not run unasked"):
        load_run(tmp_path / "run")
    run = load_run(tmp_path / "run", trust=True)
    state, action = State(jnp.asarray([0.3]), jnp.asarray([0.1])), jnp.asarray([1.0])
    close(
        run.transition.step(state, action).q,
        pendulum().step(state, jnp.asarray([0.5])).q,
        1e-6,
    )
    assert "model_loss" not in run.records[-1]


@pytest.mark.parametrize("name", ["acrobot", "pilco-cartpole"])
def test_simulator_of_a_task_is_its_true_equations_and_reward(name: str):
    spec = dataclasses.replace(get_task(name), repeat=3)
    world, task = simulator_of(spec), suite_task(name)
    # Operation by operation, they are 124 programs.
    reset, step = eqx.filter_jit(task.reset), eqx.filter_jit(task.step)
    state = reset(jax.random.key(0))
    action = jnp.full(task.action_size, 0.3)
    after, total = state, 0.0
    for _ in range(3):
        after, reward = step(after, action)
        total += float(reward)
    predicted = eqx.filter_jit(world.transition.step)(state, action)
    close(predicted.q, after.q, 1e-6)
    summed = eqx.filter_jit(world.reward)(state, action, predicted)
    assert float(summed) == pytest.approx(total, rel=1e-2)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"reward": None}, "`reward` is missing"),
        ({"limit": None}, "`limit` is missing"),
        ({"limit": [0.0]}, "`limit` was"),
        ({"limit": [1.0, 2.0]}, "1 numbers are accepted"),
        ({"start": [0.0, 1.0]}, "1 finite numbers are accepted"),
        ({"start": [np.nan]}, "1 finite numbers are accepted"),
        ({"start": None}, "a fit does not know where an episode starts"),
        ({"episode": 0}, "1 step or more"),
        ({"reward": "mine.py:vector"}, "returns one number"),
        ({"reward": "mine.py:other"}, "has no 'other'"),
    ],
)
def test_options_that_do_not_fit_the_run_are_refused(options, match):
    given = {"start": [0.0], "reward": "mine.py:upright", "limit": [1.0], **options}
    with pytest.raises(UserError, match=match):
        world_task("fit", **given)


def test_environments_without_a_world_model_are_refused():
    with pytest.raises(UserError, match="gives no world model"):
        Config(model=SimulatorConfig()).plant()


def test_context_and_directories_of_other_kinds_are_refused(monkeypatch):
    monkeypatch.setattr(_world, "kind_of", lambda run: "seeds")
    with pytest.raises(UserError, match="holds no fit and no training run of one seed"):
        world_task("seeds", start=[0.0])
