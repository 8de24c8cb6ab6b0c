import abc
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..config import Config


class AbstractProgress(abc.ABC):
    """Receiver of the progress events of a training run. The library itself prints nothing."""

    @abc.abstractmethod
    def begin(self, config: Config, out: Path, env_steps: int, seeds: Sequence[int]) -> None:
        """Handle the start of a run, or its continuation after `env_steps` steps."""

    def note(self, text: str) -> None:
        """Handle a warning about the run; by default it becomes a Python warning."""
        warnings.warn(text, stacklevel=2)

    @abc.abstractmethod
    def phase(self, name: str, done: int, total: int, metrics: dict[str, float]) -> None:
        """Handle progress within a phase: `done` of `total` parts, with the latest metrics."""

    @abc.abstractmethod
    def evaluation(self, evaluation: dict[str, Any]) -> None:
        """Handle an evaluation: `env_steps`, `return_mean`, `return_std`.

        With several seeds the last two are taken over the means of the seeds, and there are
        also `returns`, those means, and their `interquartile_mean`.
        """

    @abc.abstractmethod
    def record(self, record: dict[str, Any]) -> None:
        """Handle the end of a round; `record` is its line of `metrics.jsonl`.

        With several seeds it has means over the lines of the seeds, and sums of counts, and
        also the `interquartile_mean` of the seeds' last evaluations.
        """

    @abc.abstractmethod
    def end(self) -> None:
        """Handle the end or interruption of the run; called once for every `begin`."""


class Silence(AbstractProgress):
    """Progress receiver that ignores every event."""

    def begin(self, config: Config, out: Path, env_steps: int, seeds: Sequence[int]) -> None:
        pass

    def phase(self, name: str, done: int, total: int, metrics: dict[str, float]) -> None:
        pass

    def evaluation(self, evaluation: dict[str, Any]) -> None:
        pass

    def record(self, record: dict[str, Any]) -> None:
        pass

    def end(self) -> None:
        pass
