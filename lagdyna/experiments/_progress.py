import abc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ._config import Config


class AbstractProgress(abc.ABC):
    """Who is told how a run goes on. The library itself prints nothing."""

    @abc.abstractmethod
    def begin(self, config: Config, out: Path, env_steps: int, seeds: Sequence[int]) -> None:
        """A run of these seeds starts, or goes on after `env_steps` steps of experience."""

    @abc.abstractmethod
    def phase(self, name: str, done: int, total: int, metrics: dict[str, float]) -> None:
        """`done` of `total` parts of a phase are done; `metrics` are its latest."""

    @abc.abstractmethod
    def evaluation(self, evaluation: dict[str, Any]) -> None:
        """The policy was judged: `env_steps`, `return_mean`, `return_std`.

        Of several seeds the last two are taken over the seeds' means, and there are also
        `returns`, those means, and their `interquartile_mean`.
        """

    @abc.abstractmethod
    def record(self, record: dict[str, Any]) -> None:
        """A round ended; `record` is its line of `metrics.jsonl`.

        Of several seeds it has means over the lines of the seeds, and sums of counts.
        """

    @abc.abstractmethod
    def end(self) -> None:
        """The run ended or was interrupted. Called once for every `begin`."""


class Silence(AbstractProgress):
    """Tells nobody."""

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
