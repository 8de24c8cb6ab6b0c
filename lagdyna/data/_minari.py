import math

import equinox as eqx
import numpy as np

from ..mechanics import Coordinates
from ._check import checked
from ._data_error import DataError, one_line
from ._degrees import warn_if_degrees
from ._limit import LIMIT_BYTES, check_limit
from ._trajectory import Trajectory, TrajectorySet, pieces


class ObservationLayout(eqx.Module):
    """Where in an environment's observation the coordinates and velocities stand.

    **Arguments:**

    - `q`: for each coordinate its place in the observation, or for an angle that is
        observed as such the places of its `(cos, sin)`.
    - `dt`: seconds between two observations.
    - `qd`: the places of the velocities; `None` if they are not observed.
    - `key`: which entry of the observation, where that is a dictionary.
    - `action_scale`: what actions are divided by to be in `[-1, 1]`: the largest that the
        environment takes.

    **Raises:** `ValueError` if `q` is empty, `qd` is of another length, a place is
    negative, or `dt` or `action_scale` is not positive.
    """

    q: tuple[int | tuple[int, int], ...] = eqx.field(static=True)
    dt: float = eqx.field(static=True)
    qd: tuple[int, ...] | None = eqx.field(static=True, default=None)
    key: str | None = eqx.field(static=True, default=None)
    action_scale: float = eqx.field(static=True, default=1.0)

    def __check_init__(self):
        if len(self.q) == 0 or (self.qd is not None and len(self.qd) != len(self.q)):
            raise ValueError(
                f"`q` has {len(self.q)} places and `qd` was {self.qd}; there must be one "
                "place for each coordinate, at least one"
            )
        if min(self.places) < 0:
            raise ValueError(f"places are counted from 0, got `q` {self.q}, `qd` {self.qd}")
        for name, value in (("dt", self.dt), ("action_scale", self.action_scale)):
            if not (value > 0 and math.isfinite(value)):
                raise ValueError(f"`{name}` must be a positive number, got {value}")

    @property
    def places(self) -> tuple[int, ...]:
        """All places of the observation that are read."""
        pairs = [place if isinstance(place, tuple) else (place,) for place in self.q]
        return (*(place for pair in pairs for place in pair), *(self.qd or ()))

    def coordinate(self, observations: np.ndarray, place: int | tuple[int, int]) -> np.ndarray:
        """One coordinate of observations, shape `(time, size)`, as a column."""
        if isinstance(place, tuple):
            cosine, sine = place
            return np.arctan2(observations[:, sine], observations[:, cosine])
        return observations[:, place]


def read_minari(
    name: str,
    layout: ObservationLayout,
    coordinates: Coordinates | None = None,
    *,
    limit_bytes: int = LIMIT_BYTES,
) -> TrajectorySet:
    """The episodes of a Minari data set that is on this machine, as trajectories.

    **Arguments:**

    - `name`: of the data set, with or without `minari:` before it. It is not downloaded;
        `minari download NAME` does that.
    - `layout`: where its observations keep `q` and `qd`, and the time step.
    - `coordinates`, `limit_bytes`: as for [`lagdyna.data.read`][].

    **Raises:** [`lagdyna.data.DataError`][] if Minari is not installed, the data set is
    not there, or it is not as the layout says.
    """
    source = "minari:" + name.removeprefix("minari:")
    try:
        import minari  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise DataError(
            f"{source}: needs Minari, which is not installed; `pip install 'lagdyna[minari]'`"
        ) from error
    found: list[Trajectory] = []
    needed = 0
    try:
        episodes = minari.load_dataset(name.removeprefix("minari:")).iterate_episodes()
        for episode in episodes:
            arrays = _arrays(source, episode, layout)
            needed += sum(x.nbytes for x in arrays.values())
            check_limit(source, needed, limit_bytes)
            one = f"{source}: episode {episode.id}"
            found += pieces(one, checked(one, arrays))
    except DataError:
        raise
    except Exception as error:
        # Minari keeps its data by other libraries, each with exceptions of its own.
        raise DataError(
            f"{source}: cannot be read ({one_line(error)}); a data set that "
            "`minari list local` shows is accepted"
        ) from error
    trajectories = TrajectorySet(found)
    if coordinates is not None:
        if trajectories.n != coordinates.n:
            raise DataError(
                f"{source}: the layout names {trajectories.n} coordinates where the system "
                f"has {coordinates.n}; one place for each is accepted"
            )
        warn_if_degrees(trajectories, coordinates, source)
    return trajectories


def _arrays(source: str, episode, layout: ObservationLayout) -> dict[str, np.ndarray]:
    source = f"{source}: episode {episode.id}"
    observations, actions = episode.observations, episode.actions
    if layout.key is not None:
        if not isinstance(observations, dict) or layout.key not in observations:
            raise DataError(f"{source}: no entry {layout.key!r} in the observation")
        observations = observations[layout.key]
    if not isinstance(observations, np.ndarray) or observations.ndim != 2:
        raise DataError(
            f"{source}: observations are not one vector each; name an entry by `key`"
        )
    if max(layout.places) >= observations.shape[1]:
        raise DataError(
            f"{source}: observations have {observations.shape[1]} entries where the layout "
            f"names place {max(layout.places)}; places are counted from 0"
        )
    q = [layout.coordinate(observations, place) for place in layout.q]
    arrays = {"t": layout.dt * np.arange(len(observations)), "q": np.stack(q, axis=1)}
    if layout.qd is not None:
        arrays["qd"] = observations[:, list(layout.qd)]
    if not isinstance(actions, np.ndarray) or actions.dtype.kind != "f":
        raise DataError(f"{source}: actions are not real numbers; continuous ones are accepted")
    actions = actions.reshape(len(actions), -1) / layout.action_scale
    # Of the last observation on nothing was done.
    arrays["action"] = np.concatenate([actions, np.full((1, actions.shape[1]), np.nan)])
    return arrays
