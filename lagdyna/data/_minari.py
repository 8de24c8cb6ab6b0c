import math
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Float

from ..mechanics import Coordinates
from ._check import validate_arrays
from ._data_error import DataError, one_line
from ._degrees import warn_if_degrees
from ._limit import LIMIT_BYTES, check_limit
from ._trajectory import Trajectory, TrajectorySet, trajectories_between_gaps


class ObservationLayout(eqx.Module):
    """Indices of coordinates and velocities in an environment's observation.

    **Arguments:**

    - `q`: for each coordinate, its index in the observation. For an angle that is observed
        as cosine and sine, the pair of their indices.
    - `dt`: seconds between two observations.
    - `qd`: index of each velocity in the observation, or `None` if velocities are not
        observed.
    - `key`: key of the observation vector, if the observation is a dictionary.
    - `action_scale`: divisor that scales actions to `[-1, 1]`; by default the largest action
        of the data set's action space, for each action.
    - `relative_to`: for each coordinate, the number of another angle that is subtracted from
        it, or `None`.

    **Raises:** `ValueError` if `q` is empty, `qd` or `relative_to` has a different length, an
    index is negative, or `dt` or `action_scale` is not positive.
    """

    q: tuple[int | tuple[int, int], ...] = eqx.field(static=True)
    dt: float = eqx.field(static=True)
    qd: tuple[int, ...] | None = eqx.field(static=True, default=None)
    key: str | None = eqx.field(static=True, default=None)
    action_scale: float | None = eqx.field(static=True, default=None)
    relative_to: tuple[int | None, ...] | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        if len(self.q) == 0 or (self.qd is not None and len(self.qd) != len(self.q)):
            raise ValueError(
                f"`q` has {len(self.q)} entries and `qd` was {self.qd}; both need one "
                "index per coordinate, and at least one coordinate"
            )
        if min(self.places) < 0:
            raise ValueError(
                f"`q` was {self.q} and `qd` was {self.qd}; indices are counted from 0"
            )
        others = self.relative_to
        if others is not None and (
            len(others) != len(self.q)
            or any(x is not None and not 0 <= x < len(self.q) for x in others)
        ):
            raise ValueError(
                f"`relative_to` was {others}; None or the number of a coordinate is accepted "
                f"for each of the {len(self.q)} entries of `q`"
            )
        for name, value in (("dt", self.dt), ("action_scale", self.action_scale or 1.0)):
            if not (value > 0 and math.isfinite(value)):
                raise ValueError(f"`{name}` must be a positive number, got {value}")

    @property
    def places(self) -> tuple[int, ...]:
        """All indices of the observation that the layout uses."""
        indices = [place if isinstance(place, tuple) else (place,) for place in self.q]
        return (*(i for entry in indices for i in entry), *(self.qd or ()))

    def coordinate(self, observations: np.ndarray, place: int | tuple[int, int]) -> np.ndarray:
        """Compute one coordinate from observations.

        **Arguments:**

        - `observations`: observation vectors, shape `(time, size)`.
        - `place`: an entry of `q`.

        **Returns:** the coordinate, shape `(time,)`.
        """
        if isinstance(place, tuple):
            cosine, sine = place
            return np.arctan2(observations[:, sine], observations[:, cosine])
        return observations[:, place]

    def coordinates(self, observations: np.ndarray) -> np.ndarray:
        """Compute all coordinates from observations, shape `(time, n)`."""
        observed = [self.coordinate(observations, place) for place in self.q]
        others = self.relative_to or (None,) * len(observed)
        relative = [
            x if other is None else np.angle(np.exp(1j * (x - observed[other])))
            for x, other in zip(observed, others, strict=True)
        ]
        return np.stack(relative, axis=1)


def read_minari(
    name: str,
    layout: ObservationLayout,
    coordinates: Coordinates | None = None,
    *,
    limit_bytes: int = LIMIT_BYTES,
) -> TrajectorySet:
    """Read the episodes of a local Minari data set as trajectories.

    The function does not download data sets; use `minari download NAME`.

    **Arguments:**

    - `name`: name of the data set, with or without the prefix `minari:`.
    - `layout`: indices of `q` and `qd` in the observations, and the time step.
    - `coordinates`, `limit_bytes`: as for [`lagdyna.data.read`][].

    **Returns:** a [`lagdyna.data.TrajectorySet`][] with one trajectory per episode, or
    several for an episode with gaps.

    **Raises:** [`lagdyna.data.DataError`][] if Minari is not installed, the data set does
    not exist, or it does not match the layout.
    """
    source = "minari:" + name.removeprefix("minari:")
    data_set = _load(source)
    scale = layout.action_scale or _largest_actions(data_set)
    pieces: list[Trajectory] = []
    needed = 0
    try:
        for episode in data_set.iterate_episodes():
            arrays = _episode_arrays(source, episode, layout, scale)
            needed += sum(x.nbytes for x in arrays.values())
            check_limit(source, needed, limit_bytes)
            episode_name = f"{source}: episode {episode.id}"
            arrays = validate_arrays(episode_name, arrays)
            pieces += trajectories_between_gaps(episode_name, arrays)
    except DataError:
        raise
    except Exception as error:
        # Minari stores data with several libraries, each with its own exceptions.
        raise DataError(
            f"{source}: cannot be read ({one_line(error)}); a data set listed by "
            "`minari list local` is accepted"
        ) from error
    trajectories = TrajectorySet(pieces)
    if coordinates is not None:
        if trajectories.n != coordinates.n:
            raise DataError(
                f"{source}: `layout` has {trajectories.n} coordinates, but the system has "
                f"{coordinates.n}; one index per coordinate is accepted"
            )
        warn_if_degrees(trajectories, coordinates, source)
    return trajectories


def minari_environment(name: str) -> str | None:
    """Look up the environment of a local Minari data set.

    **Arguments:**

    - `name`: name of the data set, with or without the prefix `minari:`.

    **Returns:** its Gymnasium id; `None` if the data set does not say, or wraps it.

    **Raises:** [`lagdyna.data.DataError`][] if Minari is not installed or there is no such
    data set.
    """
    spec = getattr(_load("minari:" + name.removeprefix("minari:")), "env_spec", None)
    wrapped = getattr(spec, "additional_wrappers", ())
    return None if spec is None or wrapped else spec.id


def _load(source: str) -> Any:
    """Open a local data set."""
    try:
        import minari  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise DataError(
            f"{source}: needs Minari, which is not installed; "
            "run `pip install 'lagdyna[minari]'`"
        ) from error
    try:
        return minari.load_dataset(source.removeprefix("minari:"))
    except Exception as error:
        # Minari stores data with several libraries, each with its own exceptions.
        raise DataError(
            f"{source}: cannot be read ({one_line(error)}); a data set listed by "
            "`minari list local` is accepted"
        ) from error


def _largest_actions(data_set: Any) -> Float[np.ndarray, " m"] | float:
    """Largest magnitude of each action in the action space; 1 if it has no bounds."""
    space = data_set.action_space
    low, high = (np.ravel(getattr(space, name, np.inf)) for name in ("low", "high"))
    largest = np.maximum(np.abs(low), np.abs(high)).astype(np.float64)
    return largest if np.all(np.isfinite(largest) & (largest > 0)) else 1.0


def _episode_arrays(
    source: str,
    episode: Any,
    layout: ObservationLayout,
    scale: Float[np.ndarray, " m"] | float,
) -> dict[str, np.ndarray]:
    """Convert one episode to a trajectory's arrays."""
    source = f"{source}: episode {episode.id}"
    observations, actions = episode.observations, episode.actions
    if layout.key is not None:
        if not isinstance(observations, dict) or layout.key not in observations:
            raise DataError(
                f"{source}: no entry {layout.key!r} in the observation; `key` must be a key "
                "of a dictionary observation"
            )
        observations = observations[layout.key]
    if not isinstance(observations, np.ndarray) or observations.ndim != 2:
        raise DataError(
            f"{source}: observations are not vectors; for a dictionary set `key` to the "
            "entry that is a vector"
        )
    if max(layout.places) >= observations.shape[1]:
        raise DataError(
            f"{source}: observations have {observations.shape[1]} entries, but `layout` "
            f"uses index {max(layout.places)}; indices are counted from 0"
        )
    q = layout.coordinates(observations)
    arrays = {"t": layout.dt * np.arange(len(observations)), "q": q}
    if layout.qd is not None:
        arrays["qd"] = observations[:, list(layout.qd)]
    if not isinstance(actions, np.ndarray) or actions.dtype.kind != "f":
        raise DataError(f"{source}: actions are not real numbers; continuous ones are accepted")
    actions = actions.reshape(len(actions), -1) / scale
    # No action follows the last observation.
    arrays["action"] = np.concatenate([actions, np.full((1, actions.shape[1]), np.nan)])
    return arrays
