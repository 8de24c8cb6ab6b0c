import ast
import importlib
import inspect
import subprocess
import sys

import pytest

import lagdyna


def imported_by(statement):
    """The modules that a new process has after a statement."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_to_import_it_waits_for_nothing_that_is_not_used():
    assert not imported_by("import lagdyna, lagdyna.cli") & {"jax", "scipy", "matplotlib"}


def test_only_who_draws_or_smooths_waits_for_it():
    slow = {"matplotlib", "jinja2", "scipy.stats", "scipy.interpolate"}
    assert not imported_by("import lagdyna; lagdyna.train, lagdyna.agents") & slow


def test_environments_are_known_when_it_is_imported():
    code = "import lagdyna, gymnasium\nassert gymnasium.make('lagdyna/Acrobot-v0').reset()"
    assert "jax" in imported_by(code)


def test_what_a_type_checker_sees_is_what_there_is():
    told = {
        alias.name: node.module
        for block in ast.parse(inspect.getsource(lagdyna)).body
        if isinstance(block, ast.If)  # if TYPE_CHECKING
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(told) == set(dir(lagdyna))
    for name, floor in told.items():
        if floor is None:
            assert getattr(lagdyna, name) is importlib.import_module(f"lagdyna.{name}")
        else:
            found = getattr(importlib.import_module(f"lagdyna.{floor}"), name)
            assert getattr(lagdyna, name) is found


def test_all_public_names_of_a_package_are_listed():
    names = dir(lagdyna.progress)
    assert {"Silence", "progress_of", "LineDisplay"} <= {*names}
    assert not {"TYPE_CHECKING", "lazy_names", "annotations"} & {*names}


def test_an_unknown_name_is_none():
    with pytest.raises(AttributeError, match="'lagdyna' has no attribute 'trian'"):
        lagdyna.trian  # noqa: B018
