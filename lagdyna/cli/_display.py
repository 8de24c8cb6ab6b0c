import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..config import Config, given
from ..training import AbstractProgress
from ._print import plain

# Seconds between two lines about the same part of a reproduction, in a file or pipe.
_SILENCE = 30

_PHASES = {
    "collect": "acting in the environment",
    "fit": "fitting dynamics and reward",
    "imagine": "learning to act",
    "evaluate": "evaluating",
    "pictures": "drawing pictures",
}


class LiveDisplay(AbstractProgress):
    """Display for terminals that redraws itself: phase, losses, returns, time.

    **Arguments:** `console`, to draw on.
    """

    def __init__(self, console: Console):
        self._console = console
        self._evaluations: list[dict[str, Any]] = []
        self._phase = ("collect", 0, 1)
        self._metrics: dict[str, float] = {}
        self._skipped = 0
        self._steps = (0, 1)

    def begin(self, config: Config, out: Path, env_steps: int, seeds: Sequence[int]) -> None:
        self._start = time.perf_counter()
        config = config.resolved()
        self._steps = (env_steps, given(config.steps))
        self._console.print(_heading(config, out, env_steps, seeds))
        self._live = Live(get_renderable=self._draw, console=self._console)
        self._live.start()

    def note(self, text: str) -> None:
        self._console.print(Text(f"note: {text}", style="yellow"), soft_wrap=True)

    def phase(self, name: str, done: int, total: int, metrics: dict[str, float]) -> None:
        if name == "collect":
            self._steps = (done, total)
        self._phase = (name, done, total)
        self._metrics = {**self._metrics, **metrics}
        self._live.refresh()

    def evaluation(self, evaluation: dict[str, Any]) -> None:
        seconds = time.perf_counter() - self._start
        self._evaluations.append({**evaluation, "seconds": seconds})
        self._live.refresh()

    def record(self, record: dict[str, Any]) -> None:
        self._skipped += record["skipped_updates"]
        self._live.refresh()

    def end(self) -> None:
        self._live.stop()

    def _draw(self) -> Group:
        name, done, total = self._phase
        grid = Table.grid(padding=(0, 2))
        grid.add_row("phase", _PHASES[name], ProgressBar(total=total, completed=done, width=24))
        steps, wanted = self._steps
        grid.add_row(
            "real steps",
            f"{min(steps, wanted)} of {wanted}",
            ProgressBar(total=wanted, completed=min(steps, wanted), width=24),
        )
        grid.add_row("losses", _losses(self._metrics), f"{self._skipped} updates skipped")
        grid.add_row("elapsed", f"{time.perf_counter() - self._start:.0f} s", "")
        if not self._evaluations:
            return Group(grid)
        return Group(_table(self._evaluations), grid)


class LineDisplay(AbstractProgress):
    """Plain lines for files and pipes, one per phase and round.

    **Arguments:** `console`, to print on.
    """

    def __init__(self, console: Console):
        self._console = console
        self._last = ""
        self._seeds = 1

    def begin(self, config: Config, out: Path, env_steps: int, seeds: Sequence[int]) -> None:
        self._start = time.perf_counter()
        self._seeds = len(seeds)
        self._say(_heading(config.resolved(), out, env_steps, seeds).plain)

    def note(self, text: str) -> None:
        self._say(f"note: {text}")

    def phase(self, name: str, done: int, total: int, metrics: dict[str, float]) -> None:
        if name != self._last:
            self._say(f"[{time.perf_counter() - self._start:5.0f} s] {_PHASES[name]}")
        self._last = name

    def evaluation(self, evaluation: dict[str, Any]) -> None:
        self._say(
            f"[{time.perf_counter() - self._start:5.0f} s] {evaluation['env_steps']} steps: "
            f"{_return_text(evaluation)}"
        )

    def record(self, record: dict[str, Any]) -> None:
        episodes = f"episode {record['episodes']}"
        if self._seeds > 1:
            episodes = f"{record['episodes']} episodes of {self._seeds} seeds"
        self._say(
            f"[{time.perf_counter() - self._start:5.0f} s] {episodes}: "
            f"return {record['train_return']:.1f} while learning; {_losses(record)}; "
            f"{record['skipped_updates']} updates skipped"
        )

    def end(self) -> None:
        self._last = ""

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def display(console: Console) -> AbstractProgress:
    """Choose the display for a terminal, or that for a file or pipe."""
    return LiveDisplay(console) if console.is_terminal else LineDisplay(console)


def _return_text(evaluation: dict[str, Any]) -> str:
    if "returns" not in evaluation:
        return f"return {evaluation['return_mean']:.1f} ± {evaluation['return_std']:.1f}"
    returns = evaluation["returns"]
    return (
        f"return {evaluation['interquartile_mean']:.1f}, the interquartile mean over "
        f"{len(returns)} seeds from {min(returns):.1f} to {max(returns):.1f}"
    )


def _heading(config: Config, out: Path, env_steps: int, seeds: Sequence[int]) -> Text:
    """Describe a run by its resolved config."""
    if config.model is None or config.learner is None:
        model = "no model"
    else:
        solver = "no solver" if config.solver is None else f"{config.solver.name} solver"
        model = f"{config.model.name} model, {solver}, {config.learner.name} learner"
    some = f"seed {seeds[0]}"
    if len(seeds) > 1:
        some = f"seeds {seeds[0]} to {seeds[-1]}"
    resumed = f", resumed after {env_steps} steps" if env_steps else ""
    return Text(
        plain(
            f"{config.task.env_id}: {config.agent.name} agent, {model}, {some}{resumed} -> "
            f"{out}"
        )
    )


def _losses(metrics: Mapping[str, Any]) -> str:
    shown = [
        f"{label} {metrics[key]:.2g}"
        for key, label in (
            ("model_loss", "dynamics"),
            ("reward_loss", "reward"),
            ("critic_loss", "critic"),
        )
        if key in metrics
    ]
    return ", ".join(shown) or "-"


def _table(evaluations: list[dict[str, Any]]) -> Table:
    table = Table(box=None, padding=(0, 2), header_style="bold")
    many = "returns" in evaluations[-1]
    headings = ("interquartile mean", "worst", "best") if many else ("return",)
    for name in ("real steps", *headings, "seconds"):
        table.add_column(name, justify="right")
    for evaluation in evaluations[-16:]:
        cells = (f"{evaluation['return_mean']:.1f} ± {evaluation['return_std']:.1f}",)
        if many:
            returns = evaluation["returns"]
            shown = (evaluation["interquartile_mean"], min(returns), max(returns))
            cells = tuple(f"{each:.1f}" for each in shown)
        table.add_row(str(evaluation["env_steps"]), *cells, f"{evaluation['seconds']:.0f}")
    return table


@contextmanager
def fit_progress(
    console: Console, updates: int | None
) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Show the losses of a fit while the context is open: a bar in a terminal, else lines.

    **Arguments:** `updates`, the number to come, if it is known.

    **Returns:** a callback that takes the records of the fit.
    """
    if not console.is_terminal:
        yield lambda record: console.print(
            f"[{record['seconds']:5.0f} s] {_fit_losses(record)}", markup=False, highlight=False
        )
        return
    columns = (
        TextColumn("fitting"),
        BarColumn(),
        TextColumn("{task.fields[losses]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("fit", total=updates, losses="compiling")
        yield lambda record: bar.update(
            task, completed=record["updates"], losses=_fit_losses(record)
        )


def _fit_losses(record: dict[str, Any]) -> str:
    skipped = record["skipped_updates"]
    losses = [
        "not finite" if record[name] is None else f"{record[name]:.3g}"
        for name in ("loss", "validation_loss")
    ]
    text = f"{record['updates']} updates: loss {losses[0]}, validation {losses[1]}"
    return text + (f", {skipped} skipped" if skipped else "")


@contextmanager
def parts_progress(console: Console) -> Iterator[Callable[[str, str], None]]:
    """Show the progress of a reproduction while the context is open.

    Each finished part gets a line, and so does what is left out. The current part has a
    spinner in a terminal, else a line every half minute.

    **Returns:** a callback that takes the name of a part and a few words on its progress.
    """
    start, latest = time.perf_counter(), -_SILENCE
    with console.status("") as status:

        def progress(part: str, text: str) -> None:
            nonlocal latest
            seconds = time.perf_counter() - start
            line = Text(plain(f"[{seconds:5.0f} s] {part}: {text}"))
            lasting = text == "done" or text.startswith("left out")
            if lasting or (not console.is_terminal and seconds - latest >= _SILENCE):
                console.print(line, soft_wrap=True)
                latest = seconds
            else:
                status.update(line)

        yield progress
