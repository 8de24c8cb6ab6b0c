"""Rules that hold for every option of a config; `test_toml` has examples."""

import copy
import dataclasses
import re
import tomllib
import typing
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagdyna import UserError
from lagdyna.config import Config, config_from_table
from lagdyna.options import Part, config_to_toml, described
from lagdyna.parts import (
    AGENTS,
    ALGORITHMS,
    LEARNERS,
    LOSSES,
    MODELS,
    DynaConfig,
    ImaginationConfig,
    TD3Config,
)
from lagdyna.runs import train
from lagdyna.tasks import get_task

from ..small import small_config

VARIANTS = [
    kind
    for family in (MODELS, LEARNERS, LOSSES, AGENTS, ALGORITHMS)
    for kind in family.variants.values()
]


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.one_of(st.none(), st.floats(-1e300, 1e300)),
    st.floats(1e-300, 1e300),
)
def test_any_text_and_any_number_survive_toml(
    text: str, target: float | None, dt: float
) -> None:
    task = dataclasses.replace(
        get_task("Pendulum-v1"), env_id=text, description=text, target_return=target, dt=dt
    )
    config = dataclasses.replace(Config(), task=task)
    assert config_from_table(tomllib.loads(config_to_toml(config))) == config


def test_a_resolved_config_has_every_option_in_force() -> None:
    """Other defaults of a later version do not change a run that is read from its file."""
    config = Config().resolved()
    assert config.resolved() == config
    assert config_from_table(tomllib.loads(config_to_toml(config))) == config
    for part in (config.model, config.learner, config.loss, config.agent):
        assert part is not None
        assert all(getattr(part, name) is not None for name in part.__struct_fields__)
    for section in (config.solver, config.reward):
        assert section is not None


def test_configs_are_frozen_and_compare() -> None:
    config = small_config()
    assert config == small_config()
    assert hash(config) == hash(small_config())
    assert config != small_config(seed=1)
    with pytest.raises(AttributeError):
        config.agent.horizon = 3  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("kind", VARIANTS, ids=lambda kind: kind.__name__)
def test_every_option_of_every_variant_is_documented(kind: type[Part]) -> None:
    summary, options = described(kind)
    assert summary
    assert set(kind.__struct_fields__) <= set(options)


@pytest.mark.parametrize("kind", VARIANTS, ids=lambda kind: kind.__name__)
def test_every_variant_survives_toml_by_its_name(kind: type[Part]) -> None:
    family, part = kind.family, kind()
    assert family.variants[part.name] is kind
    assert family.find(part.name, family.option) is kind
    hash(part)


def sections() -> list[tuple[str, dict[str, Any]]]:
    """The dotted prefix of every kind of table, and a table that has it."""
    found: list[tuple[str, dict[str, Any]]] = [("", {})]
    for family in (MODELS, LEARNERS, AGENTS):
        for name in family.variants:
            found.append((f"{family.option}.", {family.option: {"name": name}}))
    for name in ALGORITHMS.variants:
        table = {"agent": {"name": "dyna", "algorithm": {"name": name}}}
        found.append(("agent.algorithm.", table))
    found += [
        (f"{name}.", {name: {}})
        for name in ("solver", "loss", "reward", "collect", "evaluation", "task")
    ]
    found.append(("agent.posterior.", {"agent": {"posterior": {}}}))
    found.append(("task.coordinates[0].", {}))
    return found


def nested(where: str, table: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """A table with that value in it, and all that it cannot do without."""
    whole: dict[str, Any] = {"task": dataclasses.asdict(get_task("Pendulum-v1"))}
    whole.update(copy.deepcopy({k: v for k, v in table.items() if k != "task"}))
    inner: Any = whole
    for part in where.removesuffix(".").split(".") if where else []:
        name, _, index = part.partition("[")
        inner = inner.setdefault(name, {})
        inner = inner[0] if index else inner
    inner[key] = value
    return whole


@pytest.mark.parametrize(
    ("where", "table"), sections(), ids=lambda each: each if isinstance(each, str) else "table"
)
def test_an_unknown_key_is_refused_wherever_it_is(where: str, table: dict[str, Any]) -> None:
    with pytest.raises(UserError) as error:
        config_from_table(nested(where, table, "xyzzy", 1))
    assert f"`{where}xyzzy` is not an option" in str(error.value)


BAD: list[tuple[str, str, Any, str]] = [
    ("", "steps", True, "`steps` was True: expected `int | null`, got `bool`"),
    ("", "task", {}, "`task`: Object missing required field"),
    ("", "task", 3, "`task` was 3"),
    ("task.", "dt", float("inf"), "`task.dt` was inf: expected a finite number"),
    ("task.", "dt", float("nan"), "`task.dt` was nan: expected a finite number"),
    ("task.", "env_id", 3, "`task.env_id` was 3: expected `str`, got `int`"),
    ("task.", "force", [[1.0], [2.0]], "`task`: `force` has 2 rows for 1 coordinates"),
    ("task.", "force", [["a"]], "`task.force[0][0]` was 'a': expected `float`"),
    ("task.", "force", [[float("nan")]], "`task.force[0][0]` was nan: expected a finite"),
    ("task.coordinates[0].", "cos", -1, "`task.coordinates[0].cos` was -1: expected"),
    ("task.coordinates[0].", "cos", None, "`task.coordinates[0]`: an angle needs"),
    ("model.", "initial_mass", 0.0, "`model.initial_mass` was 0.0: expected `float` > 0.0"),
    ("solver.", "substeps", 0, "`solver.substeps` was 0: expected `int` >= 1"),
    ("learner.", "rate", float("inf"), "`learner.rate` was inf: expected a finite number"),
    ("agent.", "discount", 0.0, "`agent.discount` was 0.0: expected `float` > 0.0"),
    ("agent.", "target_rate", 0.0, "`agent.target_rate` was 0.0: expected `float` > 0.0"),
    ("agent.", "entropy", -1e-9, "`agent.entropy` was -1e-09: expected `float` >= 0.0"),
    ("collect.", "capacity", 0, "`collect.capacity` was 0"),
    ("evaluation.", "episodes", 0, "`evaluation.episodes` was 0: expected `int` >= 1"),
]


@pytest.mark.parametrize(
    ("where", "key", "value", "said"), BAD, ids=[f"{w}{k}={v}" for w, k, v, _ in BAD]
)
def test_a_bad_value_is_named_in_one_line(where: str, key: str, value: Any, said: str) -> None:
    with pytest.raises(UserError) as error:
        config_from_table(nested(where, {}, key, value))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def literals() -> list[tuple[str, dict[str, Any], str, tuple[str, ...]]]:
    """Every option of a variant that takes only some names, and those names."""
    found = []
    for kind in VARIANTS:
        family, name = kind.family, str(kind.__struct_config__.tag)
        where = f"{'agent.' if family is ALGORITHMS else ''}{family.option}."
        inner = {family.option: {"name": name}}
        table = {"agent": {"name": "dyna", **inner}} if family is ALGORITHMS else inner
        for option, hint in typing.get_type_hints(kind).items():
            for each in (hint, *typing.get_args(hint)):
                if typing.get_origin(each) is Literal and option in kind.__struct_fields__:
                    whole = table
                    if (name, option) == ("robot-residual", "activation"):
                        # The default form has no network.
                        whole = {"model": {"name": name, "form": "position"}}
                    found.append((where, whole, option, typing.get_args(each)))
    return found


@pytest.mark.parametrize(("where", "table", "option", "choices"), literals())
def test_every_choice_is_listed_and_every_listed_one_accepted(
    where: str, table: dict[str, Any], option: str, choices: tuple[str, ...]
) -> None:
    for choice in choices:
        if (option, choice) == ("norm", "pseudo-huber") and "loss" not in table:
            continue
        found: Any = config_from_table(nested(where, table, option, choice))
        for name in (*where.removesuffix(".").split("."), option):
            found = getattr(found, name)
        assert found == choice
    with pytest.raises(UserError) as error:
        config_from_table(nested(where, table, option, "xyzzy"))
    said = f"`{where}{option}` was 'xyzzy'; accepted: {', '.join(choices)}"
    assert str(error.value) == said


def test_a_config_built_in_python_is_checked_before_it_is_used(tmp_path: Path) -> None:
    for config, said in (
        (dataclasses.replace(Config(), steps=0), "`steps` was 0"),
        (Config(agent=ImaginationConfig(horizon=0)), "`agent.horizon` was 0"),
        (
            Config(agent=DynaConfig(algorithm=TD3Config(delay=0))),
            "`agent.algorithm.delay` was 0",
        ),
    ):
        with pytest.raises(UserError, match=re.escape(said)):
            train(config, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_long_value_is_cut_in_messages() -> None:
    with pytest.raises(UserError, match=r"was '\[\[\[") as error:
        config_from_table({"model": {"activation": "[" * 10_000}})
    assert len(str(error.value)) < 400
