import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .._plain import plain
from ..config import Config, FitConfig
from ._abstract import AbstractProgress
from ._compiling import CompilationWatch
from ._remaining import Remaining, roughly
from ._text import fit_losses, heading, losses, phase_text, returns, total_of

_WIDTH = 24  # of bars
_LONG = 0.5  # seconds of a compilation that is shown
_ROWS = 16  # of the table of evaluations


class LiveDisplay(AbstractProgress):
    """Display that redraws itself, for terminals and notebooks.

    It shows the phase, compilation, losses, returns, the time so far and an estimate of the
    time left.

    **Arguments:** `console`, of Rich, to draw on.
    """

    def __init__(self, console: Console):
        self._console = console
        self._watch = CompilationWatch()

    def begin(
        self, config: Config | FitConfig, out: Path, done: int, seeds: Sequence[int]
    ) -> None:
        self._start = time.perf_counter()
        self._is_fit = isinstance(config, FitConfig)
        total = total_of(config)
        self._done, self._left = (done, total), Remaining(total)
        self._evaluations: list[dict[str, Any]] = []
        self._phase = ("prepare" if self._is_fit else "collect", 0, 1)
        self._metrics: dict[str, float] = {}
        self._fitted: dict[str, Any] | None = None
        self._skipped = 0
        self._console.print(Text(heading(config, out, done, seeds)))
        self._watch.start()
        self._live = Live(get_renderable=self._draw, console=self._console)
        self._live.start()

    def note(self, text: str) -> None:
        self._console.print(Text(plain(f"note: {text}"), style="yellow"), soft_wrap=True)

    def phase(self, name: str, done: int, total: int, metrics: dict[str, float]) -> None:
        if name == ("fit" if self._is_fit else "collect"):
            self._done = (done, total)
        self._phase = (name, done, total)
        self._metrics = {**self._metrics, **metrics}
        self._live.refresh()

    def evaluation(self, evaluation: dict[str, Any]) -> None:
        now = time.perf_counter()
        self._evaluations.append({**evaluation, "seconds": now - self._start})
        self._left.mark(now, evaluation["env_steps"])
        self._live.refresh()

    def record(self, record: dict[str, Any]) -> None:
        if self._is_fit:
            self._fitted = record
            self._done = (record["updates"], self._done[1])
            self._left.mark(time.perf_counter(), record["updates"])
        else:
            self._skipped += record["skipped_updates"]
        self._live.refresh()

    def end(self) -> None:
        self._watch.stop()
        self._live.stop()

    def _draw(self) -> Group:
        name, done, total = self._phase
        grid, now = Table.grid(padding=(0, 2)), time.perf_counter()
        shown = self._compiling(now) or ProgressBar(total=total, completed=done, width=_WIDTH)
        grid.add_row("phase", Text(phase_text(name, self._is_fit)), shown)
        steps, wanted = self._done
        grid.add_row(
            "updates" if self._is_fit else "real steps",
            f"{min(steps, wanted)} of {wanted}",
            ProgressBar(total=wanted, completed=min(steps, wanted), width=_WIDTH),
        )
        if not self._is_fit:
            grid.add_row("losses", losses(self._metrics), f"{self._skipped} updates skipped")
        elif self._fitted is not None:
            grid.add_row("losses", fit_losses(self._fitted).partition(": ")[2], "")
        left = self._left.seconds(now)
        estimate = "" if left is None else f"about {roughly(left)} left"
        grid.add_row("elapsed", f"{now - self._start:.0f} s", estimate)
        if not self._evaluations:
            return Group(grid)
        return Group(_table(self._evaluations), grid)

    def _compiling(self, now: float) -> str | None:
        since = self._watch.since  # another thread may change it
        if since is None or now - since < _LONG:
            return None
        return f"compiling ... {now - since:.0f} s"


def _table(evaluations: list[dict[str, Any]]) -> Table:
    table = Table(box=None, padding=(0, 2), header_style="bold")
    many = "returns" in evaluations[-1]
    headings = ("interquartile mean", "worst", "best") if many else ("return",)
    for name in ("real steps", *headings, "seconds"):
        table.add_column(name, justify="right")
    for evaluation in evaluations[-_ROWS:]:
        cells = (returns(evaluation).removeprefix("return "),)
        if many:
            found = evaluation["returns"]
            shown = (evaluation["interquartile_mean"], min(found), max(found))
            cells = tuple(f"{each:.1f}" for each in shown)
        table.add_row(str(evaluation["env_steps"]), *cells, f"{evaluation['seconds']:.0f}")
    return table
