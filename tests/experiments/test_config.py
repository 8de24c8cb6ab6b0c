"""What holds for every option of a config, whichever there are; `test_toml` has examples."""

import dataclasses
import tomllib
import typing
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagdyna.experiments import Config, UserError, config_from_table, config_to_toml, train
from lagdyna.tasks import get_task

from .small import small_config


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


def test_the_written_config_is_complete() -> None:
    """Every option that has a value stands in it, so other defaults would not change it."""

    def names(value: Any) -> Any:
        if not dataclasses.is_dataclass(value):
            return None
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return {name: names(inner) for name, inner in fields.items() if inner is not None}

    def keys(table: Any) -> Any:
        return {k: keys(v) for k, v in table.items()} if isinstance(table, dict) else None

    assert keys(tomllib.loads(config_to_toml(Config()))) == names(Config())


def test_configs_are_frozen_and_compare() -> None:
    config = small_config()
    assert config == small_config()
    assert hash(config) == hash(small_config())
    assert config != small_config(seed=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.agent.horizon = 3  # pyright: ignore[reportAttributeAccessIssue]


def sections(kind: Any = Config, where: str = "") -> list[str]:
    """The dotted prefix of every table that a config may have, coordinates included."""
    found = [where]
    for name, inner in typing.get_type_hints(kind).items():
        entry = typing.get_args(inner)[0] if typing.get_origin(inner) is tuple else inner
        index = "[0]" if entry is not inner else ""
        if dataclasses.is_dataclass(entry):
            found += sections(entry, f"{where}{name}{index}.")
    return found


def nested(where: str, key: str, value: Any) -> dict[str, Any]:
    """A table with that value in it, and all that it cannot do without."""
    table: dict[str, Any] = {"task": dataclasses.asdict(get_task("Pendulum-v1"))}
    inner: Any = table
    for part in where.removesuffix(".").split(".") if where else []:
        name, _, index = part.partition("[")
        inner = inner.setdefault(name, {})
        inner = inner[0] if index else inner
    inner[key] = value
    return table


def test_every_section_is_known_to_the_next_test() -> None:
    assert {"", "agent.", "task.", "task.coordinates[0]."} < set(sections())


@pytest.mark.parametrize("where", sections())
def test_an_unknown_key_is_refused_wherever_it_is(where: str) -> None:
    with pytest.raises(UserError) as error:
        config_from_table(nested(where, "xyzzy", 1))
    assert f"`{where}xyzzy` is not an option" in str(error.value)


BAD: list[tuple[str, str, Any, str]] = [
    ("", "steps", True, "`steps` was True: expected `int | null`, got `bool`"),
    ("", "task", {}, "`task`: Object missing required field `env_id`"),
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
        config_from_table(nested(where, key, value))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def literals(
    kind: Any = Config, where: tuple[str, ...] = ()
) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """For every option that takes only some names: the way to it, and those names."""
    found = []
    for name, inner in typing.get_type_hints(kind).items():
        if typing.get_origin(inner) is Literal:
            found.append(((*where, name), typing.get_args(inner)))
        elif dataclasses.is_dataclass(inner):
            found += literals(inner, (*where, name))
    return found


@pytest.mark.parametrize(
    ("path", "choices"), literals(), ids=[".".join(path) for path, _ in literals()]
)
def test_every_choice_is_listed_and_every_listed_one_accepted(
    path: tuple[str, ...], choices: tuple[str, ...]
) -> None:
    for choice in choices:
        found: Any = config_from_table(nested(f"{'.'.join(path[:-1])}.", path[-1], choice))
        for name in path:
            found = getattr(found, name)
        assert found == choice
    with pytest.raises(UserError) as error:
        config_from_table(nested(f"{'.'.join(path[:-1])}.", path[-1], "xyzzy"))
    assert str(error.value) == f"`{'.'.join(path)}` was 'xyzzy'; accepted: {', '.join(choices)}"


def test_a_config_built_in_python_is_checked_before_it_is_used(tmp_path: Path) -> None:
    config = dataclasses.replace(Config(), steps=0)
    with pytest.raises(UserError, match="`steps` was 0"):
        train(config, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
