import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lagdyna.cli import _display
from lagdyna.config import Config


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


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "Pendulum-v1: imagination agent, delan model, heun solver, adam learner, seed 4"),
        ({"model": "mlp", "learner": "ekf"}, "mlp model, no solver, ekf learner, seed 4"),
        ({"agent": "dyna", "steps": 9}, "dyna agent, delan model"),
    ],
)
@pytest.mark.parametrize("terminal", [False, True])
def test_a_run_begins_with_its_parts(options: Any, said: str, terminal: bool) -> None:
    file: Any = io.StringIO()
    progress = _display.display(Console(file=file, force_terminal=terminal, width=200))
    kind = _display.LiveDisplay if terminal else _display.LineDisplay
    assert isinstance(progress, kind)
    progress.begin(Config(**options), Path("out"), 0, [4])
    progress.end()
    assert said in file.getvalue()
    assert "-> out" in file.getvalue()


def test_the_lines_of_a_run_tell_phases_returns_and_losses() -> None:
    file: Any = io.StringIO()
    progress = _display.LineDisplay(Console(file=file, width=200))
    progress.begin(Config(), Path("out"), 100, [0, 1])
    progress.phase("collect", 1, 2, {})
    progress.phase("collect", 2, 2, {})
    progress.phase("fit", 0, 2, {"model_loss": 0.5})
    returns = {"returns": [1.0, 3.0], "interquartile_mean": 2.0}
    progress.evaluation({"env_steps": 50, "return_mean": 2.0, "return_std": 1.0, **returns})
    progress.record(
        {"episodes": 4, "train_return": 1.5, "skipped_updates": 0, "critic_loss": 0.25}
    )
    progress.end()
    lines = [line.partition("] ")[2] for line in file.getvalue().splitlines()[1:]]
    assert "seeds 0 to 1, resumed after 100 steps" in file.getvalue().splitlines()[0]
    assert lines == [
        "acting in the environment",
        "fitting dynamics and reward",
        "50 steps: return 2.0, the interquartile mean over 2 seeds from 1.0 to 3.0",
        "4 episodes of 2 seeds: return 1.5 while learning; critic 0.25; 0 updates skipped",
    ]


@pytest.mark.parametrize("terminal", [False, True])
def test_the_losses_of_a_fit_are_shown(terminal: bool) -> None:
    file: Any = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=200)
    with _display.fit_progress(console, 40) as progress:
        progress(
            {
                **{"updates": 40, "loss": 0.25, "validation_loss": None},
                **{"skipped_updates": 2, "seconds": 3.0},
            }
        )
    said = "40 updates: loss 0.25, validation not finite, 2 skipped"
    assert said in file.getvalue()
