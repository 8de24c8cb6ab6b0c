"""The solver that an environment itself steps with."""

import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from lagdyna.checks import check_task
from lagdyna.checks._findings import Motion
from lagdyna.checks._step_rule import judge_step_rule
from lagdyna.tasks import get_task

SPEC = get_task("Pendulum-v1")


def motion(dt: float, substeps: int | None, gravity: float, noise: float = 0.0) -> Motion:
    """Transitions of a pendulum from random states, by semi-implicit Euler or exactly."""
    rng = np.random.default_rng(0)
    q, qd, action = rng.uniform(-np.pi, np.pi, 60), rng.normal(size=60), rng.normal(size=60)

    def acceleration(q: np.ndarray) -> np.ndarray:
        return gravity * np.sin(q) + 3 * action

    if substeps is None:
        exact = solve_ivp(
            lambda _, x: np.concatenate([x[60:], acceleration(x[:60])]),
            (0, dt),
            np.concatenate([q, qd]),
            rtol=1e-10,
            atol=1e-10,
        ).y[:, -1]
        next_q, next_qd = exact[:60], exact[60:]
    else:
        next_q, next_qd = q, qd
        for _ in range(substeps):
            next_qd = next_qd + dt / substeps * acceleration(next_q)
            next_q = next_q + dt / substeps * next_qd
    next_q = next_q + noise * rng.normal(size=60)
    q, qd, next_q, next_qd, action = (x[:, None] for x in (q, qd, next_q, next_qd, action))
    unread = np.zeros((60, 0))
    return Motion(unread, unread, q, qd, next_q, next_qd, action, action)


@settings(max_examples=30, deadline=None)
@given(dt=st.floats(0.005, 0.05), substeps=st.integers(1, 3), gravity=st.floats(-15, 15))
def test_semi_implicit_steps_are_counted(dt: float, substeps: int, gravity: float) -> None:
    spec = dataclasses.replace(SPEC, dt=dt)
    (finding,) = judge_step_rule(spec, motion(dt, substeps, gravity))
    assert finding.verdict == "ok"
    assert finding.advice.endswith(
        f"`--solver semi_implicit_euler --solver.substeps {substeps}`"
    )


@settings(max_examples=10, deadline=None)
@given(dt=st.floats(0.005, 0.05), gravity=st.floats(-15, 15))
def test_exact_motion_and_noise_have_no_such_rule(dt: float, gravity: float) -> None:
    spec = dataclasses.replace(SPEC, dt=dt)
    assert not [*judge_step_rule(spec, motion(dt, None, gravity))]
    assert not [*judge_step_rule(spec, motion(dt, 10, gravity))]
    assert not [*judge_step_rule(spec, motion(dt, 1, gravity, noise=dt))]


def test_the_check_names_the_solver_of_an_environment() -> None:
    (found,) = [each for each in check_task(SPEC, resets=False) if each.what == "solver"]
    assert "--solver semi_implicit_euler --solver.substeps 1" in str(found)
