"""Options of the command line become the config, or are refused with what is accepted."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from lagdyna import UserError
from lagdyna.cli._options import as_settings, configured, indices, mapping
from lagdyna.config import Config, config_from_table, fit_config

OWN = """
from lagdyna.parts import (ImaginationConfig, MLPConfig)

class Wide(MLPConfig, frozen=True, kw_only=True):
    factor: float = 2.0

short = ImaginationConfig(horizon=3)
"""


def shown(done: Any) -> dict[str, Any]:
    """Read the config that `--show-config` printed."""
    assert done.returncode == 0, done.stderr
    return tomllib.loads(done.stdout)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            "--agent dyna --agent.horizon 20",
            ["`agent.horizon` is no option of 'dyna'", "imagination"],
        ),
        (
            "--model mlp --solver tsit5",
            ["`solver` was 'tsit5' with the model 'mlp'", "delan, lnn"],
        ),
        (
            "--model mlp --model.initial_mass 2",
            ["`model.initial_mass` is no option of 'mlp'", "delan, structured-hnn"],
        ),
        (
            "--learner ekf --learner.rate 1e-3",
            ["`learner.rate` is no option of 'ekf'", "adam, adamw, lion, rmsprop, sgd"],
        ),
        (
            "--learner adam --learner.filter.prior 1",
            ["`learner.filter.prior` is no option of 'adam'", "`learner.prior` is one of ekf"],
        ),
        (
            "--model delan --model.residual_weight 1",
            ["`model.residual_weight` is no option of 'delan'", "constrained-mlp"],
        ),
        (
            "--agent dyna --agent.algorithm sac --agent.algorithm.noise 0.1",
            ["`agent.algorithm.noise` is no option of 'sac'", "td3"],
        ),
        (
            "--known arm.py:system",
            ["`model.known` is no option of 'delan'", "constrained-mlp, known, residual"],
        ),
        ("--loss forward", ["`loss.name` was 'forward'", "one-step and multi-step"]),
        (
            "--loss one-step --loss.window 3",
            ["`loss.window` is no option of 'one-step'", "multi-step"],
        ),
        (
            "--agent dyna --agent.ratio 0 --model lnn",
            ["`model` was given with an agent that uses no model", "leave it out"],
        ),
        ("--model own.py:Narrow", ["'own.py:Narrow'", "has no 'Narrow'"]),
        ("--model own.py:short", ["'own.py:short'", "no DynamicsConfig"]),
    ],
)
def test_an_option_without_effect_is_refused(here, tmp_path, options, said):
    (tmp_path / "own.py").write_text(OWN)
    done = here("train", *options.split(), "--show-config")
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    for words in said:
        assert words in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--model mlp --solver tsit5", "`solver` was 'tsit5' with the model 'mlp'"),
        ("--learner ekf --learner.rate 1e-3", "`learner.rate` is no option of 'ekf'"),
        ("--known arm.py:system", "`model.known` is no option of 'delan'"),
        ("--agent dyna", "--agent"),
        ("--learner ekf --loss one-step --loss.norm pseudo-huber", "needs a sum of squares"),
    ],
)
def test_a_fit_refuses_an_option_without_effect(here, options, said):
    done = here("fit", "swing.csv", *options.split(), "--show-config")
    assert done.returncode == 2
    assert said in done.stderr


def test_the_command_line_overrides_the_file(here, tmp_path):
    (tmp_path / "mine.toml").write_text("steps = 70\n[agent]\nhorizon = 5\nhidden = [8]\n")
    table = shown(
        here(
            *("train", "--config", "mine.toml", "--agent.horizon", "6", "--solver", "tsit5"),
            *("--seed", "4", "--loss", "multi-step", "--set", "loss.window=3"),
            *("--learner.updates=7", "--show-config"),
        )
    )
    config = config_from_table(table)
    assert (config.steps, config.agent.horizon, config.agent.hidden) == (70, 6, (8,))
    assert (config.solver.name, config.seed) == ("tsit5", 4)
    assert (config.loss.name, config.loss.window, config.learner.updates) == (
        *("multi-step", 3),
        7,
    )
    assert [path.name for path in tmp_path.iterdir()] == ["mine.toml"]


@pytest.mark.parametrize(
    "options", ["", "--agent dyna --learner ekf", "--agent dyna --agent.ratio 0", "--model mlp"]
)
def test_the_config_of_a_training_run_is_shown_resolved(here, options):
    table = shown(here("train", *options.split(), "--show-config"))
    config = config_from_table(table)
    assert config == config.resolved()
    assert config.steps == config.task.steps
    assert ("model" in table) == (not config.model_free)
    assert ("solver" in table) == (config.solver is not None)


def test_every_part_has_an_option(here):
    table = shown(
        here(
            *("train", "acrobot", "--model", "residual", "--loss", "one-step"),
            *("--learner", "ekf-block", "--solver", "midpoint", "--agent", "dyna"),
            *("--agent.algorithm", "sac", "--known", "arm.py:system", "--show-config"),
        )
    )
    names = [table[part]["name"] for part in ("model", "loss", "learner", "solver", "agent")]
    assert names == ["residual", "one-step", "ekf-block", "midpoint", "dyna"]
    assert table["agent"]["algorithm"]["name"] == "sac"
    assert table["model"]["known"] == "arm.py:system"


def test_every_part_of_a_fit_has_an_option(here):
    table = shown(
        here(
            *("fit", "swing.csv", "--angles", "0,2", "--model", "known", "--known", "a.py:b"),
            *("--loss", "inverse", "--learner", "levenberg-marquardt", "--solver", "bosh3"),
            *("--updates", "9", "--seed", "3", "--show-config"),
        )
    )
    config = fit_config(table)
    assert config.data.angles == (0, 2)
    assert (config.model.name, config.model.known) == ("known", "a.py:b")
    assert (config.loss.name, config.learner.name) == ("inverse", "levenberg-marquardt")
    assert (config.solver.name, config.learner.updates, config.seed) == ("bosh3", 9, 3)


def test_a_part_may_be_in_the_user_s_file(here, tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    table = shown(
        here(
            *("train", "--model", "own.py:Wide", "--model.factor", "3"),
            *("--agent", "own.py:short", "--show-config"),
        )
    )
    assert table["model"]["name"] == "own.py:Wide"
    assert table["model"]["factor"] == 3.0
    assert table["agent"]["horizon"] == 3


def test_dotted_options_become_settings():
    tokens = ["train", "acrobot", "--agent.horizon", "2", "--a.b.c=x=y", "--task.dt", "-1"]
    assert as_settings([*tokens, "--seed", "3"]) == [
        *("train", "acrobot", "--set", "agent.horizon=2", "--set", "a.b.c=x=y"),
        *("--set", "task.dt=-1", "--seed", "3"),
    ]
    assert as_settings(["compare", "--agent.horizon", "2"]) == [
        *("compare", "--agent.horizon", "2"),
    ]
    tokens = ["fit", "--data.unchecked", "a.csv", "--data.chain", "false", "--data.unchecked"]
    assert as_settings(tokens) == [
        *("fit", "--set", "data.unchecked=true", "a.csv", "--set", "data.chain=false"),
        *("--set", "data.unchecked=true"),
    ]
    for rest in ([], ["--seed"]):
        with pytest.raises(UserError, match=r"`--agent.horizon` was given without a value"):
            as_settings(["train", "--agent.horizon", *rest])


def test_a_switch_of_signals_needs_no_value() -> None:
    tokens = ["fit", "--signals.gain", "a.csv", "--signals.delay", "0.01", "--signals.lag"]
    assert as_settings(tokens) == [
        "fit",
        *("--set", "signals.gain=true", "a.csv"),
        *("--set", "signals.delay=0.01"),
        *("--set", "signals.lag=true"),
    ]
    listed = ["fit", "a.csv", "--signals.offset", "[-0.1, 2]", "--signals.max_delay", "0.2"]
    assert as_settings(listed)[3:] == [
        "signals.offset=[-0.1, 2]",
        *("--set", "signals.max_delay=0.2"),
    ]


def test_a_setting_overrides_a_named_option_and_that_the_file(tmp_path: Path):
    (tmp_path / "mine.toml").write_text('model = "lnn"\nseed = 1\n')
    config = configured(
        config_from_table, tmp_path / "mine.toml", {"seed": 2, "steps": None}, ["seed=3"]
    )
    assert isinstance(config, Config)
    assert (config.seed, config.steps) == (3, None)
    assert config.model is not None
    assert config.model.name == "lnn"


def test_indices_are_parsed():
    assert indices("0,2") == ["0", "2"]
    assert indices("all") == "all"
    assert indices("a,1") == ["a", "1"]


def test_columns_are_split_to_a_mapping() -> None:
    given = "q=pos_*, tau=effort_*,t=time stamp"
    assert mapping("columns", given) == {"q": "pos_*", "tau": "effort_*", "t": "time stamp"}
    for wrong in ("q", "q=", "=a", "q=a,q=b", "q=a,", ""):
        with pytest.raises(UserError, match=r"`--columns` was .* as q=pos_\*,t=stamp are"):
            mapping("columns", wrong)
