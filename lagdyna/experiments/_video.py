"""Moving pictures, written while they are drawn: an episode's are too many to keep."""

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ..tasks import GymnasiumTask, TaskSpec
from ._errors import UserError
from ._files import replacing

Show = Callable[[UInt8[np.ndarray, "height width 3"]], None]

# What ffmpeg is told for each ending; GIF files are Pillow's.
_CODECS: dict[str, dict[str, Any]] = {
    ".mp4": {"codec": "libx264", "quality": 8},
    ".webm": {
        "codec": "libvpx-vp9",
        "quality": None,
        "output_params": ["-crf", "30", "-b:v", "0", "-deadline", "realtime"],
    },
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
            import imageio_ffmpeg

            imageio_ffmpeg.get_ffmpeg_exe()
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


@contextmanager
def _film(path: Path, dt: float) -> Iterator[Show]:
    import imageio_ffmpeg

    writer: Generator[None, Any, None] | None = None
    with replacing(path) as temporary:

        def begun(height: int, width: int) -> Generator[None, Any, None]:
            options: dict[str, Any] = {
                "fps": 1 / dt,
                "macro_block_size": 2,  # what the codecs need, not the default's 16
                "ffmpeg_log_level": "error",
                **_CODECS[path.suffix.lower()],
            }
            started = imageio_ffmpeg.write_frames(str(temporary), (width, height), **options)
            started.send(None)
            return started

        def add(picture: UInt8[np.ndarray, "height width 3"]) -> None:
            nonlocal writer
            try:
                if writer is None:  # now the size is known
                    writer = begun(*picture.shape[:2])
                writer.send(np.ascontiguousarray(picture))
            except OSError as error:
                raise UserError(f"ffmpeg could not write {str(path)!r}: {error}") from error

        try:
            yield add
        finally:
            if writer is not None:
                writer.close()  # and wait for ffmpeg
        if temporary.stat().st_size == 0:
            raise UserError(f"ffmpeg wrote nothing into {str(path)!r}")
