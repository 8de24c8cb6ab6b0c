"""Progress of runs that is written to sinks."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..config import Config, FitConfig
from ..options import table_of
from ..training import AbstractProgress, Silence
from ._sinks import AbstractSink, Open


class LoggedTraining(AbstractProgress):
    """Progress of a training run that is written to sinks too.

    Evaluations come as `evaluation/...`, rounds as `round/...`; `seed-K/...` is one seed of
    several.

    ```python
    lagdyna.train("Pendulum-v1", progress=LoggedTraining(sinks_of(["csv"])))
    ```

    **Arguments:** `opened`, opens the sinks when the run begins, such as
    [`lagdyna.logs.sinks_of`][]; `shown`, the progress that shows it, none by default.
    """

    def __init__(self, opened: Open, shown: AbstractProgress | None = None):
        self._open, self._shown = opened, shown or Silence()
        self._sinks: Sequence[AbstractSink] = ()
        self._seeds: tuple[int, ...] = ()

    def begin(self, config: Config, out: Path, env_steps: int, seeds: Sequence[int]) -> None:
        self._seeds, self._sinks = tuple(seeds), self._open(out, table_of(config))
        self._shown.begin(config, out, env_steps, seeds)

    def note(self, text: str) -> None:
        self._shown.note(text)

    def phase(self, name: str, done: int, total: int, metrics: dict[str, float]) -> None:
        self._shown.phase(name, done, total, metrics)

    def evaluation(self, evaluation: dict[str, Any]) -> None:
        self._shown.evaluation(evaluation)
        values = numbers(evaluation, "evaluation")
        for seed, found in zip(self._seeds, evaluation.get("returns", ()), strict=False):
            values |= numbers({"return_mean": found}, f"seed-{seed}")
        _write(self._sinks, evaluation["env_steps"], values)

    def record(self, record: dict[str, Any]) -> None:
        self._shown.record(record)
        _write(self._sinks, record["env_steps"], numbers(record, "round"))

    def end(self) -> None:
        self._shown.end()
        for sink in self._sinks:
            sink.close()


class LoggedFit:
    """Progress of a fit, a callback, that is written to sinks as `fit/...` too.

    **Arguments:** `opened`, opens the sinks with the first record; `out`, the directory of the
    fit; `config`, of the fit; `shown`, the callback that shows it, none by default.
    """

    def __init__(
        self,
        opened: Open,
        out: str | Path,
        config: FitConfig | None = None,
        shown: Callable[[dict[str, Any]], None] | None = None,
    ):
        self._open, self._shown, self._out = opened, shown, Path(out)
        self._config: dict[str, Any] = {} if config is None else table_of(config)
        self._sinks: Sequence[AbstractSink] | None = None

    def __call__(self, record: dict[str, Any]) -> None:
        if self._shown is not None:
            self._shown(record)
        if self._sinks is None:
            self._sinks = self._open(self._out, self._config)
        _write(self._sinks, record["updates"], numbers(record, "fit"))

    def close(self) -> None:
        """Close the sinks."""
        for sink in self._sinks or ():
            sink.close()


def _write(sinks: Sequence[AbstractSink], step: int, values: dict[str, float]) -> None:
    for sink in sinks:
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
