"""Atomic files and directories for results."""

import json
import math
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lagdyna import UserError
from lagdyna.results import (
    digest_of_lines,
    new_directory,
    numbered,
    read_first_lines,
    read_json_lines,
    replacing,
    write_json,
    write_json_lines,
)


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


class Stop(BaseException):
    """Interruption at any moment, such as Ctrl-C."""


@pytest.mark.parametrize("old", [None, "old"])
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, old: str | None
) -> None:
    path = tmp_path / "a.txt"
    if old is not None:
        path.write_text(old)
    before = contents(tmp_path)
    with suppress(Stop), replacing(path) as temporary:
        temporary.write_text("half of the ne")
        raise Stop
    assert contents(tmp_path) == before


@pytest.mark.parametrize("moment", ["fsync", "chmod", "replace"])
def test_a_write_that_fails_on_its_last_steps_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def stop(*args: Any) -> None:
        raise Stop

    path = tmp_path / "a.json"
    write_json(path, {"old": 1})
    before = contents(tmp_path)
    monkeypatch.setattr(*((os, "fsync", stop) if moment == "fsync" else (Path, moment, stop)))
    with pytest.raises(Stop):
        write_json(path, {"new": 2})
    monkeypatch.undo()
    assert contents(tmp_path) == before


def test_a_file_is_replaced_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert temporary.parent == path.parent, "another disk could not be renamed from"
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_files_are_as_readable_as_any_other(tmp_path: Path) -> None:
    plain, path = tmp_path / "plain", tmp_path / "a.json"
    plain.write_text("")
    write_json(path, 1)
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_a_value_that_json_cannot_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, [1])
    with pytest.raises(TypeError):
        write_json(path, [object()])
    assert json.loads(path.read_text()) == [1]
    assert list(tmp_path.iterdir()) == [path]


def test_lines_are_read_up_to_a_truncated_one(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    assert read_json_lines(path) == []
    values = [{"a": 1.5}, {"b": "\u2212 \n"}, {"c": [None, 3]}]
    write_json_lines(path, values)
    assert read_json_lines(path) == values
    whole = path.read_text()
    assert len(whole.splitlines()) == 3
    path.write_text(whole[:-5])
    assert read_json_lines(path) == values[:2]
    digest = digest_of_lines(values[:2])
    assert read_first_lines(path, 2, digest, msgspec.Struct) == values[:2]
    with pytest.raises(UserError, match="2 complete lines, and the checkpoint refers to 3"):
        read_first_lines(path, 3, digest, msgspec.Struct)
    path.write_text(whole.replace("1.5", "1.25"))
    with pytest.raises(UserError, match="are not those that were written"):
        read_first_lines(path, 2, digest, msgspec.Struct)


def test_a_new_directory_may_be_nested_or_empty(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    assert new_directory(deep) == deep
    assert deep.is_dir()
    assert new_directory(deep) == deep


def test_a_directory_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".hidden").write_text("")
    with pytest.raises(UserError, match=r"`out` was .*which is not empty; a new or an empty"):
        new_directory(tmp_path)
    (tmp_path / "config.toml").write_text("")
    with pytest.raises(UserError, match="already holds a run"):
        new_directory(tmp_path)


def test_a_file_is_refused_as_a_directory(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("precious")
    for path in (file, file / "b"):
        with pytest.raises(UserError, match="`out` was .*which cannot be used"):
            new_directory(path)
    assert file.read_text() == "precious"


def test_the_first_free_number_is_used(tmp_path: Path) -> None:
    for taken in (1, 2, 4):
        (tmp_path / f"run-{taken}").mkdir()
    assert numbered(lambda k: tmp_path / f"run-{k}") == tmp_path / "run-3"


def test_lines_are_valid_json_whatever_the_numbers_are(tmp_path: Path) -> None:
    lines = [{"a": math.inf, "b": [1.5, math.nan, {"c": -math.inf}], "d": "NaN", "e": 3}]
    write_json_lines(tmp_path / "lines.jsonl", lines)
    read = json.loads((tmp_path / "lines.jsonl").read_text(), parse_constant=pytest.fail)
    assert read == {"a": None, "b": [1.5, None, {"c": None}], "d": "NaN", "e": 3}
