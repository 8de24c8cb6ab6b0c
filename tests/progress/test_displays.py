"""Displays of training runs and fits, and the names by which Python gets them."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jax import monitoring
from rich.console import Console

from lagdyna import UserError
from lagdyna.config import Config, fit_config
from lagdyna.progress import (
    AbstractProgress,
    CompilationWatch,
    LineDisplay,
    LiveDisplay,
    Silence,
    progress_of,
)
from lagdyna.progress import _lines as lines
from lagdyna.progress import _live as live

LOWERED = "/jax/core/compile/jaxpr_to_mlir_module_duration"
COMPILED = "/jax/core/compile/backend_compile_duration"


class Clock:
    """Clock that stands still until it is set."""

    def __init__(self):
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (lines, live):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr("lagdyna.progress._compiling.time", clock)
    return clock


def shown(terminal: bool = False) -> tuple[AbstractProgress, Callable[[], str]]:
    """A display, and what it has written."""
    file: Any = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=200)
    return progress_of("bar", console), file.getvalue


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
    progress, text = shown(terminal)
    assert isinstance(progress, LiveDisplay if terminal else LineDisplay)
    progress.begin(Config(**options), Path("out"), 0, [4])
    progress.end()
    assert said in text()
    assert "-> out" in text()


def test_the_lines_of_a_run_tell_phases_returns_and_losses() -> None:
    progress, text = shown()
    progress.begin(Config(), Path("out"), 100, [0, 1])
    progress.phase("collect", 1, 2, {})
    progress.phase("collect", 2, 2, {})
    progress.phase("fit", 0, 2, {"model_loss": 0.5})
    returns = {"returns": [1.0, 3.0], "interquartile_mean": 2.0}
    progress.evaluation({"env_steps": 50, "return_mean": 2.0, "return_std": 1.0, **returns})
    progress.record(
        {"episodes": 4, "train_return": 1.5, "skipped_updates": 0, "critic_loss": 0.25}
    )
    progress.phase("pictures", 0, 1, {})
    progress.end()
    first, *rest = text().splitlines()
    assert "seeds 0 to 1, resumed after 100 steps" in first
    assert [line.partition("] ")[2] for line in rest] == [
        "acting in the environment",
        "fitting dynamics and reward",
        "50 steps: return 2.0, the interquartile mean over 2 seeds from 1.0 to 3.0",
        "4 episodes of 2 seeds: return 1.5 while learning; critic 0.25; 0 updates skipped",
        "drawing pictures",
    ]


@pytest.mark.parametrize("terminal", [False, True])
def test_a_fit_shows_its_losses_and_what_is_left(terminal: bool, clock: Clock) -> None:
    progress, text = shown(terminal)
    config = fit_config({"data": "swings.npz", "learner": {"updates": 40}, "seed": 3})
    progress.begin(config, Path("out"), 0, (3,))
    progress.phase("prepare", 0, 1, {})
    losses = {"loss": 0.25, "validation_loss": None, "skipped_updates": 2}
    for updates in (10, 20):
        clock.now += 60.0
        progress.record({"updates": updates, **losses})
    progress.phase("evaluate", 0, 1, {})
    progress.end()
    assert "swings.npz: delan model, no solver, adam learner, seed 3 -> out" in text()
    assert "loss 0.25, validation not finite, 2 skipped" in text()
    assert "about 2 min left" in text()
    assert "evaluating the model" in text()


@pytest.mark.parametrize("terminal", [False, True])
def test_a_long_compilation_is_shown(terminal: bool, clock: Clock) -> None:
    progress, text = shown(terminal)
    progress.begin(Config(), Path("out"), 0, [0])
    monitoring.record_event_duration_secs(LOWERED, 1.0)
    clock.now += 8.0
    progress.phase("fit", 0, 1, {})
    monitoring.record_event_duration_secs(COMPILED, 8.0)
    monitoring.record_event_duration_secs(COMPILED, 0.1)  # too short to mention
    said = "compiling ... 8 s" if terminal else "compiled a program in 8 s"
    assert text().count(said) == 1 if not terminal else said in text()
    before = len(text())
    progress.end()
    monitoring.record_event_duration_secs(COMPILED, 9.0)
    assert "9 s" not in text()[before:]


def test_a_watch_sees_compilations_between_start_and_stop() -> None:
    seconds: list[float] = []
    watch = CompilationWatch(seconds.append)
    watch.start()
    monitoring.record_event_duration_secs(LOWERED, 0.5)
    assert watch.since is not None
    monitoring.record_event_duration_secs(COMPILED, 2.0)
    assert (watch.since, seconds) == (None, [2.0])
    watch.stop()
    watch.stop()
    monitoring.record_event_duration_secs(LOWERED, 0.5)
    assert watch.since is None


def test_displays_are_found_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(progress_of(None), Silence)
    assert isinstance(progress_of("lines"), LineDisplay)
    mine = Silence()
    assert progress_of(mine) is mine
    with pytest.raises(UserError, match="`progress` was 'tqdm'; 'bar', 'lines'"):
        progress_of("tqdm")
    # Notebooks can redraw only with a widget.
    notebook = Console(force_jupyter=True)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert isinstance(progress_of("bar", notebook), LiveDisplay)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert isinstance(progress_of("bar", notebook), LineDisplay)


def test_names_cannot_draw_on_the_terminal() -> None:
    progress, text = shown(terminal=False)
    progress.begin(Config(), Path("out\x1b[2J"), 0, [0])
    progress.note("odd \x1b[31m name")
    progress.end()
    assert "\x1b" not in text()


def test_several_receivers_get_every_event_and_all_get_the_end() -> None:
    class Kept(Silence):
        def __init__(self, fails: bool = False):
            self.events: list[str] = []
            self.fails = fails

        def phase(self, name: str, done: int, total: int, metrics: dict[str, float]) -> None:
            self.events.append(name)
            if self.fails:
                raise RuntimeError("stop")

        def end(self) -> None:
            self.events.append("end")
            if self.fails:
                raise ValueError("at the end")

    first, second, third = Kept(), Kept(fails=True), Kept()
    progress = progress_of([first, second, third, "lines"], Console(file=io.StringIO()))
    progress.begin(Config(), Path("out"), 0, [0])
    with pytest.raises(RuntimeError, match="stop"):
        progress.phase("fit", 0, 1, {})
    with pytest.raises(ValueError, match="at the end"):
        progress.end()
    assert (first.events, second.events) == (["fit", "end"], ["fit", "end"])
    assert third.events == ["end"]
    with pytest.raises(UserError, match="`progress` was 'tqdm'"):
        progress_of(["bar", "tqdm"])


@pytest.mark.parametrize("terminal", [False, True])
def test_names_of_phases_are_no_markup(terminal: bool) -> None:
    progress, text = shown(terminal)
    progress.begin(Config(), Path("out"), 0, [0])
    progress.phase("[red]odd[/nope]", 0, 1, {})
    progress.end()
    assert "[red]odd[/nope]" in text()
