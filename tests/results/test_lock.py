"""Locks and directories of runs. `tests/cli/test_interruption.py` locks in two processes."""

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from lagdyna import UserError
from lagdyna.results import (
    LOCK_FILE,
    locked,
    make_directory,
    make_numbered,
    new_run,
    reserved,
    write_json,
)
from lagdyna.results import _lock as lock_module


def test_a_directory_is_locked_once(tmp_path: Path) -> None:
    with locked(tmp_path):
        said = rf"is in use by process {os.getpid()} on host"
        with pytest.raises(UserError, match=said), locked(tmp_path):
            pass
        assert (tmp_path / LOCK_FILE).exists()
    with locked(tmp_path):
        pass
    assert not [*tmp_path.iterdir()]


def owner(**changes: Any) -> str:
    return json.dumps({**lock_module._this_process(), "pid": os.getppid(), **changes})


@pytest.mark.parametrize(
    ("content", "is_held"),
    [
        ("", False),
        ("[1]", False),
        ('{"pid": "x"}', False),
        (owner(pid=2**22 + 1), False),
        (owner(began="0"), False),
        (owner(boot="another"), False),
        (owner(began=lock_module._began(os.getppid())), True),
        (owner(host="elsewhere"), True),
    ],
    ids=["empty", "list", "text", "gone", "reused", "rebooted", "running", "elsewhere"],
)
def test_without_locks_of_the_system_the_file_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, is_held: bool
) -> None:
    monkeypatch.setattr(lock_module, "fcntl", None)
    (tmp_path / LOCK_FILE).write_text(content)
    if not is_held:
        with locked(tmp_path):
            pass
        return
    with pytest.raises(UserError, match="is in use by process") as error, locked(tmp_path):
        pass
    if "elsewhere" in content:
        assert "on host 'elsewhere'" in str(error.value)
        assert "If that host is gone, delete" in str(error.value)


def test_directories_made_at_the_same_time_differ(tmp_path: Path) -> None:
    made: list[Path] = []

    def make() -> None:
        made.extend(make_numbered(lambda k: tmp_path / "runs" / f"run-{k}") for _ in range(20))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {path.name for path in made} == {f"run-{k}" for k in range(1, 81)}


def test_a_reserved_directory_is_removed_if_nothing_was_written(tmp_path: Path) -> None:
    def path(k: int) -> Path:
        return tmp_path / "runs" / f"run-{k}"

    with pytest.raises(UserError, match="of no use"), reserved(None, path) as found:
        assert found == path(1)
        raise UserError("of no use")
    assert not [*tmp_path.iterdir()]
    with reserved(None, path) as found, new_run(found):
        (found / "run.json").write_text("{}")
    assert [each.name for each in path(1).iterdir()] == ["run.json"]
    with reserved(path(1), path) as found:
        assert found == path(1)
    with pytest.raises(UserError, match="already holds a run"), new_run(path(1)):
        pass


def test_a_write_that_fails_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_json(tmp_path / "a.json", 1)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    said = r"a\.json' cannot be written: No space left .*free some space\. .*is whole"
    with pytest.raises(UserError, match=said):
        write_json(tmp_path / "a.json", 2)
    monkeypatch.undo()
    assert json.loads((tmp_path / "a.json").read_text()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    with pytest.raises(UserError, match=r"cannot be written: Not a directory"):
        make_directory(tmp_path / "a.json" / "b")
