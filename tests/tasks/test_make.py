"""Arguments of `gymnasium.make` and wrappers in the description of a task."""

import dataclasses
import re

import numpy as np
import pytest

from lagdyna import UserError
from lagdyna.config import config_from_table
from lagdyna.options import config_to_toml, read_table
from lagdyna.tasks import (
    GymnasiumBatch,
    GymnasiumTask,
    TaskSpec,
    WrapperSpec,
    get_task,
    known_equations,
    suite_name,
)

OWN = """
import gymnasium as gym

class Doubled(gym.RewardWrapper):
    def __init__(self, env, factor=2.0):
        super().__init__(env)
        self.factor = factor

    def reward(self, reward):
        return self.factor * reward

nothing = lambda env: None
"""


def pendulum(**changes) -> TaskSpec:
    return dataclasses.replace(get_task("Pendulum-v1"), **changes)


def first_reward(spec: TaskSpec) -> float:
    task = GymnasiumTask(spec)
    task.reset(seed=0)
    outcome = task.step(np.zeros(1, np.float32))
    task.close()
    return outcome.reward


def test_arguments_of_make_reach_the_environment() -> None:
    task = GymnasiumTask(pendulum(make={"g": 3.0, "max_episode_steps": 7}))
    assert task._env.unwrapped.g == 3.0
    task.reset(seed=0)
    ends = [task.step(np.zeros(1)).truncated for _ in range(7)]
    assert ends == [False] * 6 + [True]
    batch = GymnasiumBatch(pendulum(make={"g": 3.0}), 2)
    assert [env.unwrapped.g for env in batch._env.envs] == [3.0, 3.0]
    batch.close()


def test_wrappers_are_applied_in_order(tmp_path, monkeypatch) -> None:
    (tmp_path / "own_wrappers.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    plain = first_reward(pendulum())
    clip = WrapperSpec(name="ClipReward", arguments={"min_reward": -1.0, "max_reward": 0.0})
    for name in (f"{tmp_path}/own_wrappers.py:Doubled", "own_wrappers:Doubled"):
        own = WrapperSpec(name=name, arguments={"factor": 3.0})
        assert first_reward(pendulum(wrappers=(own,))) == pytest.approx(3 * plain)
        clipped = max(plain, -1.0)
        assert first_reward(pendulum(wrappers=(clip, own))) == pytest.approx(3 * clipped)
        assert first_reward(pendulum(wrappers=(own, clip))) == pytest.approx(-1.0)


def test_they_are_options_of_a_config_and_are_kept_in_its_file(tmp_path) -> None:
    table = {
        "env_id": "Pendulum-v1",
        "dt": 0.05,
        "force": [[2.0]],
        "coordinates": [
            {"kind": "angle", "cos": 0, "sin": 1, "velocity": 2, "velocity_limit": 8.0}
        ],
        "make": {"g": 9.81},
        "wrappers": ["TimeAwareObservation", {"name": "ClipReward", "arguments": {"x": [1]}}],
    }
    config = config_from_table({"task": table})
    assert config.task.make == {"g": 9.81}
    assert [each.name for each in config.task.wrappers] == [
        "TimeAwareObservation",
        "ClipReward",
    ]
    path = tmp_path / "config.toml"
    path.write_text(config_to_toml(config))
    assert config_from_table(read_table(path)) == config
    assert hash(config) == hash(config_from_table(read_table(path)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"make": {"gravity": 1.0}}, r"`task.make` was {'gravity': 1.0}, .* does not accept"),
        ({"make": {"render_mode": "human"}}, r"`task.make.render_mode` was given"),
        ({"wrappers": ["ClipRewards"]}, r"`task.wrappers\[0\].name` .* nearest: ClipReward"),
        (
            {"wrappers": ["FrameStackObservation"]},
            r"`task.wrappers\[0\]` .* does not accept: TypeError",
        ),
        ({"wrappers": ["no_such_module:X"]}, r"no_such_module:X', and loading it failed"),
        ({"wrappers": ["{}/own.py:nothing"]}, r"is no wrapper of an environment"),
        ({"wrappers": ["{}/own.py:none"]}, r"`task.wrappers\[0\].name` .* has no 'none'"),
    ],
)
def test_what_gymnasium_refuses_gets_one_sentence(changes, said, tmp_path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    names = [each.format(tmp_path) for each in changes.get("wrappers", ())]
    if names:
        changes = {"wrappers": tuple(WrapperSpec(name=name) for name in names)}
    with pytest.raises(ValueError, match=said) as caught:
        GymnasiumTask(pendulum(**changes))
    assert "\n" not in str(caught.value)


def test_an_environment_that_fails_gets_one_sentence(tmp_path, monkeypatch) -> None:
    (tmp_path / "broken_module.py").write_text("raise RuntimeError('no robot\\nhere')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="cannot be made: RuntimeError: no robot here"):
        GymnasiumTask(pendulum(env_id="broken_module:My/Env-v0"))
    with pytest.raises(ValueError, match=re.escape("finds no module 'absent_module'")):
        GymnasiumTask(pendulum(env_id="absent_module:My/Env-v0"))


def test_a_changed_environment_is_no_task_of_the_suite() -> None:
    acrobot = get_task("acrobot")
    assert suite_name(acrobot) == "acrobot"
    wrappers = (WrapperSpec(name="ClipReward"),)
    assert suite_name(dataclasses.replace(acrobot, wrappers=wrappers)) is None
    assert suite_name(dataclasses.replace(acrobot, make={"max_episode_steps": 9})) is None


def test_known_equations_are_of_the_environment_that_is_made() -> None:
    system = known_equations(pendulum(make={"g": 3.0}))
    assert system is not None
    assert float(system.lagrangian.gravity) == 3.0  # pyright: ignore[reportAttributeAccessIssue]
    assert known_equations(pendulum(make={"max_episode_steps": 9})) is None


def test_an_unknown_option_of_a_wrapper_is_refused() -> None:
    task = {"env_id": "Pendulum-v1", "wrappers": [{"nam": "ClipReward"}]}
    with pytest.raises(UserError, match=r"`task.wrappers\[0\].nam` is not an option"):
        config_from_table({"task": task})
