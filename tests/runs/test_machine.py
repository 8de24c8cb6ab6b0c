"""What a run records of its machine and code."""

import subprocess
from pathlib import Path

import pytest

from lagdyna.runs import _machine


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(_machine, "_CLONE", tmp_path)
    monkeypatch.setattr(_machine, "commit", _machine.commit.__wrapped__)
    return tmp_path


def git(clone: Path, *command: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    made = subprocess.run(["git", *who, *command], cwd=clone, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def test_the_commit_is_that_of_the_clone_and_says_if_files_were_changed(clone: Path) -> None:
    assert _machine.commit() is None
    git(clone, "init", "-q")
    (clone / "a.py").write_text("1")
    git(clone, "add", "a.py")
    git(clone, "commit", "-qm", "Add a")
    head = git(clone, "rev-parse", "HEAD")[:12]
    assert _machine.commit() == head
    (clone / "a.py").write_text("2")
    assert _machine.commit() == f"{head}-dirty"


def test_without_git_there_is_no_commit(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (clone / ".git").mkdir()
    monkeypatch.setenv("PATH", "")
    assert _machine.commit() is None


def test_the_processor_is_named_by_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nmodel name\t: Fast 3000\nmodel name\t: Fast 3000\n")
    monkeypatch.setattr(_machine, "_INFO", info)
    assert _machine.processor() == "Fast 3000"
    assert _machine.cores() >= 1
    info.unlink()
    assert isinstance(_machine.processor(), str)
