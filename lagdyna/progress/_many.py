from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..config import Config, FitConfig
from ._abstract import AbstractProgress


class ManyProgress(AbstractProgress):
    """Progress receiver that passes every event to several others, in their order.

    **Arguments:** `receivers`. If one of them raises an exception, those after it do not get
    the event; the end of the run reaches all.
    """

    def __init__(self, *receivers: AbstractProgress):
        self._receivers = receivers
        self._begun: list[AbstractProgress] = []

    def begin(
        self, config: Config | FitConfig, out: Path, done: int, seeds: Sequence[int]
    ) -> None:
        self._begun = []
        for each in self._receivers:
            each.begin(config, out, done, seeds)
            self._begun.append(each)

    def note(self, text: str) -> None:
        for each in self._receivers:
            each.note(text)

    def phase(self, name: str, done: int, total: int, metrics: dict[str, float]) -> None:
        for each in self._receivers:
            each.phase(name, done, total, metrics)

    def evaluation(self, evaluation: dict[str, Any]) -> None:
        for each in self._receivers:
            each.evaluation(evaluation)

    def record(self, record: dict[str, Any]) -> None:
        for each in self._receivers:
            each.record(record)

    def end(self) -> None:
        with ExitStack() as stack:  # which calls all of them, whatever one raises
            for each in reversed(self._begun):
                stack.callback(each.end)
