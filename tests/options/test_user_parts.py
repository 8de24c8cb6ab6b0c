"""Parts from a user's file, from an installed package, and from Python."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from lagdyna import UserError
from lagdyna.config import Config, config_from_table
from lagdyna.options import _part as part_module
from lagdyna.options import config_to_toml, described
from lagdyna.parts import AGENTS, LEARNERS, MODELS

SOURCE = '''
from lagdyna.parts import (AgentConfig, AdamConfig, DeLaNConfig, DynamicsConfig, LearnerConfig)


class Mine(DynamicsConfig, frozen=True, kw_only=True):
    """A DeLaN under another name.

    **Arguments:**

    - `width`: of its two layers.
    """

    width: int = 8

    def build(self, plant, solver, key):
        return DeLaNConfig(hidden=(self.width, self.width)).build(plant, solver, key)


wide = Mine(width=32)
number = 3


def fails():
    raise OSError
'''


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    return str(path)


def test_a_class_of_a_file_takes_options(file: str) -> None:
    spec = f"{file}:Mine"
    config = config_from_table({"model": {"name": spec, "width": 16}})
    assert config.model is not None
    assert config.model.name == spec
    assert config.model.width == 16  # pyright: ignore[reportAttributeAccessIssue]
    assert f'name = "{spec}"' in config_to_toml(config)
    assert Config(model=spec) == config_from_table({"model": spec})
    assert described(type(config.model))[1] == {"width": "of its two layers."}


def test_an_object_of_a_file_is_a_start_for_options(file: str) -> None:
    config = config_from_table({"model": f"{file}:wide"})
    assert config.model.width == 32  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]
    config = config_from_table({"model": {"name": f"{file}:wide", "width": 4}})
    assert config.model.width == 4  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (":number", "which is no DynamicsConfig"),
        (":missing", "has no 'missing'"),
        (":fails", "which is no DynamicsConfig"),
    ],
)
def test_what_is_no_part_is_refused(file: str, name: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        config_from_table({"model": file + name})


def test_a_wrong_value_or_option_of_a_users_part_is_named(file: str) -> None:
    with pytest.raises(UserError, match=r"`model.width` was 'x': expected `int`"):
        config_from_table({"model": {"name": f"{file}:Mine", "width": "x"}})
    with pytest.raises(UserError, match=r"`model.widht` is not an option; nearest: width"):
        config_from_table({"model": {"name": f"{file}:Mine", "widht": 3}})


def test_an_object_of_python_must_be_given_again(file: str) -> None:
    """Its name in a config file says what it was; no module is imported for it."""
    with pytest.raises(UserError, match="an object of Python; give the object again"):
        config_from_table({"model": {"name": "my_models:Mine"}})


def test_installed_packages_add_parts(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "installed_parts.py").write_text(SOURCE)
    entries = {
        "lagdyna.models": [
            EntryPoint("mine", "installed_parts:Mine", "lagdyna.models"),
            EntryPoint("broken", "no_such_module:Mine", "lagdyna.models"),
        ]
    }
    monkeypatch.setattr(part_module, "entry_points", lambda group: entries.get(group, []))
    assert "mine" in MODELS.names
    assert "mine" not in LEARNERS.names
    assert "mine" not in AGENTS.names
    config = config_from_table({"model": {"name": "mine", "width": 5}})
    assert config.model.name == "mine"  # pyright: ignore[reportOptionalMemberAccess]
    assert 'name = "mine"' in config_to_toml(config)
    with pytest.raises(UserError, match="`model` was 'broken', and loading it from"):
        config_from_table({"model": "broken"})
