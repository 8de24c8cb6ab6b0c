"""Places where the numbers of a run are written while it goes on."""

import abc
import csv
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .._errors import UserError


class AbstractSink(abc.ABC):
    """Receiver of numbers over the steps of a run, such as a file or a service."""

    @abc.abstractmethod
    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Write some numbers at a step: environment steps of training, updates of a fit."""

    def close(self) -> None:
        """Finish; nothing is written after it."""
        return


class CSVSink(AbstractSink):
    """File of rows `step,name,value`, one for each number. A resumed run adds to it.

    **Arguments:** `path`, of the file.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        begun = self.path.exists()
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if not begun:
                writer.writerow(("step", "name", "value"))
            writer.writerows((step, name, value) for name, value in values.items())


class TensorBoardSink(AbstractSink):
    """Event file that `tensorboard --logdir DIRECTORY` shows; needs `lagdyna[tensorboard]`.

    **Arguments:** `directory`, of the event file.

    **Raises:** [`lagdyna.UserError`][] if the package tensorboardX is missing.
    """

    def __init__(self, directory: str | Path):
        _needed("tensorboardX", "tensorboard")
        from tensorboardX import SummaryWriter  # pyright: ignore[reportMissingImports]

        self._writer: Any = SummaryWriter(str(directory))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class WandbSink(AbstractSink):
    """Run of Weights & Biases; needs `lagdyna[wandb]`.

    Its own variables say where it goes: `WANDB_PROJECT`, `WANDB_MODE=offline`.

    **Arguments:**

    - `directory`: of its local files.
    - `name`: of the run.
    - `config`: of the run, a table.

    **Raises:** [`lagdyna.UserError`][] if the package wandb is missing.
    """

    def __init__(
        self, directory: str | Path, name: str = "", config: Mapping[str, Any] | None = None
    ):
        _needed("wandb", "wandb")
        import wandb  # pyright: ignore[reportMissingImports]

        self._run: Any = wandb.init(
            dir=str(directory),
            name=name or None,
            config=dict(config or {}),
            settings=wandb.Settings(silent=True),
        )

    def write(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        self._run.finish()


def _needed(package: str, extra: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise UserError(
            f"`log` needs the package {package}; install it with `pip install "
            f"'lagdyna[{extra}]'`"
        )


Open = Callable[[Path, Mapping[str, Any]], Sequence[AbstractSink]]
"""Opens sinks for a run, given its directory and its config as a table."""

_MAKERS: Mapping[str, Callable[[Path, Mapping[str, Any]], AbstractSink]] = {
    "csv": lambda out, config: CSVSink(out / "log.csv"),
    "tensorboard": lambda out, config: TensorBoardSink(out / "tensorboard"),
    "wandb": lambda out, config: WandbSink(out, out.resolve().name, config),
}
_PACKAGES = {"tensorboard": "tensorboardX", "wandb": "wandb"}


def sinks_of(names: Sequence[str]) -> Open:
    """Choose sinks by name, which are opened when a run begins.

    **Arguments:** `names`, any of `csv`, `tensorboard`, `wandb`.

    **Raises:** [`lagdyna.UserError`][] for another name, or if a package is missing.
    """
    chosen = tuple(dict.fromkeys(names))
    for name in chosen:
        if name not in _MAKERS:
            raise UserError(f"`log` was {name!r}; {', '.join(_MAKERS)} are accepted")
        if name in _PACKAGES:
            _needed(_PACKAGES[name], name)
    return lambda out, config: [_MAKERS[name](out, config) for name in chosen]
