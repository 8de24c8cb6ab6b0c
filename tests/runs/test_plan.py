import json
from pathlib import Path
from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from PIL import Image, ImageSequence

from lagdyna import UserError
from lagdyna.cli._plan import plan
from lagdyna.control import PlanError
from lagdyna.filters import SampledPosterior
from lagdyna.mechanics import State
from lagdyna.runs import FittedRun, _plan, plan_motion
from lagdyna.simulate import LearnedModel, rollout

from ..control.systems import pendulum
from ..helpers import close

HANGING = [np.pi]

REWARDS = """
import jax.numpy as jnp
import numpy as np

def smooth(state, action):
    return jnp.cos(state.q[0]) - 0.01 * action @ action

def fails(state, action):
    return state.x

def branches(state, action):
    return 1.0 if state.q[0] > 0 else 0.0

def vector(state, action):
    return state.q

def jumps(state, action):
    return jnp.where(jnp.cos(state.q[0]) > 0.9, 1.0, 0.0)

def infinite(state, action):
    return jnp.log(state.qd @ state.qd)

def kinked(state, action):
    return -jnp.sqrt(state.qd @ state.qd)

number = 3.0
"""


@pytest.fixture(autouse=True)
def fitted(monkeypatch) -> LearnedModel:
    """Every directory holds a fit of a pendulum."""
    model = LearnedModel(pendulum())
    found = FittedRun(SimpleNamespace(), model, None, [], None, SimpleNamespace())  # pyright: ignore
    monkeypatch.setattr(_plan, "load", lambda run, trust: found)
    return model


def test_plan_of_a_swing_up_is_written_for_other_programs(fitted, tmp_path, capsys):
    plan(tmp_path, goal="q=0", start="q=3.1415927", limit="1", steps=60, restarts=2)
    printed = capsys.readouterr().out
    assert "plan of 60 steps" in printed
    assert "with its tracker" in printed
    out = tmp_path / "plan-1"
    files = {"plan.npz", "plan.json", "plan.png", "plan.gif", "report.html"}
    assert {path.name for path in out.iterdir()} == files
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Plan to q = " in page
    assert page.count('src="data:image/') == 2
    with Image.open(out / "plan.gif") as film:
        seconds = sum(each.info["duration"] for each in ImageSequence.Iterator(film)) / 1000
    assert seconds == pytest.approx(61 * 0.05)
    arrays = np.load(out / "plan.npz")
    assert arrays["q"].shape == (61, 1)
    assert np.abs(arrays["action"]).max() <= 1
    assert arrays["gains"].shape == (60, 1, 2)
    q, qd, action = (jnp.asarray(arrays[name]) for name in ("q", "qd", "action"))
    close(rollout(fitted.transition, State(q[0], qd[0]), action).q, q, 1e-3)
    assert arrays["goal_q"] == pytest.approx(0.0, abs=1e-6)


def test_samples_of_a_posterior_say_how_sure_a_plan_is(fitted, tmp_path, monkeypatch, capsys):
    """Of two members, one is the model, and another pendulum does not reach the goal."""
    weights, rest = eqx.partition(fitted, eqx.is_inexact_array)
    size = ravel_pytree(weights)[0].size
    members, half = jnp.stack([jnp.zeros(size), jnp.full(size, 2.0)]), jnp.full(2, 0.5)
    posterior = SampledPosterior.of(weights, rest, members, half, jnp.ones(()))
    found = FittedRun(SimpleNamespace(), fitted, None, [], posterior, SimpleNamespace())  # pyright: ignore
    monkeypatch.setattr(_plan, "load", lambda run, trust: found)
    plan(tmp_path, goal="q=0", start="q=3.1415927", limit="1", steps=60, restarts=2)
    samples = json.loads((tmp_path / "plan-1" / "plan.json").read_text())["samples"]
    drawn = posterior.sample(jax.random.fold_in(jax.random.key(0), 1), 16)
    kept = (jax.tree.leaves(eqx.filter(x, eqx.is_inexact_array)) for x in (drawn, fitted))
    alike = np.all(
        [np.asarray(a == b).reshape(16, -1).all(1) for a, b in zip(*kept, strict=True)], axis=0
    )
    assert samples["share_at_goal"] == alike.mean()
    assert 0 < alike.mean() < 1
    assert samples["largest_distance"] is None or samples["largest_distance"] > 0.1
    assert "% reach the goal" in capsys.readouterr().out


def test_plan_for_a_reward_earns_it(fitted, tmp_path, capsys):
    file = tmp_path / "rewards.py"
    file.write_text(REWARDS)
    reward, out = f"{file}:smooth", tmp_path / "out"
    plan(
        tmp_path,
        reward=reward,
        start="q=3.1415927",
        limit="1",
        steps=60,
        restarts=2,
        out=out,
    )
    assert "with its tracker" in capsys.readouterr().out
    report, arrays = json.loads((out / "plan.json").read_text()), np.load(out / "plan.npz")
    assert report["reward"] == reward
    assert report["goal"] is None
    earned = np.cos(arrays["q"][:-1, 0]) - 0.01 * arrays["action"][:, 0] ** 2
    assert report["return"] == pytest.approx(earned.sum(), abs=1e-3)
    assert report["return_with_tracker"] == pytest.approx(report["return"], abs=0.1)
    assert np.cos(arrays["q"][-1, 0]) > 0.9  # it has swung up
    assert "goal_gain" not in arrays


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fails", "`reward` failed: AttributeError: .*has no attribute 'x'"),
        ("branches", "`reward` failed: TracerBoolConversionError: .*; a function of"),
        ("vector", r"`reward` returned an array of shape \(1,\)"),
        ("jumps", "the derivatives of `reward` are 0 at the start and 16 states"),
        ("infinite", r"`reward` was -inf at q=3.14, qd=0, action=0, the start"),
        ("kinked", r"the derivatives of `reward` are not finite at q=3.14, qd=0, action=0"),
        ("number", r"`reward` was .*number', of type float"),
        ("none", r"`reward` was .*none', and .* has no 'none'"),
    ],
)
def test_rewards_that_cannot_be_planned_for_are_refused(tmp_path, name, message):
    file, out = tmp_path / "rewards.py", tmp_path / "out"
    file.write_text(REWARDS)
    with pytest.raises(UserError, match=message) as raised:
        plan_motion(
            tmp_path, None, HANGING, reward=f"{file}:{name}", limit=[1.0], steps=60, out=out
        )
    assert not isinstance(raised.value, PlanError)
    assert not out.exists()


@pytest.mark.parametrize(("goal", "given"), [(None, "neither"), ([0.0], "both")])
def test_either_a_goal_or_a_reward_is_accepted(tmp_path, goal, given):
    reward = None if goal is None else (lambda state, action: state.q[0])
    with pytest.raises(UserError, match=f"{given} of `goal` and `reward` were given"):
        plan_motion(tmp_path, goal, HANGING, reward=reward)


def test_plan_that_does_not_reach_its_goal_is_not_written(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        plan(tmp_path, goal="0", start="q=3.1415927", limit="1e-3", steps=60, restarts=2)
    assert ended.value.code == 1
    assert "no plan: " in capsys.readouterr().out
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"goal": [1.5]}, r"no action within its limits holds the goal q=1.5"),
        ({"goal": [0.0, 1.0]}, "1 finite numbers are accepted"),
        ({"start": [0.0, 1.0]}, r"`start` was \[0.0, 1.0\]"),
        ({"limit": None}, "`limit` is missing: a fit does not know"),
        ({"limit": [-1.0]}, "positive numbers are accepted"),
        ({"limit": [1.0, 1.0]}, "`limit` has 2 numbers, and the model does not accept"),
        ({"limit": [0.0]}, "positive numbers are accepted, and 0 for actions"),
        ({"steps": 0}, "`steps` was 0"),
    ],
)
def test_what_cannot_be_planned_is_refused(tmp_path, options, message):
    given = {"goal": [0.0], "start": HANGING, "limit": [1.0], "steps": 60, **options}
    with pytest.raises(UserError, match=message) as raised:
        plan_motion(tmp_path, **given)
    assert not isinstance(raised.value, PlanError)
    assert not any(tmp_path.iterdir())


def test_ends_that_are_no_numbers_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"`--goal` was 'up'; numbers with commas"):
        plan(tmp_path, goal="up", start="q=0")


def test_directories_that_hold_something_are_refused(tmp_path):
    (tmp_path / "notes").touch()
    with pytest.raises(UserError, match="empty"):
        plan_motion(Path("run"), [0.0], HANGING, limit=[1.0], out=tmp_path)
