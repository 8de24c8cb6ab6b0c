"""The file that says what a run directory holds."""

import json
from pathlib import Path
from typing import Any

import pytest

from lagdyna import UserError
from lagdyna.results import (
    FORMAT,
    NUMERICS,
    RUN_FILE,
    check_kind,
    kind_of,
    run_facts,
    write_run_file,
)


@pytest.mark.parametrize("kind", ["train", "seeds", "fit", "reproduction"])
def test_the_kind_of_a_run_is_read_back(tmp_path: Path, kind: Any) -> None:
    assert kind_of(tmp_path) is None
    write_run_file(tmp_path, kind)
    assert kind_of(tmp_path) == kind
    check_kind(tmp_path, kind)
    other: Any = "fit" if kind == "train" else "train"
    with pytest.raises(UserError, match=f"holds a run of `lagdyna .*that `lagdyna {other}`"):
        check_kind(tmp_path, other)


def test_a_run_records_the_version_of_the_numerics_and_its_steps(tmp_path: Path) -> None:
    write_run_file(tmp_path, "train", steps=300)
    facts = run_facts(tmp_path)
    assert (facts.numerics, facts.steps) == (NUMERICS, 300)


def test_a_directory_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no run; a directory that `lagdyna fit` wrote"):
        check_kind(tmp_path, "fit")


@pytest.mark.parametrize("name", ["config.toml", "seeds.json", "reproduction.json"])
def test_a_run_of_lagdyna_0_1_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    with pytest.raises(
        UserError, match=r"was written by lagdyna 0\.1, .*the version that wrote it"
    ):
        kind_of(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not whole"),
        ('{"kind": "train"', "is not whole"),
        ('["train"]', "is damaged: its `kind` is None"),
        ('{"kind": "train", "format": 2, "lagdyna": "0.2.0"}', "has no checksum"),
        ('{"kind": ["train"]}', "is damaged: its `kind` is"),
        ('{"kind": NaN}', "is damaged: its `kind` is nan"),
        ("[" * 100_000, "is not whole"),
        ("1" * 10_000, "is not whole"),
        ('{"kind": "walk"}', "is damaged: its `kind` is 'walk'"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / RUN_FILE).write_text(content)
    with pytest.raises(UserError, match=message):
        kind_of(tmp_path)


def test_another_kind_is_noticed(tmp_path: Path) -> None:
    write_run_file(tmp_path, "train")
    text = (tmp_path / RUN_FILE).read_text()
    (tmp_path / RUN_FILE).write_text(text.replace('"train"', '"seeds"'))
    with pytest.raises(UserError, match="its checksum differs"):
        kind_of(tmp_path)


def test_another_format_is_refused(tmp_path: Path) -> None:
    content = {"kind": "train", "format": FORMAT + 1, "lagdyna": "9.0"}
    (tmp_path / RUN_FILE).write_text(json.dumps(content))
    with pytest.raises(UserError, match=f"by lagdyna 9.0 in format {FORMAT + 1}, .*{FORMAT}"):
        kind_of(tmp_path)
