"""Interaction with the real environment of each seed."""

import abc
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from jaxtyping import Bool, Float, Int, UInt

from ._state import TrainingState

Counts = Int[np.ndarray, " seeds"]
Report = Callable[[int], None]


class Episode(msgspec.Struct, forbid_unknown_fields=True):
    """Episode in progress: its actions since the reset, and the state that they led to.

    The actions are applied again when a run is resumed, since the state inside of a Gymnasium
    environment cannot be stored.

    **Attributes:** `actions`, each a list of numbers; `q`, `qd`, the last state.
    """

    actions: list[list[float]]
    q: list[float]
    qd: list[float]


class AbstractEnvironmentLoop(abc.ABC):
    """Loop of acting in the real environment, one environment per seed."""

    @abc.abstractmethod
    def collect(
        self,
        training: TrainingState,
        stops: Counts,
        ends: Counts,
        active: Bool[np.ndarray, " seeds"],
        report: Report,
    ) -> tuple[TrainingState, Float[np.ndarray, " seeds"]]:
        """Act, and store the transitions.

        **Arguments:** (environment steps are counted from the start of the run)

        - `training`: of all seeds.
        - `stops`: the steps that each seed shall reach.
        - `ends`: the steps from which a seed stops earlier, at the end of an episode, because
            its round ends there. The end of the run comes before everything.
        - `active`: the seeds that act at all.
        - `report`: is called now and then with the number of steps.

        **Returns:** the training state, and the sum of each seed's rewards.
        """

    @abc.abstractmethod
    def between_episodes(self, training: TrainingState) -> Bool[np.ndarray, " seeds"]:
        """Mark the seeds that have ended an episode and not begun the next."""

    @abc.abstractmethod
    def evaluate(
        self, training: TrainingState, starts: UInt[np.ndarray, "seeds episodes"]
    ) -> Float[np.ndarray, "seeds episodes"]:
        """Compute the returns of the policies without noise; nothing is stored.

        **Arguments:** `starts`, the seed of each episode.

        **Raises:** `UserError` if an episode is longer than the config allows.
        """

    @abc.abstractmethod
    def unfinished(self) -> list[Episode | None]:
        """Describe the episode in progress of each seed, as far as the state lacks it."""

    @abc.abstractmethod
    def restore(
        self, training: TrainingState, unfinished: Sequence[Episode | None]
    ) -> TrainingState:
        """Continue the episodes that `unfinished` described when the run was interrupted.

        An episode that an environment does not repeat exactly is ended, with a warning.

        **Returns:** the training state.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Close the environments; they open again when they are needed."""


def acts_again(steps: int, elapsed: int, stop: int, end: int, total: int) -> bool:
    """Whether a seed acts once more."""
    return steps < min(stop, total) and (steps < end or elapsed > 0)


# Purposes of the seeds that are given to environments; part of them, so that none are the same.
EPISODE, EVALUATE, PICTURE, EVALUATE_AGAIN = range(4)


def start_seeds(seed: int, purpose: int, count: int) -> UInt[np.ndarray, " count"]:
    """Make seeds for environments from the seed of a run."""
    return np.random.SeedSequence([seed, purpose]).generate_state(count)
