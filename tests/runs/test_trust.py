"""A run directory is data: code that its config names is run only when it is trusted."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w

import lagdyna
from lagdyna import UserError
from lagdyna.cli import main
from lagdyna.config import Config, fit_config
from lagdyna.options import config_to_toml
from lagdyna.parts import DeLaNConfig
from lagdyna.results import write_run_file, write_sealed
from lagdyna.runs import (
    compare,
    config_of,
    evaluate,
    load_fit,
    load_run,
    resume,
    resume_fit,
    resume_run,
    resume_seeds,
)
from lagdyna.runs._config_of import Objects, objects_of, stored
from lagdyna.tasks import TASKS

from ..small import small_table

CODE = """
from pathlib import Path
Path("ran").touch()
from lagdyna.parts import DeLaNConfig

class Model(DeLaNConfig, frozen=True, kw_only=True):
    pass
"""
TASK = {
    "coordinates": [
        {"kind": "angle", "cos": 0, "sin": 1, "velocity": 2, "velocity_limit": 8.0}
    ],
    "dt": 0.05,
    "force": [[2.0]],
}
# Every place of a training config that can name code.
PLACES: dict[str, dict[str, Any]] = {
    "model": {"model": {"name": "evil.py:Model"}},
    "learner": {"learner": {"name": "evil.py:Model"}},
    "loss": {"loss": {"name": "evil.py:Model"}},
    "agent": {"agent": {"name": "evil.py:Model"}},
    "agent.algorithm": {"agent": {"name": "dyna", "algorithm": {"name": "./evil.py:Model"}}},
    "model.known": {"model": {"name": "known", "known": "evil.py:system"}},
    "model.residual": {"model": {"name": "constrained-mlp", "residual": "evil.py/:f"}},
    "task.env_id": {"task": {"env_id": "evil:My/Base-v0", **TASK}},
}
FIT_PLACES = {name: table for name, table in PLACES.items() if name[:4] not in ("agen", "task")}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "evil.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "evil", raising=False)
    return tmp_path


def a_run(kind: Any, table: dict[str, Any]) -> Path:
    out = Path("run")
    out.mkdir()
    write_run_file(out, kind)
    (out / "config.toml").write_text(tomli_w.dumps(table))
    return out


def refused(call: Callable[[], Any], place: str, value: str) -> None:
    with pytest.raises(UserError) as error:
        call()
    message = str(error.value)
    named = value.removeprefix("./").replace("/:", ":")  # readers give the whole path of a file
    said = rf"names code in `{place}`, '\S*{re.escape(named)}', which is not run unasked"
    assert re.search(said, message.replace("/:", ":"))
    assert "add `--trust`" in message
    assert "\n" not in message
    assert not Path("ran").exists()
    assert "evil" not in sys.modules


def value_in(table: dict[str, Any], place: str) -> str:
    found: Any = table
    for key in place.split("."):
        found = found[key]
    return found["name"] if isinstance(found, dict) else found


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("read", [evaluate, load_run, lagdyna.load, resume, resume_run])
def test_no_reader_of_a_training_run_runs_its_code(place: str, read: Any) -> None:
    table = {**small_table(), **PLACES[place]}
    run = a_run("train", table)
    refused(lambda: read(run), place, value_in(table, place))


@pytest.mark.parametrize("place", FIT_PLACES)
@pytest.mark.parametrize("read", [load_fit, lagdyna.load, resume, resume_fit])
def test_no_reader_of_a_fit_runs_its_code(place: str, read: Any) -> None:
    table = {"data": {"file": "a.csv"}, **FIT_PLACES[place]}
    run = a_run("fit", table)
    refused(lambda: read(run), place, value_in(table, place))


def test_neither_resuming_seeds_nor_comparing_runs_code() -> None:
    table = {**small_table(), **PLACES["model"], **PLACES["task.env_id"]}
    seed = a_run("train", table).rename("seed-0")
    run = Path("run")
    run.mkdir()
    seed.rename(run / "seed-0")
    write_run_file(run, "seeds")
    write_sealed(run / "seeds.json", {"seeds": [0]})
    refused(lambda: resume_seeds(run), "model", "evil.py:Model")
    with pytest.raises(UserError):
        compare([run / "seed-0"])
    assert not Path("ran").exists()


def test_trusted_code_is_run(folder: Path) -> None:
    run = a_run("train", {**small_table(), **PLACES["model"]})
    config = config_of(run, Objects(trust=True))
    assert config.model is not None
    assert config.model.name == "evil.py:Model"
    assert (folder / "ran").exists()


@pytest.mark.parametrize("again", ["evil.py:Model", "./evil.py:Model"])
def test_the_same_file_given_again_is_trusted(again: str, folder: Path) -> None:
    run = a_run("train", {**small_table(), **PLACES["model"]})
    assert config_of(run, Objects(trust={"model": again})).model is not None
    absolute = str(folder / "evil.py") + ":Model"
    assert config_of(run, Objects(trust={"model.name": absolute})).model is not None


def test_another_value_given_again_is_refused() -> None:
    run = a_run("train", {**small_table(), **PLACES["model"]})
    wrong = {"model": "evil.py:Other", "learner": "evil.py:Model", "known": "evil.py:Model"}
    for option, value in wrong.items():
        with pytest.raises(UserError, match=r"was given again as .*the same value is accepted"):
            config_of(run, Objects(trust={option: value}))
    assert not Path("ran").exists()


def test_a_run_does_not_choose_which_of_two_files_is_meant(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file given again is that of the working directory, wherever the run was begun."""
    run = a_run("train", {**small_table(), **PLACES["model"]})  # begun here, where evil.py is
    other = folder / "other"
    other.mkdir()
    (other / "evil.py").write_text(CODE)
    monkeypatch.chdir(other)
    with pytest.raises(UserError, match="was given again as"):
        lagdyna.load(folder / run, trust={"model": "evil.py:Model"})
    assert not Path("ran").exists()


def test_options_that_look_alike_do_not_hide_code() -> None:
    run = a_run("train", {**small_table(), "model.name": "delan", **PLACES["model"]})
    refused(lambda: config_of(run), "model", "evil.py:Model")


def test_trust_in_one_option_is_not_trust_in_another() -> None:
    run = a_run("train", {**small_table(), **PLACES["model"], **PLACES["task.env_id"]})
    objects = Objects(trust={"model": "evil.py:Model"})
    refused(lambda: config_of(run, objects), "task.env_id", "evil:My/Base-v0")


def test_objects_given_in_python_take_the_place_of_code() -> None:
    run = a_run("fit", {"data": {"file": "a.csv"}, **PLACES["model"]})
    config = stored(run, objects_of(DeLaNConfig(hidden=(4,))), fit_config)
    assert config.model == DeLaNConfig(hidden=(4,))
    assert stored(run, objects_of("delan"), fit_config).model.name == "delan"
    assert not Path("ran").exists()


def test_a_class_given_in_python_does_not_vouch_for_stored_equations() -> None:
    run = a_run("fit", {"data": {"file": "a.csv"}, **PLACES["model.known"]})
    objects = objects_of("known")
    refused(lambda: stored(run, objects, fit_config), "model.known", "evil.py:system")


@pytest.mark.parametrize("name", [name for name, each in TASKS.items() if ":" in each.env_id])
def test_environments_and_wrappers_of_lagdyna_itself_need_no_trust(name: str) -> None:
    run = a_run("train", {})
    (run / "config.toml").write_text(config_to_toml(Config(task=name)))
    assert config_of(run).task == TASKS[name]


@pytest.mark.parametrize(
    "command", [["evaluate"], ["resume"], ["resume", "--agent", "evil.py:Other"]]
)
def test_the_commands_say_what_to_do(
    command: list[str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = a_run("train", {**small_table(), **PLACES["model"]})
    monkeypatch.setattr(sys, "argv", ["lagdyna", command[0], str(run), *command[1:]])
    with pytest.raises(SystemExit) as end:
        main()
    stderr = capsys.readouterr().err
    assert end.value.code == 2
    assert stderr.startswith("lagdyna: ")
    assert stderr.count("\n") == 1
    assert not (folder / "ran").exists()
    said = "was given again" if command[1:] else r"`--trust` or give `--model \S*evil.py:Model`"
    assert re.search(said, stderr)
