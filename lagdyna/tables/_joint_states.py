"""Joint states in recordings of ROS: bags and MCAP files as columns."""

import difflib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .._errors import DataError
from ._times import begin_at_zero

JOINT_STATE = "sensor_msgs/msg/JointState"
SUFFIXES = (".db3", ".mcap", ".bag")

_QUANTITIES = ("position", "velocity", "effort")
_DISORDER = 10**9  # nanoseconds; stamps that fall back further belong to a new run


class JointStates(NamedTuple):
    """Joint states of one topic, a row for each message.

    **Attributes:**

    - `columns`: `stamp`, seconds, and `position_JOINT`, `velocity_JOINT`, `effort_JOINT` of
        every joint; nan where a message does not have it. Quantities that no message has are
        left out.
    - `joints`: names of the joints in the order of the first message, then of later ones;
        `None` if messages have no names.
    - `notes`: sentences about what was done to them.
    """

    columns: dict[str, np.ndarray]
    joints: tuple[str, ...] | None
    notes: list[str]


def is_bag(path: Path) -> bool:
    """Whether a path is a bag of ROS 2 with its metadata, or has the suffix of a bag."""
    metadata = path / "metadata.yaml"
    if metadata.is_file():
        with metadata.open("rb") as file:
            return b"rosbag2_bagfile_information" in file.read(4096)
    return path.suffix.lower() in SUFFIXES


def read_joint_states(
    path: Path, topic: str | None = None, check_size: Callable[[int], None] = lambda size: None
) -> JointStates:
    """Read the joint states of a bag of ROS 2 or ROS 1, or of an MCAP file.

    **Arguments:**

    - `path`: a `.db3`, `.mcap` or `.bag` file, or a directory with `metadata.yaml`.
    - `topic`: the topic; needed if several topics have joint states.
    - `check_size`: callback that receives the bytes of the columns before they are read.

    **Raises:** [`lagdyna.data.DataError`][] if rosbags is not installed, the file is damaged,
    or there are no joint states on one topic; `OSError` if the file cannot be opened.
    """
    try:
        from rosbags.typesys import (  # pyright: ignore[reportMissingImports]
            Stores,
            get_typestore,
        )
    except ImportError as error:
        raise DataError(
            f"{path}: recordings of ROS need rosbags, which is not installed; "
            "run `pip install 'lagdyna[ros]'`, or export the joint states to .csv"
        ) from error
    try:
        if path.suffix.lower() == ".bag":
            from rosbags.rosbag1 import Reader  # pyright: ignore[reportMissingImports]

            parse = get_typestore(Stores.ROS1_NOETIC).deserialize_ros1
        else:
            from rosbags.rosbag2 import Reader  # pyright: ignore[reportMissingImports]

            parse = get_typestore(Stores.ROS2_HUMBLE).deserialize_cdr
        with Reader(path) as bag:
            chosen = _connections(path, topic, bag.connections)
            messages = bag.messages(chosen)
            parsed = ((time, parse(raw, JOINT_STATE)) for _, time, raw in messages)
            count = sum(each.msgcount for each in chosen)
            return _collect(path, parsed, count, check_size)
    except (DataError, OSError):
        raise
    except Exception as error:
        # On a damaged file rosbags, sqlite3 and the parser raise many types of exceptions.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{path}: not a readable recording of ROS ({reason}); a complete .db3, .mcap or "
            ".bag file, or a bag directory with its metadata.yaml is accepted"
        ) from error


def _connections(path: Path, topic: str | None, connections: Sequence[Any]) -> list[Any]:
    """Find the connections of the topic to read."""
    found: dict[str, list[Any]] = defaultdict(list)
    for each in connections:
        if each.msgtype == JOINT_STATE:
            found[each.topic].append(each)
    shown = ", ".join(
        f"{name} ({sum(each.msgcount for each in mine)} messages)"
        for name, mine in sorted(found.items())
    )
    if not found:
        others = ", ".join(sorted({f"{each.topic} ({each.msgtype})" for each in connections}))
        raise DataError(
            f"{path}: no topic of type {JOINT_STATE}; found {others[:500] or 'no topic'}"
        )
    if topic is not None and topic not in found:
        near = difflib.get_close_matches(topic, found, n=1, cutoff=0.3)
        hint = f"nearest: {near[0]}; " if near else ""
        raise DataError(f"{path}: no joint states on the topic {topic!r}; {hint}found {shown}")
    if topic is None and len(found) > 1:
        raise DataError(
            f"{path}: joint states on several topics, {shown}; choose one with `topic` "
            f"(--data.topic {min(found)})"
        )
    return found[topic or next(iter(found))]


def _collect(
    path: Path,
    messages: Iterator[tuple[int, Any]],
    count: int,
    check_size: Callable[[int], None],
) -> JointStates:
    """Arrange messages as columns, by the names of the joints."""
    places: dict[str, int] = {}
    orders: dict[tuple[str, ...], np.ndarray] = {}
    stamps, logged, rows = [], [], []
    unnamed = False
    for number, (time, message) in enumerate(messages):
        names = tuple(message.name)
        if not names:
            unnamed = True
            names = tuple(map(str, range(len(message.position))))
        if names not in orders:
            if len(set(names)) < len(names):
                raise DataError(f"{path}: message {number} names a joint twice")
            orders[names] = np.array([places.setdefault(x, len(places)) for x in names], int)
            check_size(8 * count * (1 + 3 * len(places)))
        rows.append((orders[names], *(getattr(message, name) for name in _QUANTITIES)))
        stamp = message.header.stamp
        stamps.append(stamp.sec * 10**9 + stamp.nanosec)
        logged.append(time)
    if not rows:
        raise DataError(f"{path}: no messages of joint states; at least two are needed")
    tables = [
        _table(path, name, [(row[0], row[1 + i]) for row in rows], len(places))
        for i, name in enumerate(_QUANTITIES)
    ]
    t, order, notes = _times(path, stamps, logged)
    columns = {"stamp": t}
    for quantity, table in zip(_QUANTITIES, tables, strict=True):
        if table is None:
            continue
        empty = [name for name, i in places.items() if np.isnan(table[:, i]).all()]
        if quantity != "position" and len(empty) == len(places):
            notes.append(f"{path}: {quantity} is nan in every message and was left out")
            continue
        if empty:
            raise DataError(
                f"{path}: {quantity} of {', '.join(empty)} is nan in every message; choose "
                "columns without it, as --columns q=position_arm_*,qd=velocity_arm_*"
            )
        columns.update({f"{quantity}_{name}": table[order, i] for name, i in places.items()})
    return JointStates(columns, None if unnamed else tuple(places), notes)


def _table(
    path: Path, quantity: str, rows: list[tuple[np.ndarray, np.ndarray]], width: int
) -> np.ndarray | None:
    """Arrange one quantity as rows; `None` if no message has it."""
    table = np.full((len(rows), width), np.nan)
    for number, (places, values) in enumerate(rows):
        if len(values) == 0:
            continue
        if len(values) != len(places):
            raise DataError(
                f"{path}: message {number} has {len(places)} joints and {len(values)} numbers "
                f"of {quantity}; as many as joints, or none, are accepted"
            )
        table[number, places] = values
    return table if any(len(values) for _, values in rows) else None


def _times(
    path: Path, stamps: list[int], logged: list[int]
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Find the time of each message in seconds, and the order of the messages."""
    notes = []
    if not any(stamps):
        stamps = logged
        notes.append(
            f"{path}: messages have no time stamps; the times at which they were recorded "
            "were taken"
        )
    nanoseconds = np.array(stamps, np.int64)
    falls = -np.diff(nanoseconds, prepend=nanoseconds[:1])
    order = np.arange(len(nanoseconds))
    if 0 < falls.max() <= _DISORDER:
        order = np.argsort(nanoseconds, kind="stable")
        notes.append(
            f"{path}: {np.count_nonzero(falls > 0)} messages were recorded out of order and "
            "were sorted by their time stamps"
        )
    t, note = begin_at_zero(nanoseconds[order])
    return t, order, [*notes, *([] if note is None else [f"{path}: {note}"])]
