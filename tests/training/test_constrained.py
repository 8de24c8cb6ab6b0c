"""A network with the residual of known equations in its loss (Liu & Wang 2021)."""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Scalar

from lagdyna import UserError
from lagdyna.config import Config, given
from lagdyna.data import Experience
from lagdyna.learners import OneStepLoss
from lagdyna.mechanics import State
from lagdyna.simulate import MLPTransition
from lagdyna.tasks import get_task, suite_task
from lagdyna.training import Trainer

from ..learners.recordings import held_actions, loss_of
from ..small import small_config

FILE = """
from lagdyna.systems import PlanarChain
chain = PlanarChain.rods(2)
heavy = PlanarChain.rods(2, gravity=200.0)
text = "a string"
"""


def constrained(**changes: Any) -> Config:
    model = {"name": "constrained-mlp", "hidden": [8], **changes.pop("model", {})}
    return small_config(model=model, **changes)


@functools.cache
def recorded() -> Experience:
    """Steps of the acrobot: 60 to learn from, and 500 others."""
    return held_actions(suite_task("acrobot"), 560, 4)


def still(state: State, action: Array, next_state: State) -> Scalar:
    """A given reward, so that no reward network is compiled."""
    return -jnp.sum(action**2)


def held_out_error(**model: Any) -> float:
    """The error of a network that has learned from 60 actions of the acrobot in 500 others."""
    config = constrained(
        task="acrobot",
        steps=400,
        model={"hidden": [48], **model},
        learner={"updates": 1000, "batch": 32, "rate": 1e-2},
        reward=None,
        agent={"hidden": [2], "updates": 2, "batch": 4, "horizon": 2},
    )
    trainer = Trainer(config, still)
    first = trainer.init()
    seen, unseen = rows(recorded(), slice(0, 60)), rows(recorded(), slice(60, None))
    buffer = eqx.filter_jit(first.buffer.add)(seen, jnp.asarray(0))
    training = trainer.begin_phase(dataclasses.replace(first, buffer=buffer))
    training, _ = trainer.fit(training, jnp.asarray(0), 1000)
    transition = given(training.world).transition
    assert isinstance(transition, MLPTransition)
    return float(loss_of(OneStepLoss(transition.scale), transition, unseen))


def rows(experience: Experience, part: slice) -> Experience:
    return jax.tree.map(lambda x: jnp.asarray(np.asarray(x)[part]), experience)


def test_true_equations_reduce_the_error_and_wrong_ones_increase_it(tmp_path: Path) -> None:
    (tmp_path / "known.py").write_text(FILE)
    without = held_out_error(residual_weight=0.0)
    true = held_out_error()
    wrong = held_out_error(known=f"{tmp_path / 'known.py'}:heavy")
    assert true < without < wrong


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("chain", "`model.known` does not fit the 1 coordinates and 1 actions"),
        ("text", "a str; a MechanicalSystem or a Lagrangian is accepted"),
        ("missing", "has no 'missing'"),
    ],
)
def test_equations_that_do_not_fit_are_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "known.py").write_text(FILE)
    with pytest.raises(UserError, match=message):
        Trainer(constrained(model={"known": f"{tmp_path / 'known.py'}:{name}"}))


@pytest.mark.parametrize("model", ["constrained-mlp", "known", "residual"])
def test_a_task_without_known_equations_needs_them(model: str) -> None:
    task = dataclasses.replace(get_task("Pendulum-v1"), env_id="Somebody/Else-v0")
    config = Config(task=task, model=model)
    with pytest.raises(
        UserError, match=r"needs `model.known`.*: the equations of Somebody/Else"
    ):
        Trainer(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"name": "mlp", "known": "a.py:b"}}, "`model.known` is no option of 'mlp'"),
        (
            {"loss": {"name": "multi-step", "window": 4}},
            "`model.name` was 'constrained-mlp', .* windows of several steps are not accepted",
        ),
    ],
)
def test_known_equations_out_of_place_are_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        Trainer(constrained(**changes))
