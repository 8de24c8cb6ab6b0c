"""The `lagdyna` command, as a process and within this one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lagdyna.cli import main

COMMAND = str(Path(sys.executable).with_name("lagdyna"))


@pytest.fixture(scope="session")
def environment():
    return {**os.environ, "MPLBACKEND": "Agg"}


@pytest.fixture
def lagdyna(environment, tmp_path):
    """Run the command as a process of its own in a new directory."""

    def run(*arguments):
        return subprocess.run(
            [COMMAND, *map(str, arguments)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    return run


@pytest.fixture
def here(monkeypatch, tmp_path, capsys):
    """Run the command within this process, which is faster than a new one."""

    def run(*arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["lagdyna", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        return subprocess.CompletedProcess(arguments, code, *capsys.readouterr())

    return run
