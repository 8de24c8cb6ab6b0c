import shlex
from pathlib import Path
from typing import Any

from .._errors import UserError
from ..results import kind_of, read_json_lines, read_notes
from ._directory import checkpoint_of


def kept(run: str | Path) -> str:
    """Say what an interrupted run has kept, and how to continue it.

    **Arguments:** `run`, its directory.
    """
    run = Path(run)
    command = f"`lagdyna resume {shlex.quote(str(run))}`"
    try:
        kind = kind_of(run)
        if kind is None:
            return "nothing has been written"
        if kind == "reproduction":
            done = len([*(run / "parts").glob("*.npz")])
            return f"kept {done} {'part' if done == 1 else 'parts'}; {command} continues"
        if not checkpoint_of(run).exists():
            first = "twentieth of the updates" if kind == "fit" else "training phase"
            return f"nothing is kept before the end of the first {first}; {command} begins anew"
        notes = read_notes(checkpoint_of(run))
        return f"kept up to {_reached(run, kind, notes)}; {command} continues"
    except (UserError, KeyError, TypeError):  # damaged, or of an earlier version
        return f"{command} continues from what was finished"


def _reached(run: Path, kind: str, notes: dict[str, Any]) -> str:
    if kind != "fit":
        return f"step {notes['env_steps']}"
    records = read_json_lines(run / "metrics.jsonl")[: notes["records"]]
    return f"update {records[-1]['updates']}" if records else "the beginning"
