"""Names from files are shown as they are: neither markup nor control characters act."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table

from lagdyna.cli import _compare, _print
from lagdyna.cli._print import add_row, cell, fail, plain, runs_table, say, signal_lines

EVIL = "[bold]x[/] [/nothing] \x1b[31m\x07\N{RIGHT-TO-LEFT OVERRIDE}\udc80\nnext"


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    assert plain(text).isprintable()
    if text.isprintable():
        assert plain(text) == text


def test_tables_take_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    table = runs_table([{"run": "runs/[red]\x1b[31m"}, {"run": "runs/b"}])
    add_row(table, "model", cell(EVIL), cell("[/]"))
    Console(width=300).print(table)
    shown = capsys.readouterr().out
    assert r"[bold]x[/] [/nothing] \x1b[31m\x07\u202e\udc80\nnext" in shown
    assert r"[red]\x1b[31m" in shown
    assert "\x1b" not in shown


def test_lines_and_errors_take_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    say(EVIL)
    with pytest.raises(SystemExit):
        fail(EVIL)
    for text in capsys.readouterr():
        assert text.count("\n") == 1
        assert r"[bold]x[/] [/nothing] \x1b[31m" in text


def test_the_table_of_a_comparison(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    numbers = dict.fromkeys([*_compare._FIT_ROWS, "rollout_seconds"], 1.0)
    row = {"run": "[/]", **numbers, "model": EVIL, "learner": "[/]", "notes": [EVIL]}
    row["relative"] = {"acceleration": 0.1}
    monkeypatch.setattr("lagdyna.runs.compare_fits", lambda runs, out: [row])
    console = Console(width=300)
    monkeypatch.setattr(_compare, "console", console)
    monkeypatch.setattr(_print, "console", console)
    _compare._compare_fits([tmp_path], None)
    shown = capsys.readouterr().out
    assert r"[bold]x[/] [/nothing] \x1b[31m" in shown
    assert "\x1b" not in shown
    assert "1 (10 %)" in shown
    assert isinstance(runs_table([row]), Table)


def test_signals_of_a_fit_are_a_line_each() -> None:
    found = {"gain": [0.098], "delay": 0.0041, "position_offset": [0.1, -0.02]}
    assert signal_lines(found) == ["gain: 0.098", "delay: 4.1 ms", "position offset: 0.1 -0.02"]
