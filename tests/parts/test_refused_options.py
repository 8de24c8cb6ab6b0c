"""Options mean something or are refused, with the variants that have them."""

import subprocess
import sys
from typing import Any

import pytest

from lagdyna import UserError
from lagdyna.config import Config, FitConfig, config_from_table, fit_config
from lagdyna.parts import DeLaNConfig, DynaConfig, EKFConfig, SolverConfig


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            {"agent": {"name": "dyna", "horizon": 20}},
            ["`agent.horizon` is no option of 'dyna'; it is one of imagination"],
        ),
        (
            {"model": {"name": "mlp", "initial_mass": 2.0}},
            ["`model.initial_mass` is no option of 'mlp'", "delan, structured-hnn"],
        ),
        (
            {"model": {"name": "delan", "residual_weight": 1.0}},
            ["`model.residual_weight` is no option of 'delan'", "constrained-mlp"],
        ),
        (
            {"learner": {"name": "ekf", "rate": 1e-3}},
            ["`learner.rate` is no option of 'ekf'", "adam, adamw, lion, rmsprop, sgd"],
        ),
        (
            {"learner": {"name": "adam", "filter": {"prior": 1.0}}},
            ["`learner.filter.prior` is no option of 'adam'", "`learner.prior` is one of ekf"],
        ),
        (
            {"learner": {"name": "ekf", "members": 8}},
            ["`learner.members` is no option of 'ekf'; it is one of enkf"],
        ),
        (
            {"agent": {"name": "dyna", "algorithm": {"name": "sac", "noise": 0.1}}},
            ["`agent.algorithm.noise` is no option of 'sac'; it is one of td3"],
        ),
        (
            {"loss": {"name": "one-step", "window": 3}},
            ["`loss.window` is no option of 'one-step'; it is one of multi-step"],
        ),
        (
            {"model": "mlp", "solver": "tsit5"},
            ["`solver` was 'tsit5' with the model 'mlp'", "no solver", "delan, lnn, hnn"],
        ),
        (
            {"model": "mlp", "loss": {"name": "one-step", "substeps": 2}},
            ["`loss.substeps` was 2 with the model 'mlp'"],
        ),
        ({"loss": "forward"}, ["`loss.name` was 'forward'", "accelerations", "one-step"]),
        (
            {"loss": {"name": "one-step", "norm": "pseudo-huber"}, "learner": "ekf"},
            ["`loss.norm` was 'pseudo-huber'", "ekf", "squared"],
        ),
        (
            {"learner": "ekf", "reward": {"weight_decay": 0.1}},
            ["`reward.weight_decay` was 0.1 with the learner 'ekf'"],
        ),
        (
            {"agent": {"posterior": {"samples": 4}}},
            ["`agent.posterior.samples` was 4 with the learner 'adam'", "ekf"],
        ),
        (
            {"agent": {"name": "dyna", "ratio": 0.0, "rollouts": 3}},
            ["`agent`: `rollouts` was given with a `ratio` of 0"],
        ),
        (
            {"agent": {"name": "dyna", "ratio": 0.0}, "learner": "ekf"},
            ["`learner` was given with an agent that uses no model (dyna)"],
        ),
        (
            {"agent": {"name": "dyna", "rollouts": 10}, "collect": {"capacity": 5}},
            ["`collect.capacity` was 5", "13 real transitions"],
        ),
        (
            {"model": {"name": "residual", "fixed": ["gravity"]}},
            ["`model`: `fixed` was ['gravity']", "learn_known"],
        ),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(
    table: dict[str, Any], said: list[str]
) -> None:
    with pytest.raises(UserError) as error:
        config_from_table(table)
    for words in said:
        assert words in str(error.value)


@pytest.mark.parametrize(
    "table",
    [
        {"agent": {"name": "dyna", "uniform_starts": 0.9}},
        {"agent": {"name": "imagination", "uniform_starts": 0.125}},
        {"agent": {"name": "dyna", "ratio": 0.0, "batch": 64}},
        {"model": "mlp", "learner": "ekf"},
        {"learner": {"name": "pf", "particles": 8}},
        {"loss": {"substeps": 2}},
    ],
)
def test_nothing_is_refused_because_of_a_part_that_is_not_in_use(table: dict[str, Any]) -> None:
    config_from_table(table).resolved()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"model": "mlp", "solver": "tsit5"}, "`solver` was 'tsit5' with the model 'mlp'"),
        (
            {"model": "constrained-mlp", "loss": "multi-step"},
            "`loss.name` was 'multi-step'; with the model 'constrained-mlp' one-step",
        ),
        ({"learner": {"name": "levenberg-marquardt", "rate": 1.0}}, "`learner.rate` is no"),
        ({"model": {"name": "known", "hidden": [8]}}, "`model.hidden` is no option of 'known'"),
    ],
)
def test_fits_refuse_alike(table: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as error:
        fit_config({"data": {"file": "data.npz"}, **table})
    assert said in str(error.value)


def test_parts_are_given_by_name_object_or_class() -> None:
    by_name = Config(solver="tsit5", learner="ekf", model="delan", agent="dyna")
    by_object = Config(
        solver=SolverConfig(name="tsit5"), learner=EKFConfig(), model=DeLaNConfig, agent="dyna"
    )
    assert by_name == by_object
    assert Config(task="acrobot").task.env_id == "lagdyna/Acrobot-v0"
    assert FitConfig(data="arm.csv", model="lnn").data.file == "arm.csv"


def test_a_wrong_call_is_answered_in_a_sentence() -> None:
    """In a process of its own, since type checks of the tests would answer first."""
    code = """
import lagdyna
from lagdyna.parts import (ImaginationConfig, DynamicsConfig)
for call in (
    lambda: lagdyna.Config(solver="tsit6"),
    lambda: lagdyna.Config(agent="dina"),
    lambda: lagdyna.Config(model=3),
    lambda: lagdyna.Config(model=ImaginationConfig()),
    lambda: lagdyna.Config(model=DynamicsConfig),
    lambda: lagdyna.Config(task=4),
    lambda: lagdyna.train(3),
    lambda: lagdyna.train("Pendulun-v1"),
    lambda: lagdyna.fit(3),
    lambda: lagdyna.fit("no_such.csv"),
):
    try:
        call()
    except lagdyna.UserError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for line, said in zip(
        done.stdout.splitlines(),
        (
            "`solver` was 'tsit6'",
            "nearest: dyna",
            "`model` was 3",
            "is no DynamicsConfig",
            "is no DynamicsConfig",
            "`task` was 4",
            "`config` was an object of type int",
            "nearest: Pendulum-v1",
            "`data` was an object of type int",
            "no_such.csv",
        ),
        strict=True,
    ):
        assert said in line


def test_a_resolved_config_holds_only_options_in_force() -> None:
    free = Config(agent=DynaConfig(ratio=0.0)).resolved()
    assert free.model is None
    assert free.learner is None
    assert free.solver is None
    assert free.loss is None
    assert free.reward is None
    assert free.agent.rollouts is None  # pyright: ignore[reportAttributeAccessIssue]
    discrete = Config(model="mlp", learner="ekf").resolved()
    assert discrete.solver is None
    assert discrete.loss is not None
    assert discrete.loss.norm == "squared"  # pyright: ignore[reportAttributeAccessIssue]
    assert discrete.loss.substeps is None  # pyright: ignore[reportAttributeAccessIssue]
    assert discrete.reward is not None
    assert discrete.reward.weight_decay is None
