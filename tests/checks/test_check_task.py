"""The check of a task's description against its environment."""

import dataclasses
import random
import re
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagdyna.checks import TaskFinding, check_task
from lagdyna.tasks import CoordinateSpec, TaskSpec, get_task

from .. import environments as environments
from ..tasks import swing
from ..tasks.swing import Swing, registered, spec_of

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:gymnasium")


def check(kind: Any = Swing, limit: int | None = 100, **changes: Any) -> list[TaskFinding]:
    options = {}
    if "wrapper" in changes:
        options["additional_wrappers"] = (changes.pop("wrapper").wrapper_spec(),)
    seed = changes.pop("check_seed", 0)
    with registered(kind, limit, **options) as env_id:
        return check_task(spec_of(env_id=env_id, **changes), seed=seed)


def only(findings: list[TaskFinding], verdict: str) -> list[str]:
    return [str(each) for each in findings if each.verdict == verdict]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("spec", ["swing", "Pendulum-v1"])
def test_a_right_description_has_no_complaint(spec: str, seed: int) -> None:
    if spec == "swing":
        findings = check(check_seed=seed)
    else:
        findings = check_task(get_task(spec), seed=seed)
    assert [each for each in findings if each.verdict != "ok"] == []
    assert {each.what for each in findings} == {
        "environment",
        "reset(seed)",
        "observations",
        "episodes",
        "coordinates[0] cos, sin",
        "coordinates[0] velocity, dt",
        "force of action 0",
        *(["solver"] if spec == "Pendulum-v1" else []),
    }


class Encoder(Swing):
    """It observes the cosine and sine of its angle only."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)

    def observe(self) -> Any:
        return super().observe()[:2]


class Stuck(Encoder):
    def step(self, action: Any) -> Any:
        return self.observe(), 0.0, False, False, {}


@pytest.mark.parametrize("order", [1, 2])
def test_positions_without_velocities_are_judged_by_the_rest(order: Any) -> None:
    options: dict[str, Any] = {"kind": Encoder, "velocity": None, "velocity_order": order}
    right = check(**options)
    assert only(right, "wrong") == only(right, "warning") == []
    said = {each.what: each.found for each in right}
    assert "coordinates[0] velocity, dt" not in said
    assert said["coordinates[0] position"].startswith("its velocity is estimated")
    assert said["observations"].startswith("2 finite numbers")
    assert "force of action 0" in said
    (pushed,) = only(check(**options, force=((-2.0,),)), "wrong")
    assert "accelerates against the direction" in pushed


def test_doubtful_positions_are_noted() -> None:
    (fast,) = only(check(Encoder, velocity=None, velocity_range=0.1), "warning")
    assert "and its range is 0.1; check `dt`" in fast
    assert "did not change in 49" in only(check(Stuck, velocity=None), "warning")[0]
    # The velocity is there, and the description has forgotten it.
    (forgotten,) = only(check(velocity=None), "warning")
    assert "set `velocity = 2` in `task.coordinates[0]`" in forgotten
    (circle,) = only(check(velocity=None, cos=1, sin=2), "wrong")
    assert "squares of entries 1 and 2" in circle


WRONG = {
    "dt too large": ({"dt": 0.5}, r"0.1 times velocity times `dt`; `dt = 0.05\d* fits|0.05"),
    "dt too small": ({"dt": 0.005}, r"10 times velocity times `dt`"),
    "exchanged": ({"cos": 1, "sin": 0}, "-1 times.*are `cos` and `sin` exchanged"),
    "no circle": ({"cos": 1, "sin": 2}, "squares of entries 1 and 2.*those of entries 0 and 1"),
    "velocity": ({"velocity": 0}, "the change fits entry 2: `velocity = 2`"),
    "force": ({"force": ((-2.0,),)}, "against the direction that `force` gives"),
    "normalised": ({"wrapper": gym.wrappers.NormalizeObservation}, "NormalizeObservation"),
}


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("seed", range(3))
def test_what_is_certainly_wrong_is_named(what: str, seed: int) -> None:
    changes, said = WRONG[what]
    wrong = only(check(check_seed=seed, **changes), "wrong")
    assert wrong
    assert any(re.search(said, each) for each in wrong)


class Delayed(Swing):
    before = 0.0

    def step(self, action: Any) -> Any:
        before, self.before = self.before, action
        return super().step(before)


class Unseeded(Swing):
    def reset(self, **options: Any) -> Any:
        super().reset(**options)
        self.q = random.uniform(-3, 3)
        np.random.uniform()  # noqa: NPY002
        return self.observe(), {}


class Falls(Swing):
    def step(self, action: Any) -> Any:
        observation, reward, *_ = super().step(action)
        return observation, reward, abs(self.v) > 3, False, {}


WARNED = {
    "dt": ({"dt": 0.1}, "0.501 times velocity times `dt`"),
    "friction": ({"kind_": swing.Damped}, "decay at 0.1 per second"),
    "no force": ({"force": ((0.0,),)}, "it accelerates coordinate 0, and its column"),
    "limit": ({"velocity_limit": 0.5}, "the limit is 0.5"),
    "delay": ({"kind_": Delayed}, "it takes effect one step later"),
    "seed": ({"kind_": Unseeded}, "two resets with a seed give different observations"),
    "ends": ({"kind_": Falls}, "terminated after .* no termination is described"),
    "endless": ({"limit": None}, "set `task.max_episode_steps`"),
    "context": ({"context": (2,)}, "entry 2 of the observation changes within an episode"),
}


@pytest.mark.parametrize("what", WARNED)
def test_doubts_are_warnings(what: str) -> None:
    changes, said = dict(WARNED[what][0]), WARNED[what][1]
    findings = check(changes.pop("kind_", Swing), **changes)
    assert only(findings, "wrong") == []
    assert any(re.search(said, each) for each in only(findings, "warning"))


def test_friction_that_is_described_is_no_doubt() -> None:
    assert only(check(swing.Damped, dissipation="viscous"), "warning") == []


@settings(max_examples=20, deadline=None)
@given(st.floats(-3, 3), st.floats(-2, 2), st.booleans())
def test_any_scale_of_time_and_force_is_judged_alike(
    time: float, force: float, flipped: bool
) -> None:
    """A cart in other units: only the relation of its columns to each other matters."""
    unit, gain = 10**time, 10**force

    class Cart(gym.Env):
        action_space = gym.spaces.Box(-1, 1, (1,), np.float64)
        observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float64)

        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            super().reset(seed=seed)
            self.state = self.np_random.normal(size=2) * [1, 1 / unit]
            return self.state.copy(), {}

        def step(self, action: Any) -> Any:
            self.state[1] += gain * action[0] * unit
            self.state[0] += self.state[1] * unit
            return self.state.copy(), 0.0, False, False, {}

    coordinate = CoordinateSpec(
        kind="linear", position=0, velocity=1, position_range=1.0, velocity_range=1.0
    )
    sign = -1.0 if flipped else 1.0
    with registered(Cart) as env_id:
        spec = TaskSpec(
            env_id=env_id, coordinates=(coordinate,), dt=unit, force=((sign * gain,),)
        )
        assert bool(only(check_task(spec), "wrong")) is flipped
        assert only(check_task(dataclasses.replace(spec, dt=5 * unit)), "wrong")


def test_environments_that_fail_have_a_finding() -> None:
    assert only(check_task(spec_of(env_id="lagdyna-tests/Missing-v0")), "wrong")
    (found,) = only(check_task(get_task("Pendulum-v1"), steps=1), "warning")
    assert "too few to judge" in found
    spec = dataclasses.replace(get_task("Pendulum-v1"), env_id="lagdyna-tests/Undefined-v0")
    assert "returned nan in entry 2" in only(check_task(spec), "wrong")[0]
    spec = dataclasses.replace(spec, env_id="lagdyna-tests/Unbounded-v0")
    assert "have no bounds" in only(check_task(spec), "wrong")[0]


def test_a_check_leaves_the_shared_random_numbers_alone() -> None:
    """Those of NumPy; the check of types in tests draws from Python's own."""
    state = np.random.get_state()  # noqa: NPY002
    before = np.random.uniform()  # noqa: NPY002
    np.random.set_state(state)  # noqa: NPY002
    check(Unseeded)
    assert np.random.uniform() == before  # noqa: NPY002
