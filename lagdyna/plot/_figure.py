"""Figures in lagdyna's style, without Matplotlib's global state, and their files.

Matplotlib is imported when something is drawn, since most programs draw nothing.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._errors import UserError
from ..results import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes
    from matplotlib.figure import Figure as Figure
else:
    Axes = Figure = Any

ManyAxes = Sequence[Axes] | np.ndarray  # an array as `subplots` gives it

BLUE, ORANGE, GREEN, GREY = "#1f5fa8", "#d9731a", "#2d8a57", "#6b6b6b"

ANGLE_OR_LENGTH, THEIR_SPEED, FORCE = "(rad or m)", "(rad/s or m/s)", "(N m or N)"

# No dates, so that the same figure gives the same file.
_FORMATS: dict[str, dict[str, Any]] = {
    ".png": {"format": "png", "dpi": 130},
    ".pdf": {"format": "pdf", "metadata": {"CreationDate": None}},
    ".svg": {"format": "svg", "metadata": {"Date": None}},
}

# TrueType fonts (Type 42), which publishers ask for, and names of elements that repeat.
_SETTINGS: Any = {"pdf.fonttype": 42, "svg.hashsalt": "lagdyna"}


def blank(width: float, height: float) -> Figure:
    """Create an empty figure; sizes are in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def finish(axes: Axes) -> None:
    """Apply lagdyna's style to axes."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, lw=0.5)


def literal(text: str) -> str:
    """Escape a name, in which Matplotlib would take dollars for mathematics."""
    shown = "".join(each if each.isprintable() else "?" for each in text)
    return shown.replace("$", r"\$")


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure to a PNG, PDF or SVG file, which is replaced as a whole.

    PDF files hold their fonts as TrueType, as publishers ask.

    **Arguments:** `path`, whose suffix is the format.

    **Raises:** [`lagdyna.UserError`][] for another suffix, or if the file cannot be written.
    """
    path = Path(path)
    options = _FORMATS.get(path.suffix.lower())
    if options is None:
        raise UserError(
            f"`path` was {str(path)!r}; a name that ends in {', '.join(_FORMATS)} is accepted"
        )
    import matplotlib as mpl

    with replacing(path) as temporary, mpl.rc_context(_SETTINGS):
        figure.savefig(temporary, **options)


class Panels(NamedTuple):
    """Axes to draw on: given ones, or those of a figure that was made for them.

    **Attributes:** `figure`; `axes`, all of them; `made`, whether the figure was made here.
    """

    figure: Figure
    axes: list[Axes]
    made: bool

    def title(self, text: str) -> None:
        """Set the title of a figure that was made here; others have their own."""
        if self.made:
            self.figure.suptitle(text)

    def legend(self, columns: int) -> None:
        """Add a legend: below a figure that was made here, else inside of the first axes."""
        first = self.axes[0]
        handles, labels = first.get_legend_handles_labels()
        if self.made:
            where: dict[str, Any] = {"ncols": columns, "loc": "outside lower center"}
            self.figure.legend(handles, labels, frameon=False, **where)
        else:
            first.legend(handles, labels, frameon=False, fontsize="small")


def panels(
    axes: Axes | ManyAxes | None,
    size: tuple[float, float],
    count: int = 1,
    columns: int = 1,
    sharex: bool = False,
) -> Panels:
    """Take the axes that a caller gave, or make a figure.

    **Arguments:** `axes`, one or several, or `None`; `size`, of a new figure, inches; `count`,
    number of axes; `columns`, in which new ones stand; `sharex`, whether they share the first
    axis.

    **Raises:** `UserError` if other than `count` axes were given.
    """
    if axes is None:
        figure = blank(*size)
        grid = figure.subplots(-(-count // columns), columns, sharex=sharex, squeeze=False)
        for unused in grid.flat[count:]:
            unused.set_visible(False)
        return Panels(figure, list(grid.flat[:count]), True)
    given: list[Axes] = [*np.ravel(np.asarray(axes, object))]
    if len(given) != count:
        raise UserError(f"`axes` had {len(given)} axes; this figure has {count}")
    figure = given[0].get_figure(root=True)
    if figure is None:
        raise UserError("`axes` were removed from their figure; others are accepted")
    return Panels(figure, given, False)
