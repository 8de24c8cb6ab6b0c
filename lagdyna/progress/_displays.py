import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .._errors import UserError
from ._abstract import AbstractProgress, Silence
from ._many import ManyProgress

if TYPE_CHECKING:
    from rich.console import Console

ProgressLike = AbstractProgress | str | Sequence[AbstractProgress | str] | None
"""Receivers of progress events: an object, the name of a display, a list of them, or none."""

_NAMES = ("bar", "lines")


def progress_of(progress: ProgressLike, console: "Console | None" = None) -> AbstractProgress:
    """Choose the receiver of a run's progress.

    **Arguments:**

    - `progress`: a receiver; `"bar"`, a display that redraws itself in a terminal or a
        notebook, and lines elsewhere; `"lines"`; several of them; `None` shows nothing.
    - `console`: of Rich, to show it on; standard output by default.

    **Raises:** `UserError` if there is no display of that name.
    """
    if isinstance(progress, AbstractProgress):
        return progress
    if progress is None:
        return Silence()
    if isinstance(progress, Sequence) and not isinstance(progress, str):
        return ManyProgress(*(progress_of(each, console) for each in progress))
    if progress not in _NAMES:
        raise UserError(
            f"`progress` was {progress!r}; {', '.join(map(repr, _NAMES))}, a "
            "lagdyna.progress.AbstractProgress, a list of them and None are accepted"
        )
    from rich.console import Console

    from ._lines import LineDisplay
    from ._live import LiveDisplay

    console = console or Console()
    # Rich redraws in notebooks by a widget.
    drawn = not console.is_jupyter or importlib.util.find_spec("ipywidgets") is not None
    if progress == "bar" and drawn and (console.is_terminal or console.is_jupyter):
        return LiveDisplay(console)
    return LineDisplay(console)
