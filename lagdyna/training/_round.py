"""A round in progress, and the line of metrics that it becomes."""

from typing import Any, NamedTuple

import msgspec
import numpy as np

from .._errors import UserError
from ..config import given
from ._clock import Clock, MetricsOfSeeds
from ._environment import Counts, Episode
from ._seeds import AbstractSeeds, Active, Numbers, indices
from ._state import TrainingState

Record = dict[str, Any]
"""Metrics of a round, a line of `metrics.jsonl`."""
Records = list[list[Record]]
"""Records of each seed."""


class Round(NamedTuple):
    """Round in progress, with the leading axis of seeds.

    A checkpoint within a round holds it, so that the round's line of metrics is that of an
    uninterrupted run.

    **Attributes:**

    - `active`: the seeds that take part.
    - `inside`: the active seeds that have not reached the end of the round.
    - `first_steps`, `first_episodes`: environment steps and episodes before the round.
    - `rewards`: sums of the rewards so far.
    - `evaluations`: the evaluations so far of each seed.
    - `metrics`, `clock`: latest metrics and seconds.
    - `unfinished`: the episodes in progress of environments on the host.
    - `evaluating`: whether the evaluation of the latest training phase is still to come.
    """

    active: Active
    inside: Active
    first_steps: Counts
    first_episodes: Counts
    rewards: Numbers
    evaluations: Records
    metrics: MetricsOfSeeds
    clock: Clock
    unfinished: list[Episode | None]
    evaluating: bool = False

    @classmethod
    def begin(cls, seeds: AbstractSeeds, training: TrainingState, active: Active) -> "Round":
        """Begin a round of the active seeds."""
        count = len(seeds.seeds)
        return cls(
            active,
            active.copy(),
            seeds.to_numpy(training.env_steps).copy(),
            seeds.to_numpy(training.episodes).copy(),
            np.zeros(count),
            [[] for _ in seeds.seeds],
            MetricsOfSeeds(count),
            Clock(),
            [None] * count,
        )

    def ends(self, seeds: AbstractSeeds) -> Counts:
        """Compute the environment steps at which the round of each seed ends."""
        config = seeds.trainer.config
        left = given(config.steps) - self.first_steps
        return self.first_steps + np.minimum(given(config.collect.steps_per_round), left)

    def line(self, seeds: AbstractSeeds, training: TrainingState, index: int) -> Record:
        """Make the line of metrics of one seed."""
        rounds, episodes, steps = (
            int(seeds.to_numpy(count)[index])
            for count in (training.rounds, training.episodes, training.env_steps)
        )
        ended, last = episodes - int(self.first_episodes[index]), self.evaluations[index][-1]
        return {
            "round": rounds,
            "episodes": episodes,
            "env_steps": steps,
            "train_return": float(self.rewards[index] / ended) if ended else None,
            "eval_return_mean": last["return_mean"],
            "eval_return_std": last["return_std"],
            "evaluations": self.evaluations[index],
            **self.metrics.of(index),
            "skipped_updates": int(self.metrics.skipped[index]),
            "seconds": self.clock.laps,
        }

    def lines(self, seeds: AbstractSeeds, training: TrainingState) -> Records:
        """Make the lines of metrics of a round in progress, of seeds that were evaluated."""
        lines: Records = [[] for _ in seeds.seeds]
        for i in filter(self.evaluations.__getitem__, indices(self.active)):
            line = self.line(seeds, training, i)
            lines[i] = [{**line, "round": line["round"] + 1, "in_progress": True}]
        return lines

    def to_notes(self) -> dict[str, Any]:
        """Convert the round to plain values, for the notes of a checkpoint."""
        metrics = {name: values.tolist() for name, values in self.metrics.latest.items()}
        return msgspec.to_builtins(
            _Notes(
                *(np.asarray(values).tolist() for values in self[:5]),
                evaluations=self.evaluations,
                metrics=metrics,
                skipped=self.metrics.skipped.tolist(),
                seconds=self.clock.laps,
                unfinished=self.unfinished,
                evaluating=self.evaluating,
            )
        )

    def notes_of(self, index: int) -> dict[str, Any] | None:
        """Convert the part of one seed to plain values; `None` if it is not active."""
        if not self.active[index]:
            return None
        one = slice(index, index + 1)
        metrics = MetricsOfSeeds(1)
        metrics.latest = {name: each[one] for name, each in self.metrics.latest.items()}
        metrics.skipped = self.metrics.skipped[one]
        each: list[Any] = [field[one] for field in self[:6]]
        rest = (metrics, self.clock, self.unfinished[one], self.evaluating)
        return Round._make([*each, *rest]).to_notes()

    @classmethod
    def of_notes(cls, notes: Any, path: str, seeds: int) -> "Round | None":
        """Convert the notes of a checkpoint to a round; `None` if it is between two rounds.

        **Arguments:** `path`, of the checkpoint, for messages; `seeds`, their number.

        **Raises:** `UserError` if the notes are damaged.
        """
        if notes is None:
            return None
        try:
            found = msgspec.convert(notes, _Notes)
            per_seed = [*(getattr(found, name) for name in _PER_SEED), *found.metrics.values()]
            if any(len(values) != seeds for values in per_seed):
                raise ValueError(f"not every list has {seeds} entries")
        except (msgspec.ValidationError, ValueError) as error:
            raise UserError(
                f"{path!r} is not a whole checkpoint: its notes about the round in progress "
                f"are damaged ({error})"
            ) from error
        metrics, clock = MetricsOfSeeds(seeds), Clock()
        metrics.latest = {name: np.asarray(each) for name, each in found.metrics.items()}
        metrics.skipped = np.asarray(found.skipped, int)
        clock.laps = dict(found.seconds)
        return cls(
            np.asarray(found.active),
            np.asarray(found.inside),
            np.asarray(found.first_steps),
            np.asarray(found.first_episodes),
            np.asarray(found.rewards),
            found.evaluations,
            metrics,
            clock,
            found.unfinished,
            found.evaluating,
        )


class _Notes(msgspec.Struct, forbid_unknown_fields=True):
    """A round in progress as plain values."""

    active: list[bool]
    inside: list[bool]
    first_steps: list[int]
    first_episodes: list[int]
    rewards: list[float]
    evaluations: list[list[dict[str, int | float]]]
    metrics: dict[str, list[float]]
    skipped: list[int]
    seconds: dict[str, float]
    unfinished: list[Episode | None]
    evaluating: bool = False


_PER_SEED = (
    *("active", "inside", "first_steps", "first_episodes", "rewards", "evaluations"),
    *("skipped", "unfinished"),
)
