"""Config of a sweep."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from .._errors import UserError
from ..config import Config, FitConfig, config_from_table, fit_config
from ..options import Count, Positive, Table, Whole, convert, read_table
from ._space import (
    Dimension,
    dimensions_of,
    flattened,
    grid_point,
    grid_size,
    with_options,
)

SamplerName = Literal["grid", "random", "tpe"]
PrunerName = Literal["none", "median", "halving"]
ErrorName = Literal["rollout_q", "rollout_qd", "one_step_q", "one_step_qd"]


@dataclass(frozen=True, kw_only=True)
class SlurmConfig:
    """Resources that each worker requests of Slurm, in the words of `sbatch`.

    **Arguments:**

    - `partition`, `account`, `qos`, `constraint`: by default those of the cluster.
    - `time`: minutes until Slurm ends a worker; it is submitted again then, up to three times.
    - `gpus`: GPUs of a worker.
    - `cpus`: processor cores of a worker; by default as many as the cluster gives.
    - `memory`: of a worker, in GB; by default that of the cluster.
    - `setup`: lines of shell before a worker, such as `module load cuda`.
    - `more`: any other option of `sbatch`, as `{reservation = "lab"}`.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    time: Count = 24 * 60
    gpus: Whole = 0
    cpus: Count | None = None
    memory: Positive | None = None
    setup: tuple[str, ...] = ()
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class LocalConfig:
    """Shares of this machine that local workers get.

    **Arguments:** `gpus`, of the machine, one for each worker in turn; by default every worker
    sees all. With several workers on one GPU set `XLA_PYTHON_CLIENT_PREALLOCATE=false`.
    """

    gpus: Whole = 0


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """Everything that determines a sweep: options of runs, and how they are searched.

    Read it from a file by [`lagdyna.sweeps.load_sweep`][].

    **Arguments:**

    - `train`: the config of `lagdyna train` that trials start from, a table or the name of a
        TOML file.
    - `fit`: that of `lagdyna fit`, in place of `train`.
    - `space`: for each option, by its dotted name, a list of choices or a range `{low, high}`,
        with `log = true` for a logarithmic scale and `integer = true` for whole numbers. A
        choice that is a table sets several options at once.
    - `seeds`: seeds of each trial, the same for all, from the `seed` of the config on.
    - `trials`: number of trials, at most 10,000; of a grid by default all of its points.
    - `sampler`: `grid` tries every combination of choices in order, the last option fastest;
        `random` draws at random; `tpe` is Optuna's tree-structured Parzen estimator, which
        draws its first ten trials at random.
    - `seed`: of the sampler.
    - `pruner`: which training runs end early: `none`; by `median`, those that are worse than
        the median of the others after as many rounds; by `halving`, all but the best quarter
        after `warmup`, 4 `warmup`, ... rounds.
    - `startup`: trials that finish before `median` ends any.
    - `warmup`: rounds of a trial before it may be ended.
    - `error`: of fits, the error on validation data that is minimised.
    - `slurm`, `local`: what workers get, by launcher. They may change between two calls.
    """

    train: dict[str, Any] | None = None
    fit: dict[str, Any] | None = None
    space: dict[str, Any]
    seeds: Count = 1
    trials: Count | None = None
    sampler: SamplerName = "tpe"
    seed: Whole = 0
    pruner: PrunerName = "none"
    startup: Count = 5
    warmup: Count = 1
    error: ErrorName = "rollout_q"
    slurm: SlurmConfig = SlurmConfig()
    local: LocalConfig = LocalConfig()

    def __post_init__(self):
        if (self.train is None) == (self.fit is None):
            given = "none" if self.train is None else "both"
            raise UserError(
                f"`train` and `fit` are the configs that trials start from, and {given} of "
                "them was given; one is accepted"
            )
        if self.fit is not None and self.pruner != "none":
            raise UserError(
                f"`pruner` was {self.pruner!r} for fits, which have no rounds; none is accepted"
            )

    @property
    def dimensions(self) -> dict[str, Dimension]:
        """Choices and ranges by the options' names."""
        return dimensions_of(self.space)

    @property
    def task(self) -> str:
        """Name of what is searched: `train` or `fit`."""
        return "fit" if self.train is None else "train"

    def run_config(self, options: Mapping[str, Any]) -> Config | FitConfig:
        """Create the config of a trial's runs.

        **Arguments:** `options`, by their dotted names.

        **Raises:** `UserError` for an option that does not exist, or a value that is not
        accepted.
        """
        if self.train is not None:
            return config_from_table(with_options(self.train, options))
        return fit_config(with_options(self.fit or {}, options))


def sweep_config(table: Mapping[str, Any]) -> SweepConfig:
    """Convert a table to the config of a sweep, and check the options that it searches.

    **Raises:** `UserError` that names the option, what was given, and what is accepted.
    """
    table = dict(table)
    if "space" not in table:
        raise UserError(
            "`space` is missing: the options to search, each with its choices or a range, as "
            "agent.horizon = [8, 16]"
        )
    if isinstance(table["space"], Mapping):
        table["space"] = flattened(table["space"])
    return _checked(convert(table, SweepConfig))


def read_sweep(path: Path) -> Table:
    """Read the table of a sweep in a TOML file, with the configs that it names as files.

    **Raises:** `UserError` if it cannot be read.
    """
    table = read_table(path)
    for name in ("train", "fit"):
        if isinstance(table.get(name), str):
            table[name] = read_table(path.parent / table[name])
    return table


def load_sweep(path: str | Path) -> SweepConfig:
    """Read the config of a sweep in a TOML file.

    **Raises:** `UserError` if it cannot be read or describes no sweep.
    """
    path = Path(path)
    try:
        return sweep_config(read_sweep(path))
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _checked(config: SweepConfig) -> SweepConfig:
    """Check every choice and both ends of every range; fill the number of trials."""
    dimensions = config.dimensions
    if "seed" in dimensions:
        raise UserError(
            "`space` has `seed`, and all trials have the same seeds; `seeds`, their number, "
            f"and `{config.task}.seed`, the first, are accepted"
        )
    for name in dimensions:
        if f"{name}.name" in dimensions:
            raise UserError(
                f"`space` has `{name}` and `{name}.name`, which are the same option; one of "
                "them is accepted"
            )
    if config.sampler == "grid":
        size = grid_size(dimensions)
        if config.trials is not None and config.trials > size:
            raise UserError(
                f"`trials` was {config.trials}, and the grid has {size} points; at most as "
                "many are accepted"
            )
        config = replace(config, trials=config.trials or size)
    if config.trials is None:
        raise UserError(
            f"`trials` was not given, and the sampler {config.sampler!r} goes on without end; "
            "give their number, as trials = 20"
        )
    if config.trials > _MOST:
        raise UserError(
            f"`trials` was {config.trials}, by default the points of a grid; at most {_MOST} "
            "are accepted, so give fewer, or fewer choices"
        )
    for options in _examples(config):
        config.run_config(options)
    return config


def _examples(config: SweepConfig) -> Iterator[dict[str, Any]]:
    """Yield options to check: the points of a grid, else each value beside the first others."""
    dimensions = config.dimensions
    if config.sampler == "grid":
        for number in range(min(config.trials or 0, _CHECKED)):
            yield grid_point(dimensions, number)
        return
    first = {name: each.examples[0] for name, each in dimensions.items()}
    for name, each in dimensions.items():
        for value in each.examples:
            yield {**first, name: value}


_CHECKED = 1000  # points of a grid
_MOST = 10_000  # trials; a study reads all of them each time
