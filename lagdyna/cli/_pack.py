from pathlib import Path

from ._options import Location
from ._print import say


def pack(run: Path, file: Path, /) -> None:
    """Write a run directory into one .zip file, with checksums and without code.

    Parameters
    ----------
    run
        The directory of a run of any kind.
    file
        A new file that ends in .zip.
    """
    from .. import runs

    packed = runs.pack(run, file)
    say(f"{packed.files} files -> {packed.file}")
    if packed.left_out:
        say(f"left out, since they are no data of lagdyna: {', '.join(packed.left_out)}")


def unpack(file: Path, /, *, out: Location = None) -> None:
    """Read a packed run into a directory. Nothing in the file is run.

    Parameters
    ----------
    file
        A file that `lagdyna pack` wrote.
    out
        A new or empty directory; by default the first free runs/NAME-1, ...
    """
    from .. import runs

    say(f"-> {runs.unpack(file, out)}")
