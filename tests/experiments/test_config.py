import dataclasses
import tomllib
import typing
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagdyna.experiments import (
    Config,
    UserError,
    config_from_table,
    config_to_toml,
    load_config,
    override,
    parse_value,
    read_table,
)
from lagdyna.simulate import SOLVERS
from lagdyna.tasks import CoordinateSpec, TaskSpec, get_task

from ..runs import tiny

CAR = {
    "env_id": "MountainCarContinuous-v0",
    "coordinates": [
        {
            "kind": "linear",
            "position": 0,
            "velocity": 1,
            "velocity_limit": 0.07,
            "position_range": 1.2,
        }
    ],
    "dt": 1.0,
    "force": [[0.0015]],
}

positive = st.floats(1e-300, 1e300)
counts = st.integers(1, 2**40)
tables = st.fixed_dictionaries(
    {},
    optional={
        "steps": counts,
        "seed": st.integers(0, 2**62),
        "task": st.sampled_from(["Pendulum-v1", CAR]),
        "model": st.fixed_dictionaries(
            {}, optional={"hidden": st.lists(counts, min_size=1), "initial_mass": positive}
        ),
        "solver": st.one_of(
            st.fixed_dictionaries({"name": st.sampled_from(sorted(SOLVERS))}),
            st.fixed_dictionaries({"rtol": positive, "atol": positive}),
        ),
        "learner": st.fixed_dictionaries(
            {}, optional={"name": st.sampled_from(["adam", "sgd"]), "rate": positive}
        ),
        "agent": st.fixed_dictionaries(
            {},
            optional={
                "discount": st.floats(1e-9, 1, exclude_max=True),
                "return_lambda": st.floats(0, 1),
                "entropy": st.floats(0, 1e300),
            },
        ),
        "collect": st.fixed_dictionaries({}, optional={"capacity": counts}),
    },
)


@given(tables)
def test_a_config_written_as_toml_reads_back_the_same(table: dict[str, Any]) -> None:
    config = config_from_table(table)
    text = config_to_toml(config)
    assert config_from_table(tomllib.loads(text)) == config


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.one_of(st.none(), st.floats(-1e300, 1e300)),
)
def test_so_does_a_task_of_one_s_own(text: str, target: float | None) -> None:
    task = TaskSpec(
        env_id=text,
        coordinates=(
            CoordinateSpec(kind="angle", cos=3, sin=4, velocity=5, velocity_range=1.5),
            CoordinateSpec(
                kind="linear", position=0, velocity=1, velocity_limit=2.0, position_range=1.0
            ),
        ),
        dt=0.1,
        force=((1.0, 0.0), (0.0, -2.0)),
        target_return=target,
        description=text,
    )
    config = dataclasses.replace(Config(), task=task)
    assert config_from_table(tomllib.loads(config_to_toml(config))) == config


def test_nothing_is_the_default() -> None:
    assert config_from_table({}) == Config()
    assert Config().task == get_task("Pendulum-v1")


def test_the_written_config_is_complete() -> None:
    """Every option that has a value stands in it, so other defaults would not change it."""

    def names(kind: Any, value: Any) -> Any:
        if not dataclasses.is_dataclass(kind):
            return None
        return {
            field.name: names(type(getattr(value, field.name)), getattr(value, field.name))
            for field in dataclasses.fields(kind)
            if getattr(value, field.name) is not None
        }

    def keys(table: Any) -> Any:
        return {k: keys(v) for k, v in table.items()} if isinstance(table, dict) else None

    written = tomllib.loads(config_to_toml(Config()))
    assert keys(written) == names(Config, Config())


def test_a_task_may_be_named_or_described() -> None:
    named = config_from_table({"task": "Pendulum-v1"})
    described = config_from_table({"task": dataclasses.asdict(get_task("Pendulum-v1"))})
    assert named == described
    assert config_from_table({"task": CAR}).task.coordinates[0].position_range == 1.2


def test_configs_are_frozen_and_compare() -> None:
    config = tiny()
    assert config == tiny()
    assert hash(config) == hash(tiny())
    assert config != tiny(seed=1)
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
    assert "" in sections()
    assert "agent." in sections()
    assert "task.coordinates[0]." in sections()


@pytest.mark.parametrize("where", sections())
def test_an_unknown_key_is_refused_wherever_it_is(where: str) -> None:
    with pytest.raises(UserError) as error:
        config_from_table(nested(where, "xyzzy", 1))
    assert f"`{where}xyzzy` is not an option" in str(error.value)


def test_an_unknown_key_is_answered_with_the_nearest_and_all() -> None:
    with pytest.raises(
        UserError, match=r"`agent.horizn`.*nearest: horizon.*all in agent: name"
    ):
        config_from_table({"agent": {"horizn": 3}})


BAD: list[tuple[str, str, Any, str]] = [
    ("", "steps", 0, "`steps` was 0: expected `int` >= 1"),
    ("", "steps", -5, "`steps` was -5: expected `int` >= 1"),
    ("", "steps", 1.0, "`steps` was 1.0: expected `int`, got `float`"),
    ("", "steps", "many", "`steps` was 'many': expected `int`, got `str`"),
    ("", "steps", True, "`steps` was True: expected `int`, got `bool`"),
    ("", "seed", -1, "`seed` was -1: expected `int` >= 0"),
    ("", "agent", 3, "`agent` was 3: expected `object`, got `int`"),
    ("", "task", 3, "`task` was 3"),
    ("", "task", {}, "`task`: Object missing required field `env_id`"),
    ("", "task", "Pendulm-v1", "`task` was 'Pendulm-v1', which is not a task; nearest"),
    ("task.", "dt", 0, "`task.dt` was 0: expected `float` > 0.0"),
    ("task.", "dt", -0.1, "`task.dt` was -0.1: expected `float` > 0.0"),
    ("task.", "dt", float("inf"), "`task.dt` was inf: expected a finite number"),
    ("task.", "dt", float("nan"), "`task.dt` was nan: expected a finite number"),
    ("task.", "env_id", 3, "`task.env_id` was 3: expected `str`, got `int`"),
    ("task.", "force", [[1.0], [2.0]], "`task`: `force` has 2 rows for 1 coordinates"),
    ("task.", "force", [["a"]], "`task.force[0][0]` was 'a': expected `float`"),
    ("task.", "force", [[float("nan")]], "`task.force[0][0]` was nan: expected a finite"),
    ("task.", "coordinates", [], "there must be one at least"),
    ("task.coordinates[0].", "cos", -1, "`task.coordinates[0].cos` was -1: expected `int` >= 0"),
    ("task.coordinates[0].", "cos", None, "`task.coordinates[0]`: an angle needs"),
    (
        "task.coordinates[0].",
        "kind",
        "angel",
        "`task.coordinates[0].kind` was 'angel'; nearest: angle; accepted: angle, linear",
    ),
    ("model.", "name", "dlan", "`model.name` was 'dlan'; nearest: delan; accepted: delan"),
    ("model.", "hidden", [], "`model.hidden` was []: expected `array` of length >= 1"),
    ("model.", "hidden", [8, 0], "`model.hidden[1]` was 0: expected `int` >= 1"),
    ("model.", "activation", "relu", "`model.activation` was 'relu'; "),
    ("model.", "initial_mass", 0.0, "`model.initial_mass` was 0.0: expected `float` > 0.0"),
    ("solver.", "name", "huen", "`solver` was 'huen', which is not a solver; nearest: heun"),
    ("solver.", "substeps", 0, "`solver.substeps` was 0: expected `int` >= 1"),
    ("solver.", "rtol", 1e-3, "`solver`: `rtol` and `atol` must be given together"),
    ("learner.", "name", "admaw", "accepted: adam, adamw, lion, rmsprop, sgd"),
    ("learner.", "rate", 0, "`learner.rate` was 0: expected `float` > 0.0"),
    ("agent.", "discount", 1.0, "`agent.discount` was 1.0: expected `float` < 1.0"),
    ("agent.", "discount", 0.0, "`agent.discount` was 0.0: expected `float` > 0.0"),
    ("agent.", "return_lambda", 1.1, "`agent.return_lambda` was 1.1: expected `float` <= 1.0"),
    ("agent.", "uniform_starts", -0.1, "`agent.uniform_starts` was -0.1"),
    ("agent.", "target_rate", 0.0, "`agent.target_rate` was 0.0: expected `float` > 0.0"),
    ("agent.", "entropy", -1e-9, "`agent.entropy` was -1e-09: expected `float` >= 0.0"),
    ("collect.", "capacity", 0, "`collect.capacity` was 0"),
    ("evaluation.", "episodes", 0, "`evaluation.episodes` was 0: expected `int` >= 1"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("where", "key", "value", "said"), BAD, ids=[f"{w}{k}={v}" for w, k, v, _ in BAD]
)
def test_a_bad_value_is_refused_with_its_name_and_what_is_accepted(
    where: str, key: str, value: Any, said: str
) -> None:
    with pytest.raises(UserError) as error:
        config_from_table(nested(where, key, value))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["euler", "semi_implicit_euler"])
def test_a_solver_without_an_error_estimate_takes_no_tolerances(name: str) -> None:
    table = {"solver": {"name": name, "rtol": 1e-3, "atol": 1e-3}}
    with pytest.raises(UserError, match=f"`rtol` and `atol` .*'{name}', which does not"):
        config_from_table(table)


def literals(kind: Any = Config, where: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, inner in typing.get_type_hints(kind).items():
        if typing.get_origin(inner) is Literal:
            found.append((*where, name, *typing.get_args(inner)))
        elif dataclasses.is_dataclass(inner):
            found += literals(inner, (*where, name))
    return found


@pytest.mark.parametrize("option", literals(), ids=lambda option: ".".join(option[:2]))
def test_every_choice_is_listed_and_every_listed_one_accepted(option: tuple[str, ...]) -> None:
    section, name, *choices = option
    for choice in choices:
        config = config_from_table({section: {name: choice}})
        assert getattr(getattr(config, section), name) == choice
    with pytest.raises(UserError) as error:
        config_from_table({section: {name: "xyzzy"}})
    assert str(error.value) == (
        f"`{section}.{name}` was 'xyzzy'; accepted: {', '.join(choices)}"
    )


def test_a_config_built_in_python_is_checked_before_it_is_used(tmp_path: Path) -> None:
    from lagdyna.experiments import train

    config = dataclasses.replace(Config(), steps=0)
    with pytest.raises(UserError, match="`steps` was 0"):
        train(config, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("key", "value", "table"),
    [
        ("steps", 3, {"steps": 3}),
        ("agent.horizon", 3, {"agent": {"horizon": 3, "batch": 2}}),
        ("agent", "imagination", {"agent": {"name": "imagination", "batch": 2}}),
        ("solver", "tsit5", {"solver": {"name": "tsit5"}}),
        ("task", "Pendulum-v1", {"task": "Pendulum-v1"}),
        ("task.dt", 0.1, {"task": {"dt": 0.1}}),
    ],
)
def test_an_override_sets_one_option_and_keeps_the_others(
    key: str, value: Any, table: dict[str, Any]
) -> None:
    given_table: dict[str, Any] = {"agent": {"batch": 2}}
    override(given_table, key, value)
    assert given_table == {"agent": {"batch": 2}} | table


def test_an_override_of_what_is_no_table_is_refused() -> None:
    with pytest.raises(UserError, match=r"`task.dt` was given, but `task` is not a table"):
        override({"task": "Pendulum-v1"}, "task.dt", 0.1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("3e-4", 3e-4),
        ("true", True),
        ("[64, 64]", [64, 64]),
        ('"3"', "3"),
        ("tanh", "tanh"),
        ("", ""),
        ("Pendulum-v1", "Pendulum-v1"),
        ("{cos = 0}", {"cos": 0}),
    ],
)
def test_a_value_from_the_command_line_is_toml_or_a_string(text: str, value: Any) -> None:
    parsed = parse_value(text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize("content", [b"steps = ", b"\xff\xfe\x00", b"a = 1\na = 2"])
def test_what_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(content)
    with pytest.raises(UserError, match="`config`.*a.toml"):
        read_table(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "a.toml", tmp_path):
        with pytest.raises(UserError, match="`config` was .*which cannot be read"):
            read_table(path)


def test_what_is_wrong_in_a_file_is_said_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("stepz = 3")
    with pytest.raises(UserError, match=r"a\.toml: `stepz` is not an option; nearest: steps"):
        load_config(path)
    path.write_text(config_to_toml(tiny(seed=5)))
    assert load_config(path) == tiny(seed=5)
