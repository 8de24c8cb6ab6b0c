import gymnasium as gym
import numpy as np
import pytest

from lagdyna.tasks import TASKS, GymnasiumTask, TaskSpec, get_task
from lagdyna.tasks._foreign import FOREIGN


def described(name: str) -> TaskSpec:
    """Return a task, or skip the test if its packages are not installed."""
    if name in FOREIGN:
        pytest.importorskip("mujoco")
    if name.startswith("dm_control"):
        pytest.importorskip("dm_control")
        pytest.importorskip("shimmy")
    return get_task(name)


@pytest.mark.parametrize("name", TASKS)
def test_every_registered_task_can_be_made_and_stepped(name: str) -> None:
    spec = described(name)
    env = GymnasiumTask(spec)
    state = env.reset(0)
    outcome = env.step(np.zeros(spec.action_size))
    env.close()
    for q, qd in (state, outcome.state):
        assert q.shape == qd.shape == (spec.state_coordinates.n,)
        assert np.all(np.isfinite([q, qd]))
    assert np.isfinite(outcome.reward)
    assert spec.description


# Its space does not contain the velocity limits; `test_foreign.py` checks them.
UNSAID = "InvertedDoublePendulum-v5"


@pytest.mark.parametrize("name", [name for name in TASKS if name != UNSAID])
def test_velocity_limits_match_the_observation_space(name: str) -> None:
    spec = described(name)
    space = GymnasiumTask(spec)._env.observation_space
    assert isinstance(space, gym.spaces.Box)
    for c in spec.coordinates:
        if c.velocity_limit is not None:
            assert c.velocity_limit == space.high[c.velocity] == -space.low[c.velocity]


def test_the_error_for_an_unknown_name_lists_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"'Pendulm-v1'.*nearest: Pendulum-v1.*config file"):
        get_task("Pendulm-v1")


def test_the_error_for_a_name_without_near_matches_lists_all() -> None:
    with pytest.raises(ValueError, match=r"'zzz'.*all: Pendulum-v1") as error:
        get_task("zzz")
    assert "nearest" not in str(error.value)
