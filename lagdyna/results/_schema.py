"""Content of the JSON files of runs: the keys that are read, with their types."""

from typing import Any

import msgspec

Numbers = list[float | None]


class Evaluation(msgspec.Struct):
    """Evaluation in a line of the metrics of a training run."""

    env_steps: int
    return_mean: float | None
    return_std: float | None


class TrainRecord(msgspec.Struct):
    """Line of the metrics of a training run."""

    evaluations: list[Evaluation]


class FitRecord(msgspec.Struct):
    """Line of the metrics of a fit."""

    updates: int
    piece: int
    loss: float | None
    validation_loss: float | None
    skipped_updates: int
    seconds: float


class TrainNotes(msgspec.Struct):
    """Notes of the checkpoint of a training run."""

    records: int
    wall_seconds: float
    config: str
    digest: str


class SeedsNotes(msgspec.Struct):
    """Notes of the checkpoint of a run of several seeds."""

    records: list[int]
    wall_seconds: float
    config: str
    digest: list[str]


class FitNotes(msgspec.Struct):
    """Notes of the checkpoint of a fit."""

    records: int
    data: str
    config: str
    sizes: str
    digest: str


class SeedsFile(msgspec.Struct):
    """Content of `seeds.json`."""

    seeds: list[int]


class SizesFile(msgspec.Struct):
    """Content of `sizes.json`."""

    n: int
    actions: int
    control: str | None
    dt: float
    time: float
    energy: float
    position: list[float]
    origin: list[float]
    action: list[float]
    mass: list[float]
    speeds: list[float]
    steps_q: list[float]
    steps_qd: list[float]


class TrainSummary(msgspec.Struct):
    """Content of `summary.json` of one seed."""

    task: str
    agent: str
    model: str | None
    learner: str | None
    env_steps: int
    return_mean: float
    return_std: float
    eval_episodes: int
    steps_to_target: int | None
    target_return: float | None
    wall_seconds: float


class SeedsSummary(msgspec.Struct):
    """Content of `summary.json` of several seeds."""

    agent: str
    model: str | None
    learner: str | None
    seeds: list[int]
    env_steps: int
    return_interquartile_mean: float
    return_interval: list[float] | None
    steps_to_target: list[int | None]
    target_return: float | None
    wall_seconds: float


class ReportFile(msgspec.Struct):
    """Content of `report.json`."""

    model: str
    loss: str
    learner: str
    updates: int
    seconds: float
    weights: int
    notes: list[str]
    parameters: list[dict[str, Any]] | None
    calibration: dict[str, Any] | None
    validation: dict[str, Any]
    signals: dict[str, Any] | None = None


class ReproductionFile(msgspec.Struct):
    """Content of `reproduction.json`."""

    name: str
    quick: bool
    seeds: int
    tasks: list[str] | None
