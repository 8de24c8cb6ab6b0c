"""PILCO's criterion of success."""

import numpy as np
import pytest

from lagdyna.scores import pilco_success
from lagdyna.tasks import suite_task


def test_a_trial_succeeds_if_the_tip_stays_at_its_goal_for_the_last_second() -> None:
    task = suite_task("pilco-cartpole")
    q = np.zeros((51, 2))
    q[:40, 1] = np.pi
    assert pilco_success(task, q)
    # A cart 7 cm to the side, and a tip 7 cm above a cart in the middle, are near enough.
    q[-1] = 0.07, 0.0
    assert pilco_success(task, q)
    q[-1] = -0.25, np.arcsin(0.5)
    assert pilco_success(task, q)
    for last in ((0.081, 0.0), (0.0, 0.17), (0.0, np.pi)):
        assert not pilco_success(task, np.r_[q[:-1], [last]])
    q[40, 1] = 0.2  # at 4 s
    assert not pilco_success(task, q)
    assert pilco_success(task, q, seconds=0.9)
    assert pilco_success(task, q, within=0.1)


def test_two_poles_are_counted_to_the_outer_tip() -> None:
    task = suite_task("pilco-cart2pole")
    q = np.zeros((101, 3))
    q[:, 1:] = 0.1, -0.2  # the angles of the links are 0.1 and -0.1
    assert pilco_success(task, q)
    q[:, 1:] = 0.1, 0.0
    assert not pilco_success(task, q)


def test_other_trials_are_refused() -> None:
    with pytest.raises(ValueError, match="`task` was 'acrobot'; a task with a cart"):
        pilco_success(suite_task("acrobot"), np.zeros((51, 2)))
    task = suite_task("pilco-cartpole")
    with pytest.raises(ValueError, match=r"shape \(10, 2\); at least 11 rows of 2"):
        pilco_success(task, np.zeros((10, 2)))
    with pytest.raises(ValueError, match="`q` has entries that are not finite"):
        pilco_success(task, np.full((51, 2), np.nan))
