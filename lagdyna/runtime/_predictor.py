"""Policies as functions of the environment's observations."""

import abc
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ._reading import Reading, Spaces
from ._velocities import PositionHistory, VelocityEstimator


class PredictorState(NamedTuple):
    """State of a policy within an episode.

    **Attributes:**

    - `history`: positions, for velocities that are not measured.
    - `action`: the last action, shape `(*batch, m)`.
    - `left`: for how many more steps it is held, shape `(*batch,)`.
    """

    history: PositionHistory
    action: Float[np.ndarray, "*batch m"]
    left: Int[np.ndarray, "*batch"]


class AbstractPredictor(abc.ABC):
    """Policy with the `predict` of Stable-Baselines3, NumPy in and out.

    **Arguments:**

    - `reading`: of the observations.
    - `spaces`: of the environment.
    """

    def __init__(self, reading: Reading, spaces: Spaces):
        self.reading, self.spaces = reading, spaces
        self._estimator = VelocityEstimator(reading) if reading.estimated else None

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.reading.environment!r}, "
            f"observation=({self.spaces.observation},), action=({len(self.spaces.actions)},))"
        )

    @abc.abstractmethod
    def decide(
        self, observations: Float[np.ndarray, "*batch obs"], deterministic: bool
    ) -> Float[np.ndarray, "*batch m"]:
        """Compute the actions at observations, in the environment's units.

        **Arguments:** `observations`, checked, with estimated velocities as last entries.
        """

    def predict(
        self,
        observation: Any,
        state: PredictorState | None = None,
        episode_start: Any = None,
        deterministic: bool = True,
    ) -> tuple[Float[np.ndarray, "*batch m"], PredictorState | None]:
        """Compute the action at an observation, in the environment's units.

        A task may hold each action for several environment steps, and may not measure all
        velocities. Then the result depends on the episode so far: give the state of the last
        call back. Without it, each call is the start of an episode.

        **Arguments:**

        - `observation`: of the environment, flattened, shape `(obs,)` or `(batch, obs)`.
        - `state`: the second result of the last call in the episode; `None` at its start.
        - `episode_start`: whether an episode starts, shape `()` or `(batch,)`; its state is
            forgotten.
        - `deterministic`: whether to leave out the noise of exploration.

        **Returns:** the action, shape `(m,)` or `(batch, m)`, and the state for the next call;
        `None` if the action depends on the observation alone.

        **Raises:** `ValueError` if an observation has another shape, is not finite, or the
        state is that of another batch.
        """
        given = self._checked(observation)
        if self._estimator is None and self.reading.repeat == 1:
            return self.decide(given, deterministic), None
        before = self._before(given.shape[:-1], state, episode_start)
        history = before.history
        if self._estimator is not None:
            velocity, history = self._estimator.estimate(given, history)
            given = np.concatenate([given, velocity], axis=-1)
        if np.all(before.left > 0):
            return before.action, PredictorState(history, before.action, before.left - 1)
        decided = self.decide(given, deterministic)
        held = before.left > 0
        action = np.where(held[..., None], before.action, decided).astype(decided.dtype)
        left = np.where(held, before.left, self.reading.repeat) - 1
        return action, PredictorState(history, action, left)

    def _checked(self, observation: Any) -> Float[np.ndarray, "*batch obs"]:
        """Convert an observation to an array.

        **Raises:** `ValueError` if its shape is wrong or it is not finite.
        """
        given: Any = np.asarray(observation)
        size = self.spaces.observation
        if given.dtype.kind not in "fiu" or given.ndim not in (1, 2) or given.shape[-1] != size:
            found = f"shape {given.shape}"
            if given.dtype.kind not in "fiu":
                found = f"type {type(observation).__name__}"
            raise ValueError(
                f"`observation` has {found}; numbers of shape ({size},) or (batch, {size}) are "
                f"accepted, as {self.reading.environment} returns them"
            )
        if not np.isfinite(given).all():
            raise ValueError(
                f"`observation` was {given}, which is not finite; finite numbers are accepted"
            )
        return given if given.dtype.kind == "f" else given.astype(np.float32)

    def _before(
        self,
        batch: tuple[int, ...],
        state: PredictorState | None,
        episode_start: Any,
    ) -> PredictorState:
        """Return the state of the last call, begun anew where an episode starts.

        **Raises:** `ValueError` if it is that of another batch.
        """
        m = len(self.spaces.actions)
        history = PositionHistory(*(np.full((*batch, self.reading.estimated), np.nan),) * 2)
        fresh = PredictorState(history, np.zeros((*batch, m)), np.zeros(batch, int))
        if state is None:
            return fresh
        if state.left.shape != batch:
            raise ValueError(
                f"`state` is of a batch of shape {state.left.shape}; that of the last call for "
                f"a batch of shape {batch} is accepted, or None"
            )
        if episode_start is None:
            return state
        starts: Bool[np.ndarray, " *batch"] = np.broadcast_to(np.asarray(episode_start), batch)

        def chosen(new: np.ndarray, old: np.ndarray) -> np.ndarray:
            extra = (1,) * (new.ndim - starts.ndim)
            return np.where(starts.reshape(starts.shape + extra), new, old)

        past = (chosen(*pair) for pair in zip(history, state.history, strict=True))
        return PredictorState(
            PositionHistory(*past),
            chosen(fresh.action, state.action),
            chosen(fresh.left, state.left),
        )


def rescaled(unit: Any, spaces: Spaces) -> Any:
    """Convert actions in `[-1, 1]^m` to the environment's units.

    **Arguments:** `unit`, of NumPy or JAX, shape `(*batch, m)`.
    """
    xp: Any = unit.__array_namespace__()
    low, high = np.asarray(spaces.actions, unit.dtype).T
    return low + 0.5 * (xp.clip(unit, -1, 1) + 1) * (high - low)
