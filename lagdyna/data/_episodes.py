"""Arrays with an axis of episodes: shapes `(episodes, time, columns)`."""

from collections.abc import Mapping

import numpy as np

from ._assemble import ReadOptions, assemble
from ._data_error import DataError
from ._fields import FIELDS, check_dtype
from ._trajectory import Trajectory


def are_episodes(arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether arrays have an axis of episodes: `q` has three axes, or `t` the shape of `q`."""
    q, t = arrays["q"], arrays["t"]
    return q.ndim == 3 or (q.ndim == 2 and q.shape == t.shape and q.shape[1] > 1)


def read_episodes(
    source: str,
    arrays: Mapping[str, np.ndarray],
    lengths: np.ndarray | None,
    options: ReadOptions,
) -> list[Trajectory]:
    """Read each episode as a trajectory, or as several if it has gaps.

    Rows at the end of an episode in which nothing is known but the time are padding.

    **Arguments:**

    - `source`: name of the file in error messages.
    - `arrays`: arrays of shape `(episodes, time, columns)`; one coordinate may have the shape
        `(episodes, time)`, and `t` the shape `(time,)`.
    - `lengths`: rows of each episode; the rest is padding.
    - `options`: options of the reader.

    **Raises:** [`lagdyna.data.DataError`][] if shapes or lengths do not match.
    """
    episodes, rows = arrays["q"].shape[:2]
    for name, x in arrays.items():
        check_dtype(source, name, x.dtype)
        shared = name == "t" and x.shape == (rows,)
        if not shared and (x.shape[:2] != (episodes, rows) or x.ndim > 3):
            also = "(time,) or (episodes, time)" if name == "t" else "(episodes, time, columns)"
            raise DataError(
                f"{source}: array `{name}` has shape {x.shape}, and `q` has "
                f"{arrays['q'].shape}, {episodes} episodes of {rows} rows; {also} is accepted"
            )
    counts = _counts(source, lengths, episodes, rows)
    trajectories = []
    for i in range(episodes):
        episode = {
            name: (x if name == "t" and x.ndim == 1 else x[i])[: counts[i]]
            for name, x in ((name, arrays[name]) for name in FIELDS if name in arrays)
        }
        end = counts[i] if lengths is not None else _end(episode)
        episode = {name: x[:end] for name, x in episode.items()}
        trajectories += assemble(f"{source}: episode {i}", episode, options, several=False)
    return trajectories


def _counts(source: str, lengths: np.ndarray | None, episodes: int, rows: int) -> list[int]:
    """Check `lengths` and return the rows of each episode."""
    if lengths is None:
        return [rows] * episodes
    if lengths.shape != (episodes,) or lengths.dtype.kind not in "iu":
        raise DataError(
            f"{source}: array `lengths` has shape {lengths.shape} and type {lengths.dtype}; "
            f"{episodes} integers are accepted, the rows of each episode"
        )
    counts = [int(length) for length in lengths]
    for i, count in enumerate(counts):
        if not 2 <= count <= rows:
            raise DataError(
                f"{source}: array `lengths`, row {i}: found {count}; 2 to {rows} rows are "
                "accepted"
            )
    return counts


def _end(episode: Mapping[str, np.ndarray]) -> int:
    """Count the rows before the padding."""
    known = [
        ~np.isnan(x.astype(np.float64)).reshape(len(x), -1).all(axis=1)
        for name, x in episode.items()
        if name != "t"
    ]
    rows = np.flatnonzero(np.any(known, axis=0))
    return int(rows[-1]) + 1 if len(rows) else len(episode["t"])
