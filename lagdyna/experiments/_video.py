"""Moving pictures, written while they are drawn: an episode's are too many to keep."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ..tasks import GymnasiumTask, TaskSpec
from ._errors import UserError
from ._files import replacing

Show = Callable[[UInt8[np.ndarray, "height width 3"]], None]

# What ffmpeg is told for each ending; GIF files are Pillow's.
_CODECS: dict[str, tuple[str, ...]] = {
    ".mp4": ("libx264", "-crf", "20"),
    ".webm": ("libvpx-vp9", "-crf", "30", "-b:v", "0", "-deadline", "realtime"),
}
_EVERY_GIF = 0.04  # s: viewers show at most about 50 frames a second, and count hundredths
_EVERY_FILM = 0.02


def check_video(path: Path) -> None:
    """Refuses, before anything is run, a file that could not be written.

    **Raises:** `UserError` for an unknown ending, a file that exists, a directory that does
    not or is not writable, or if what the ending needs is not installed.
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
                "ffmpeg; `pip install 'lagdyna[video]'`, or .gif, which needs nothing more"
            ) from error


def check_draws(task: TaskSpec) -> None:
    """Refuses a task whose environment draws no pictures.

    **Raises:** `UserError` if that is so.
    """
    env = GymnasiumTask(task)
    modes = tuple(env.render_modes)
    env.close()
    if "rgb_array" not in modes:
        raise UserError(
            f"`video` was given, and {task.env_id!r} draws nothing: its render modes are "
            f"{list(modes)}; 'rgb_array' is needed"
        )


@contextmanager
def filming(path: Path, dt: float, width: int | None = None) -> Iterator[Show]:
    """A function to be given the pictures of a film in turn, which is then at `path`.

    It runs in real time and is written whole or not at all.

    **Arguments:**

    - `path`: its ending, one of `.gif`, `.mp4` and `.webm`, says what it is.
    - `dt`: seconds between two pictures; not all are kept if they are many.
    - `width`: in pixels, of a GIF file; that of the pictures by default.

    **Raises:** `UserError` if ffmpeg cannot write it. Without pictures there is no GIF file.
    """
    ending = path.suffix.lower()
    skip = max(1, round((_EVERY_GIF if ending == ".gif" else _EVERY_FILM) / dt))
    film = _gif(path, dt * skip, width) if ending == ".gif" else _film(path, dt * skip)
    with film as add:
        given = 0

        def show(picture: UInt8[np.ndarray, "height width 3"]) -> None:
            nonlocal given
            if given % skip == 0:
                add(picture)
            given += 1

        yield show


@contextmanager
def _gif(path: Path, dt: float, width: int | None) -> Iterator[Show]:
    images: list[Image.Image] = []

    def add(picture: UInt8[np.ndarray, "height width 3"]) -> None:
        image = Image.fromarray(picture)
        if width is not None:
            image = image.resize((width, round(width * image.height / image.width)))
        # 64 colours are plenty for such drawings, and a third of the bytes.
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
    """The program that codes films."""
    import imageio_ffmpeg  # pyright: ignore[reportMissingImports]

    return imageio_ffmpeg.get_ffmpeg_exe()


@contextmanager
def _film(path: Path, dt: float) -> Iterator[Show]:
    ffmpeg: subprocess.Popen[bytes] | None = None

    def begun(file: Path, height: int, width: int) -> subprocess.Popen[bytes]:
        # imageio-ffmpeg's own writer forks in a way of which JAX, with its threads, warns.
        command = [_ffmpeg(), "-y", "-loglevel", "error"]
        command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
        command += ["-r", repr(1 / dt), "-i", "-", "-an", "-pix_fmt", "yuv420p"]
        command += ["-vf", "scale=trunc(iw/2)*2:trunc(ih/2)*2"]  # the codecs want even sizes
        command += ["-c:v", *_CODECS[path.suffix.lower()], str(file)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)

    with replacing(path) as temporary:

        def add(picture: UInt8[np.ndarray, "height width 3"]) -> None:
            nonlocal ffmpeg
            if ffmpeg is None:  # now the size is known
                ffmpeg = begun(temporary, *picture.shape[:2])
            assert ffmpeg.stdin is not None
            # A broken pipe is ffmpeg's death, of which it has more to say at the end.
            with suppress(BrokenPipeError):
                ffmpeg.stdin.write(np.ascontiguousarray(picture).data)

        said = b""
        try:
            yield add
        finally:
            if ffmpeg is not None:
                _, said = ffmpeg.communicate()
        if ffmpeg is None or ffmpeg.returncode != 0:
            # What follows the first line follows from it.
            why = said.decode(errors="replace").splitlines() or ["it was given no picture"]
            raise UserError(f"ffmpeg could not write {str(path)!r}: {why[0]}")
