"""Compiled programs that are kept from one command to the next."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lagdyna.cli._cache import CACHE, clean, leave_cache, use_cache

JAX = "JAX_COMPILATION_CACHE_DIR"


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the cache, in a process where JAX has none yet."""
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    monkeypatch.setenv(JAX, "")  # so that it is restored
    monkeypatch.delenv(JAX)
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    return tmp_path / "cache"


def used() -> Path | None:
    use_cache()
    return Path(os.environ[JAX]) if JAX in os.environ else None


def test_programs_of_a_process_are_there_for_the_next(base: Path) -> None:
    directory = used()
    assert directory is not None
    assert directory.parent == base
    assert directory.stat().st_mode & 0o777 == 0o700
    program = "import jax, jax.numpy as jnp; print(jax.jit(lambda x: x * 3)(jnp.ones(2))[0])"
    for _ in range(2):
        before = {path.name for path in directory.iterdir()}
        subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    after = {path.name for path in directory.iterdir()}
    assert any(name.startswith("jit_") for name in after)
    assert after == before
    leave_cache()
    assert not list(directory.glob(".writer-*"))


def test_an_interrupted_process_deletes_what_it_may_have_been_writing(base: Path) -> None:
    directory = used()
    assert directory is not None
    whole, cut = directory / "jit_whole", directory / "jit_cut"
    for path, seconds in ((whole, 10), (cut, 20)):
        path.write_bytes(b"program")
        os.utime(path, (time.time() + seconds,) * 2)
    leave_cache(interrupted=True)
    assert [path.name for path in directory.iterdir()] == ["jit_whole"]


def test_it_can_be_switched_off_and_jax_s_own_is_kept(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE, "off")
    assert used() is None
    monkeypatch.setenv(CACHE, str(base))
    monkeypatch.setenv(JAX, "mine")
    assert used() == Path("mine")
    assert not base.exists()


def test_a_directory_that_others_can_write_to_is_not_used(base: Path) -> None:
    directory = used()
    assert directory is not None
    del os.environ[JAX]
    directory.chmod(0o777)
    assert used() is None
    directory.chmod(0o700)
    assert used() == directory


def test_a_cache_that_cannot_be_made_is_left_out(base: Path) -> None:
    base.write_text("a file")
    assert used() is None


def test_what_a_killed_process_may_have_half_written_is_deleted(tmp_path: Path) -> None:
    now = time.time()
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()

    def at(name: str, seconds: float) -> Path:
        path = tmp_path / name
        path.write_bytes(b"program")
        os.utime(path, (now + seconds, now + seconds))
        return path

    before, after = at("before", -100), at("after", -10)
    mine = at(f".writer-{os.getpid()}", -60)
    killed = at(f".writer-{ended}", -50)
    clean(tmp_path)
    assert before.exists()
    assert mine.exists()
    assert not after.exists()
    assert not killed.exists()
    old = at("old", -40 * 86_400)
    clean(tmp_path)
    assert not old.exists()
    assert before.exists()
