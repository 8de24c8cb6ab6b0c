import abc
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..config import Config, FitConfig


class AbstractProgress(abc.ABC):
    """Receiver of the progress events of a training run or a fit.

    The library itself prints nothing. An exception raised by a receiver ends the run, which
    can be resumed from its latest checkpoint.
    """

    @abc.abstractmethod
    def begin(
        self, config: Config | FitConfig, out: Path, done: int, seeds: Sequence[int]
    ) -> None:
        """Handle the start of a run, or its continuation.

        **Arguments:** `config`, of the run; `out`, its directory; `done`, the environment steps
        of a training run or the updates of a fit so far; `seeds`, those of the run.
        """

    def note(self, text: str) -> None:
        """Handle a warning about the run; by default it becomes a Python warning."""
        warnings.warn(text, stacklevel=2)

    @abc.abstractmethod
    def phase(self, name: str, done: int, total: int, metrics: dict[str, float]) -> None:
        """Handle progress within a phase: `done` of `total` parts, with the latest metrics.

        A training run has the phases `collect`, `fit`, `imagine`, `evaluate` and, after the
        last of them, `pictures`. A fit has `prepare`, `fit`, `evaluate` and `pictures`.
        """

    @abc.abstractmethod
    def evaluation(self, evaluation: dict[str, Any]) -> None:
        """Handle an evaluation of a policy: `env_steps`, `return_mean`, `return_std`.

        With several seeds the last two are taken over the means of the seeds, and there are
        also `returns`, those means, and their `interquartile_mean`.
        """

    @abc.abstractmethod
    def record(self, record: dict[str, Any]) -> None:
        """Handle a line of `metrics.jsonl`: the end of a round, or of a piece of a fit.

        With several seeds it has means over the lines of the seeds, and sums of counts, and
        also the `interquartile_mean` of the seeds' last evaluations.
        """

    @abc.abstractmethod
    def end(self) -> None:
        """Handle the end or interruption of the run; called once for every `begin`."""


class Silence(AbstractProgress):
    """Progress receiver that ignores every event."""

    def begin(
        self, config: Config | FitConfig, out: Path, done: int, seeds: Sequence[int]
    ) -> None:
        pass

    def phase(self, name: str, done: int, total: int, metrics: dict[str, float]) -> None:
        pass

    def evaluation(self, evaluation: dict[str, Any]) -> None:
        pass

    def record(self, record: dict[str, Any]) -> None:
        pass

    def end(self) -> None:
        pass
