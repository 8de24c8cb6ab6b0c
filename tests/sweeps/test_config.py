"""Configs of sweeps: what is searched, and what is refused before anything is written."""

import itertools
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagdyna import UserError
from lagdyna.config import config_from_table, override
from lagdyna.options import config_to_toml
from lagdyna.sweeps import load_sweep, sweep_config
from lagdyna.sweeps._space import Choices, grid_point, grid_size

from .cheap import GRID, TABLE, a_config

LISTS = st.lists(st.lists(st.integers(), min_size=1, max_size=4, unique=True), max_size=4)


@given(LISTS)
def test_a_grid_has_every_combination_once_the_last_option_fastest(lists: list[Any]) -> None:
    dimensions = {f"o{i}": Choices(tuple(values)) for i, values in enumerate(lists)}
    points = [grid_point(dimensions, n) for n in range(grid_size(dimensions))]
    assert [tuple(each.values()) for each in points] == list(itertools.product(*lists))
    assert all(list(each) == list(dimensions) for each in points)


def test_a_grid_has_as_many_trials_as_points() -> None:
    assert a_config(**GRID).trials == 4
    assert a_config(**{**GRID, "trials": 3}).trials == 3
    with pytest.raises(UserError, match="`trials` was 5, and the grid has 4 points"):
        a_config(**{**GRID, "trials": 5})


def test_names_with_and_without_quotes_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "runs.toml").write_text('task = "Pendulum-v1"\nsteps = 60\n')
    configs = []
    for quoted in ("", '"'):
        path = tmp_path / f"sweep{len(quoted)}.toml"
        path.write_text(
            'trials = 4\nseeds = 2\nsampler = "random"\ntrain = "runs.toml"\n[space]\n'
            f"{quoted}agent.horizon{quoted} = [4, 8, 16]\n"
            f"{quoted}learner.rate{quoted} = {{low = 1e-4, high = 1e-2, log = true}}\n"
            'model = ["delan", {name = "lnn", hidden = [8]}]\n'
        )
        configs.append(load_sweep(path))
    assert configs[0] == configs[1] == a_config()


def test_a_config_is_read_as_it_was_written() -> None:
    for config in (a_config(), a_config(**GRID), a_config(slurm={"more": {"x": 1}})):
        assert sweep_config(tomllib.loads(config_to_toml(config))) == config


def test_a_choice_that_is_a_table_sets_several_options() -> None:
    found: Any = a_config().run_config({"model": {"name": "lnn", "hidden": [8]}})
    assert (found.model.name, found.model.hidden) == ("lnn", (8,))
    assert found.steps == 60


def test_an_unknown_option_is_refused_as_set_does() -> None:
    table = {"task": "Pendulum-v1", "steps": 60}
    override(table, "agent.horizn", 8)
    with pytest.raises(UserError) as said:
        config_from_table(table)
    with pytest.raises(UserError) as found:
        a_config(space={"learner.rate": [1e-3], "agent.horizn": [8, 16]})
    assert str(found.value) == str(said.value)
    assert "`agent.horizn`" in str(said.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"train": None}, "`train` and `fit` .* none of them was given"),
        ({"fit": {"data": "x.csv"}}, "`train` and `fit` .* both of them was given"),
        ({"space": {}}, "`space` was empty"),
        ({"space": {"seed": [0, 1]}}, "`space` has `seed`, and all trials have the same seeds"),
        ({"space": {"model": ["mlp"], "model.name": ["lnn"]}}, "are the same option"),
        ({"space": {"agent.horizon": 8}}, r"`space.agent.horizon` was 8; a list of choices"),
        ({"space": {"agent.horizon": []}}, "`space.agent.horizon` was empty"),
        ({"space": {"agent.horizon": [8, 8]}}, "which has a value twice"),
        ({"space": {"agent.horizon": [8], "agent": {"horizon": [4]}}}, "was given twice"),
        ({"space": {"learner.rate": {"low": 1.0}}}, "`space.learner.rate`: .* field `high`"),
        ({"space": {"learner.rate": {"low": 2.0, "high": 1.0}}}, "a `high` above `low`"),
        ({"space": {"learner.rate": {"low": 0, "high": 1.0, "log": True}}}, "above 0"),
        ({"space": {"agent.horizon": {"low": 1, "high": 2.5, "integer": True}}}, "whole"),
        ({"space": {"agent.horizon": {"low": 0, "high": 9, "integer": True}}}, "was 0: exp"),
        ({"sampler": "grid"}, "`space.learner.rate` was a range with the sampler 'grid'"),
        ({"sampler": "bayes"}, "`sampler` was 'bayes'; .*accepted: grid, random, tpe"),
        ({"trials": None}, "`trials` was not given, and the sampler 'random'"),
        ({"trails": 4}, "`trails` is not an option; nearest: trials"),
        ({"slurm": {"gpu": 1}}, "`slurm.gpu` is not an option; nearest: gpus"),
    ],
)
def test_mistakes_are_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        a_config(**changes)


def test_what_is_not_searched_is_said() -> None:
    table = {name: each for name, each in TABLE.items() if name != "space"}
    with pytest.raises(UserError, match="`space` is missing"):
        sweep_config(table)


def test_fits_have_no_rounds() -> None:
    changes = {"train": None, "fit": {"data": "x.csv"}, "space": {"model.hidden": [[8]]}}
    assert a_config(**changes).task == "fit"
    with pytest.raises(UserError, match="`pruner` was 'median' for fits"):
        a_config(**changes, pruner="median")
