"""Config of recordings."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, cast

from msgspec import Meta

from .._errors import UserError
from ..options import NonNegative, Positive, Whole
from ..tables import Source
from ._layout import LayoutConfig


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Recordings to learn from.

    **Arguments:**

    - `file`: a file that [`lagdyna.data.read`][] reads, a folder of them, a pattern such as
        `logs/*.csv`, or a list of these.
    - `angles`: the coordinates that are angles, as indices from 0 or as names such as `"q0"`;
        or `"all"`.
    - `chain`: whether consecutive angles are those of the joints of a chain; see
        [`lagdyna.mechanics.Coordinates`][].
    - `control`: the recorded array that drives the system: by default `tau` if it was
        recorded, else `action`, else `none`.
    - `force`: the generalised force of each action of size 1, `n` rows of `m` numbers; it is
        learned by default. For `control = "action"` alone.
    - `dt`: seconds of a step of the model; by default the median of the recorded steps.
    - `noise`: standard deviation of the noise of `q`, where velocities were not recorded;
        estimated by default.
    - `accelerations`: `estimate` to estimate accelerations that were not recorded, so that they
        can be learned and forces compared. A loss that needs them estimates them too.
    - `validation`: fraction of the duration of the data that is not learned from.
    - `test`: files as `file` of which nothing is learned or chosen. The errors of a fit are
        then those on these files.
    - `unchecked`: whether to fit columns that contradict each other, which are refused
        otherwise; see [`lagdyna.checks.check_recordings`][].
    - `columns`: the file's names of columns or arrays, by lagdyna's names, such as
        `q0 = "shoulder_pos"`, or patterns, such as `q = "pos_*"`, whose `*` stands for a number
        or for the name of a joint. Columns that are neither named here nor lagdyna's are then
        not read.
    - `merge`: `interpolate` if columns were recorded at different times; see
        [`lagdyna.data.read`][].
    - `duplicates`: `drop` to keep only the first of rows with the same time.
    - `topic`: topic of the joint states in recordings of ROS, if several have any.
    - `layout`: where the observations of a Minari data set keep coordinates and velocities, a
        [`lagdyna.config.LayoutConfig`][] or the name of a task; by default that of the data
        set's environment, if it is one of `lagdyna tasks`. It also says which coordinates are
        angles.
    """

    file: str | tuple[str, ...]
    angles: tuple[Whole | str, ...] | str = ()
    chain: bool = False
    control: Literal["tau", "action", "none"] | None = None
    force: tuple[tuple[float, ...], ...] | None = None
    dt: Positive | None = None
    noise: NonNegative | None = None
    accelerations: Literal["estimate"] | None = None
    validation: Annotated[float, Meta(gt=0, lt=1)] = 0.2
    test: str | tuple[str, ...] | None = None
    unchecked: bool = False
    columns: Mapping[str, str] | None = field(default=None, hash=False)
    merge: Literal["interpolate"] | None = None
    duplicates: Literal["drop"] | None = None
    topic: str | None = None
    layout: LayoutConfig | None = None

    def __post_init__(self):
        object.__setattr__(self, "angles", _indices(self.angles))
        if isinstance(self.layout, str):
            object.__setattr__(self, "layout", LayoutConfig.named(self.layout))
        if not self.file:
            raise UserError("`data.file` is empty; a file to learn from is needed")
        if self.test is not None and not self.test:
            raise UserError("`data.test` is empty; a file to test on, or none, is accepted")

    @classmethod
    def named(cls, file: str) -> "DataConfig":
        """Create the config of a file with default options."""
        return cls(file=file)

    @classmethod
    def of(cls, given: "DataConfig | Source | Sequence[Source]", **options) -> "DataConfig":
        """Create the config of a file, or of several, with other options."""
        if isinstance(given, DataConfig):
            return given
        if isinstance(given, str | os.PathLike):
            return cls(file=os.fspath(given), **options)
        if not isinstance(given, Sequence) or not all(
            isinstance(each, str | os.PathLike) for each in given
        ):
            raise UserError(
                f"`data` was an object of type {type(given).__name__}; a file, a list of files "
                "or a DataConfig is accepted"
            )
        return cls(file=tuple(os.fspath(each) for each in given), **options)

    @property
    def files(self) -> tuple[str, ...]:
        """Files, folders and patterns of the recordings."""
        return (self.file,) if isinstance(self.file, str) else self.file

    @property
    def title(self) -> str:
        """Name of the recordings in messages."""
        more = len(self.files) - 1
        return self.files[0] + (f" and {more} more" if more else "")

    @property
    def stem(self) -> str:
        """Name of the recordings in the name of a directory."""
        path = Path(self.files[0].removeprefix("minari:"))
        stem = path.stem if glob_free(path.name) else path.parent.name
        return stem or path.resolve().name or "data"

    @property
    def angle_indices(self) -> tuple[int, ...] | Literal["all"]:
        """Indices of the coordinates that are angles, or all."""
        return cast(tuple[int, ...] | Literal["all"], self.angles)


def glob_free(name: str) -> bool:
    """Whether a file name contains no wildcard."""
    return not set(name) & set("*?[")


def _indices(angles: Sequence[int | str] | str) -> tuple[int, ...] | str:
    """Convert names of coordinates, such as `q0`, to indices."""
    if angles == "all":
        return "all"
    found = []
    for each in [angles] if isinstance(angles, str) else angles:
        match = re.fullmatch(r"q?([0-9]{1,9})", each.strip()) if isinstance(each, str) else None
        if isinstance(each, str) and match is None:
            raise UserError(
                f"`data.angles` was {angles!r}; all, or coordinates as 0,2 or q0,q2, are "
                "accepted"
            )
        found.append(each if match is None else int(match[1]))
    return tuple(found)
