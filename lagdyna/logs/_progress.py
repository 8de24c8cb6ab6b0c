"""Progress of runs that is written to sinks."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..config import Config, FitConfig
from ..options import table_of
from ..progress import AbstractProgress, ProgressLike, progress_of
from ._sinks import AbstractSink, Open


class LoggedProgress(AbstractProgress):
    """Progress of a training run or a fit that is written to sinks too.

    Evaluations come as `evaluation/...`, rounds as `round/...`, pieces of a fit as `fit/...`;
    `seed-K/...` is one seed of several.

    ```python
    lagdyna.train("Pendulum-v1", progress=LoggedProgress(sinks_of(["csv"]), "bar"))
    ```

    **Arguments:**

    - `opened`: opens the sinks with the first numbers, such as [`lagdyna.logs.sinks_of`][].
    - `shown`: what shows the progress, as for [`lagdyna.progress.progress_of`][].
    """

    def __init__(self, opened: Open, shown: ProgressLike = None):
        self._open, self._shown = opened, progress_of(shown)
        self._sinks: Sequence[AbstractSink] | None = None
        self._seeds: tuple[int, ...] = ()

    def begin(
        self, config: Config | FitConfig, out: Path, done: int, seeds: Sequence[int]
    ) -> None:
        self._seeds, self._sinks = tuple(seeds), None
        self._out, self._config = out, config
        self._shown.begin(config, out, done, seeds)

    def note(self, text: str) -> None:
        self._shown.note(text)

    def phase(self, name: str, done: int, total: int, metrics: dict[str, float]) -> None:
        self._shown.phase(name, done, total, metrics)

    def evaluation(self, evaluation: dict[str, Any]) -> None:
        self._shown.evaluation(evaluation)
        values = numbers(evaluation, "evaluation")
        for seed, found in zip(self._seeds, evaluation.get("returns", ()), strict=False):
            values |= numbers({"return_mean": found}, f"seed-{seed}")
        self._write(evaluation["env_steps"], values)

    def record(self, record: dict[str, Any]) -> None:
        self._shown.record(record)
        if isinstance(self._config, FitConfig):
            self._write(record["updates"], numbers(record, "fit"))
        else:
            self._write(record["env_steps"], numbers(record, "round"))

    def end(self) -> None:
        self._shown.end()
        for sink in self._sinks or ():
            sink.close()

    def _write(self, step: int, values: dict[str, float]) -> None:
        if self._sinks is None:  # late, since the directory of a new run is empty
            self._sinks = self._open(self._out, table_of(self._config))
        for sink in self._sinks:
            sink.write(step, values)


def numbers(values: Mapping[str, Any], prefix: str) -> dict[str, float]:
    """Collect the finite numbers of nested tables, under names such as `round/seconds/fit`."""
    found = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= numbers(value, f"{prefix}/{name}")
        elif isinstance(value, bool | int | float) and math.isfinite(value):
            found[f"{prefix}/{name}"] = float(value)
    return found
