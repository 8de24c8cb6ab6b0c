import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from .._plain import plain
from ..config import Config, FitConfig
from ._abstract import AbstractProgress
from ._compiling import CompilationWatch
from ._remaining import Remaining, roughly
from ._text import fit_losses, heading, losses, phase_text, returns, total_of

_LONG = 5.0  # seconds of a compilation that is mentioned


class LineDisplay(AbstractProgress):
    """Display of plain lines, for files and pipes: one for each phase, evaluation and record.

    **Arguments:** `console`, of Rich, to print on.
    """

    def __init__(self, console: Console):
        self._console = console
        self._last = ""
        self._seeds = 1
        self._is_fit = False
        self._watch = CompilationWatch(self._compiled)

    def begin(
        self, config: Config | FitConfig, out: Path, done: int, seeds: Sequence[int]
    ) -> None:
        self._start = time.perf_counter()
        self._seeds, self._is_fit = len(seeds), isinstance(config, FitConfig)
        self._left = Remaining(total_of(config))
        self._watch.start()
        self._console.print(
            heading(config, out, done, seeds), markup=False, highlight=False, soft_wrap=True
        )

    def note(self, text: str) -> None:
        self._console.print(
            plain(f"note: {text}"), markup=False, highlight=False, soft_wrap=True
        )

    def phase(self, name: str, done: int, total: int, metrics: dict[str, float]) -> None:
        if name != self._last:
            self._say(phase_text(name, self._is_fit))
        self._last = name

    def evaluation(self, evaluation: dict[str, Any]) -> None:
        steps = evaluation["env_steps"]
        self._say(f"{steps} steps: {returns(evaluation)}{self._estimate(steps)}")

    def record(self, record: dict[str, Any]) -> None:
        if self._is_fit:
            self._say(fit_losses(record) + self._estimate(record["updates"]))
            return
        episodes = f"episode {record['episodes']}"
        if self._seeds > 1:
            episodes = f"{record['episodes']} episodes of {self._seeds} seeds"
        self._say(
            f"{episodes}: return {record['train_return']:.1f} while learning; "
            f"{losses(record)}; {record['skipped_updates']} updates skipped"
        )

    def end(self) -> None:
        self._watch.stop()
        self._last = ""

    def _estimate(self, done: int) -> str:
        now = time.perf_counter()
        self._left.mark(now, done)
        seconds = self._left.seconds(now)
        return f"; about {roughly(seconds)} left" if seconds else ""

    def _compiled(self, seconds: float) -> None:
        if seconds >= _LONG:
            self._say(f"compiled a program in {seconds:.0f} s")

    def _say(self, line: str) -> None:
        seconds = time.perf_counter() - self._start
        self._console.print(
            f"[{seconds:5.0f} s] {line}", markup=False, highlight=False, soft_wrap=True
        )
