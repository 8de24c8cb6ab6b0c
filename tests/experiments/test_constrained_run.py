"""A network that is told the equations of motion, learned in training runs."""

import dataclasses
from pathlib import Path
from typing import Any

import gymnasium as gym
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna import load_run, train
from lagdyna.data import Experience
from lagdyna.experiments import Config, Trainer, UserError
from lagdyna.learners import OneStepLoss
from lagdyna.simulate import MLPTransition
from lagdyna.tasks import get_task, known_equations, suite_task

from .small import small_config
from .test_stepped import held

FILE = """
from lagdyna.systems import PlanarChain
chain = PlanarChain.rods(2)
heavy = PlanarChain.rods(2, gravity=200.0)
nothing = "a string"
"""


def constrained(**changes: Any) -> Config:
    model = {"name": "constrained-mlp", **changes.pop("model", {})}
    return small_config(model=model, **changes)


def test_the_known_equations_of_gymnasium_s_pendulum_are_those_it_takes() -> None:
    """Its velocity changes by `dt` times the acceleration, where nothing clips it."""
    system, task = known_equations(get_task("Pendulum-v1")), get_task("Pendulum-v1")
    assert system is not None
    env: Any = gym.make("Pendulum-v1").unwrapped
    rng = np.random.default_rng(0)
    for q, qd, action in rng.uniform(-1, 1, (20, 3)):
        env.reset(seed=0)
        env.state = np.asarray([3 * q, 5 * qd])
        env.step(np.asarray([2 * action], np.float32))
        measured = (env.state[1] - 5 * qd) / task.dt
        given = (jnp.asarray([x], jnp.float32) for x in (3 * q, 5 * qd, action))
        assert float(system.forward_dynamics(*given)[0]) == pytest.approx(measured, abs=1e-4)


def test_the_suite_s_equations_are_known_and_others_are_not() -> None:
    for name in ("acrobot", "cart3pole"):
        found, known = known_equations(get_task(name)), suite_task(name).system
        assert found is not None
        n = jnp.full(known.coordinates.n, 0.3)
        m = jnp.full(suite_task(name).action_size, 0.5)
        np.testing.assert_array_equal(
            found.forward_dynamics(n, n, m), known.forward_dynamics(n, n, m)
        )
    assert known_equations(get_task("InvertedPendulum-v5")) is None


def taught(**model: Any) -> float:
    """What a network that saw 60 actions of the acrobot is off by in others."""
    config = constrained(
        task="acrobot",
        steps=400,
        model={"hidden": [48], **model},
        learner={"updates": 1500, "batch": 32, "rate": 1e-2},
    )
    trainer, known = Trainer(config), held(suite_task("acrobot"), 560)
    first = trainer.init()
    seen, unseen = rows(known, slice(0, 60)), rows(known, slice(60, None))
    buffer = first.buffer.add(seen, jnp.zeros((), int))
    training = trainer.begin_fit(dataclasses.replace(first, buffer=buffer))
    training, _ = trainer.fit(training, jnp.asarray(0), 1500)
    assert isinstance(training.transition, MLPTransition)
    return float(OneStepLoss(training.transition.scale)(training.transition, unseen))


def rows(experience: Experience, part: slice) -> Experience:
    return jax.tree.map(lambda x: x[part], experience)


def test_a_network_is_the_better_for_true_equations_and_the_worse_for_wrong_ones(
    tmp_path: Path,
) -> None:
    (tmp_path / "known.py").write_text(FILE)
    without = taught(residual_weight=0.0)
    true = taught()
    wrong = taught(known=f"{tmp_path / 'known.py'}:heavy")
    assert true < without < wrong


@pytest.mark.slow
def test_a_run_learns_with_them(tmp_path: Path) -> None:
    config = constrained(task="pendulum", model={"hidden": [8]})
    train(config, tmp_path / "run")
    run = load_run(tmp_path / "run")
    assert isinstance(run.transition, MLPTransition)
    assert run.records[-1]["model_loss"] > 0
    assert run.records[-1]["skipped_updates"] == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("chain", "`model.known` does not fit the 1 coordinates and 1 actions"),
        ("nothing", "a str; a MechanicalSystem or a Lagrangian is accepted"),
        ("missing", "has no 'missing'"),
    ],
)
def test_equations_that_do_not_fit_are_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "known.py").write_text(FILE)
    with pytest.raises(UserError, match=message):
        Trainer(constrained(model={"known": f"{tmp_path / 'known.py'}:{name}"}))


def test_a_task_whose_equations_nobody_wrote_down_needs_them() -> None:
    task = dataclasses.asdict(
        dataclasses.replace(get_task("Pendulum-v1"), env_id="Somebody/Else-v0")
    )
    with pytest.raises(UserError, match="needs `model.known`, the equations of Somebody/Else"):
        Trainer(constrained(task=task))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"name": "mlp", "known": "a.py:b"}}, "`known` was 'a.py:b' with the model"),
        ({"learner": {"window": 4}}, "not of `learner.window` above 1"),
    ],
)
def test_known_equations_out_of_place_are_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        Trainer(constrained(**changes))
