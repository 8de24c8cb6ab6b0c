from pathlib import Path
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna import UserError
from lagdyna.cli._plan import plan
from lagdyna.control import PlanError
from lagdyna.mechanics import State
from lagdyna.runs import FittedRun, _plan, plan_motion
from lagdyna.simulate import LearnedModel, rollout

from ..control.systems import pendulum
from ..helpers import close

HANGING = [np.pi]


@pytest.fixture(autouse=True)
def fitted(monkeypatch) -> LearnedModel:
    """Every directory holds a fit of a pendulum."""
    model = LearnedModel(pendulum())
    found = FittedRun(SimpleNamespace(), model, None, [], None)  # pyright: ignore
    monkeypatch.setattr(_plan, "load", lambda run, trust: found)
    return model


def test_plan_of_a_swing_up_is_written_for_other_programs(fitted, tmp_path, capsys):
    plan(tmp_path, goal="q=0", start="q=3.1415927", limit="1", steps=60, restarts=2)
    printed = capsys.readouterr().out
    assert "plan of 60 steps" in printed
    assert "with its tracker" in printed
    out = tmp_path / "plan-1"
    assert {path.name for path in out.iterdir()} == {"plan.npz", "plan.json", "plan.png"}
    arrays = np.load(out / "plan.npz")
    assert arrays["q"].shape == (61, 1)
    assert np.abs(arrays["action"]).max() <= 1
    assert arrays["gains"].shape == (60, 1, 2)
    q, qd, action = (jnp.asarray(arrays[name]) for name in ("q", "qd", "action"))
    close(rollout(fitted.transition, State(q[0], qd[0]), action).q, q, 1e-3)
    assert arrays["goal_q"] == pytest.approx(0.0, abs=1e-6)


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
