import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

from ._print import plain

# Seconds between two lines about the same part of a reproduction, in a file or pipe.
_SILENCE = 30


@contextmanager
def parts_progress(console: Console) -> Iterator[Callable[[str, str], None]]:
    """Show the progress of a reproduction while the context is open.

    Each finished part gets a line, and so does what is left out. The current part has a
    spinner in a terminal, else a line every half minute.

    **Returns:** a callback that takes the name of a part and a few words on its progress.
    """
    start, latest = time.perf_counter(), -_SILENCE
    with console.status("") as status:

        def progress(part: str, text: str) -> None:
            nonlocal latest
            seconds = time.perf_counter() - start
            line = Text(plain(f"[{seconds:5.0f} s] {part}: {text}"))
            lasting = text == "done" or text.startswith("left out")
            if lasting or (not console.is_terminal and seconds - latest >= _SILENCE):
                console.print(line, soft_wrap=True)
                latest = seconds
            else:
                status.update(line)

        yield progress
