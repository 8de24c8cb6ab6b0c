import io
from typing import Any

import pytest
from rich.console import Console

from lagdyna.cli import _display


def test_a_pipe_gets_few_lines_about_each_part_of_a_reproduction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(_display.time, "perf_counter", lambda: now)
    file: Any = io.StringIO()
    with _display.parts_progress(Console(file=file)) as progress:
        for seconds, text in ((0, "first"), (29, "too soon"), (31, "second"), (40, "done")):
            now = 100.0 + seconds
            progress("pendulum.delan-0", text)
    assert file.getvalue().splitlines() == [
        "[    0 s] pendulum.delan-0: first",
        "[   31 s] pendulum.delan-0: second",
        "[   40 s] pendulum.delan-0: done",
    ]
