"""Films of episodes, encoded frame by frame, since an episode's frames need much memory."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from .._errors import UserError
from ._files import replacing

Frame = UInt8[np.ndarray, "height width 3"]
Show = Callable[[Frame | Callable[[], Frame]], None]
"""Function that adds a frame to a film, given the image or a function that draws it."""

# Arguments of ffmpeg for each file ending; Pillow writes GIF files.
_CODECS: dict[str, tuple[str, ...]] = {
    ".mp4": ("libx264", "-crf", "20"),
    ".webm": ("libvpx-vp9", "-crf", "30", "-b:v", "0", "-deadline", "realtime"),
}
# Seconds between two frames. GIF viewers round to hundredths and show at most 50 per second.
_EVERY_GIF = 0.04
_EVERY_FILM = 0.02


def check_video(path: Path) -> None:
    """Refuse a video file that could not be written, before anything is run.

    **Raises:** `UserError` for an unknown ending, a file that exists, a directory that is
    missing or not writable, or if the package for the ending is not installed.
    """
    given, ending = f"`video` was {str(path)!r}", path.suffix.lower()
    if ending not in (".gif", *_CODECS):
        accepted = ", ".join((".gif", *_CODECS))
        raise UserError(f"{given}, which ends in {path.suffix!r}; {accepted} are accepted")
    if not path.parent.is_dir():
        raise UserError(f"{given}, and there is no directory {str(path.parent)!r}")
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"{given}, and {str(path.parent)!r} cannot be written to")
    if path.exists() or path.is_symlink():
        raise UserError(f"{given}, which exists; a new file is accepted")
    if ending in _CODECS:
        try:
            _ffmpeg()
        except (ImportError, RuntimeError) as error:
            raise UserError(
                f"{given}, and {ending} needs imageio-ffmpeg, which is not installed or has no "
                "ffmpeg; run `pip install 'lagdyna[video]'`, or choose .gif"
            ) from error


@contextmanager
def filming(path: Path, dt: float, width: int | None = None) -> Iterator[Show]:
    """Write a film that plays in real time; the file is replaced as a whole.

    **Arguments:**

    - `path`: a file that ends in `.gif`, `.mp4` or `.webm`.
    - `dt`: seconds between two frames; some frames are left out if `dt` is short.
    - `width`: width of a GIF file in pixels; by default that of the frames.

    **Returns:** a context manager that gives a function; call it with each frame in turn, or
    with a function that renders it, which is called only for frames that are not left out.
    Without any frame, no GIF file is written.

    **Raises:** `UserError` if ffmpeg cannot write the film.
    """
    ending = path.suffix.lower()
    skip = max(1, round((_EVERY_GIF if ending == ".gif" else _EVERY_FILM) / dt))
    film = _gif(path, dt * skip, width) if ending == ".gif" else _film(path, dt * skip)
    with film as add:
        given = 0

        def show(frame: Frame | Callable[[], Frame]) -> None:
            nonlocal given
            if given % skip == 0:
                add(frame() if callable(frame) else frame)
            given += 1

        yield show


@contextmanager
def _gif(path: Path, dt: float, width: int | None) -> Iterator[Callable[[Frame], None]]:
    from PIL import Image

    images: list[Image.Image] = []

    def add(frame: Frame) -> None:
        image = Image.fromarray(frame)
        if width is not None:
            image = image.resize((width, round(width * image.height / image.width)))
        # 64 colours suffice for such drawings and take a third of the bytes.
        images.append(image.quantize(64, dither=Image.Dither.NONE))

    yield add
    if not images:
        return
    with replacing(path) as temporary:
        images[0].save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=images[1:],
            duration=round(1000 * dt),
            loop=0,
        )


def _ffmpeg() -> str:
    """Find the program ffmpeg."""
    import imageio_ffmpeg  # pyright: ignore[reportMissingImports]

    return imageio_ffmpeg.get_ffmpeg_exe()


@contextmanager
def _film(path: Path, dt: float) -> Iterator[Callable[[Frame], None]]:
    ffmpeg: subprocess.Popen[bytes] | None = None

    def started(file: Path, height: int, width: int) -> subprocess.Popen[bytes]:
        # imageio-ffmpeg's own writer forks, and JAX warns of forks because it has threads.
        command = [_ffmpeg(), "-y", "-loglevel", "error"]
        command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
        command += ["-r", repr(1 / dt), "-i", "-", "-an", "-pix_fmt", "yuv420p"]
        command += ["-vf", "scale=trunc(iw/2)*2:trunc(ih/2)*2"]  # the codecs want even sizes
        command += ["-c:v", *_CODECS[path.suffix.lower()], str(file)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)

    with replacing(path) as temporary:

        def add(frame: Frame) -> None:
            nonlocal ffmpeg
            if ffmpeg is None:  # now the size is known
                ffmpeg = started(temporary, *frame.shape[:2])
            assert ffmpeg.stdin is not None
            # After a broken pipe, ffmpeg's own message follows at the end.
            with suppress(BrokenPipeError):
                ffmpeg.stdin.write(np.ascontiguousarray(frame).data)

        output = b""
        try:
            yield add
        finally:
            if ffmpeg is not None:
                _, output = ffmpeg.communicate()
        if ffmpeg is None or ffmpeg.returncode != 0:
            # The first line has the cause, later lines only its consequences.
            why = output.decode(errors="replace").splitlines() or ["there were no frames"]
            raise UserError(f"ffmpeg could not write {str(path)!r}: {why[0]}")
