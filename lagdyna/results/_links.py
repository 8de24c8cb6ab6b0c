"""Links inside a run directory, which are not followed when a run is continued."""

import os
from pathlib import Path

from .._errors import UserError


def check_links(run: Path) -> None:
    """Refuse a run directory that holds links to directories, or to nothing.

    Files are replaced as a whole, which replaces a link to a file and leaves what it points to.
    A link to a directory would be followed, and files elsewhere overwritten.

    **Raises:** `UserError` that names the link.
    """
    for folder, folders, files in os.walk(run):
        for name in (*folders, *files):
            path = Path(folder) / name
            if path.is_symlink() and not path.is_file():
                raise UserError(
                    f"{str(path)!r} is a link, which is not followed when a run is continued; "
                    "put the directory itself there, or delete the link"
                )
