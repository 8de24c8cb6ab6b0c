"""Traced programs that are kept for the next process."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import PyTree

from lagdyna.parts import MLPConfig
from lagdyna.training import Trainer, TrainingState
from lagdyna.training._kept_programs import _PROGRAMS, KeptPrograms
from lagdyna.training._seeds import OneSeed

from ..small import MLP, REPLAYED, small_config
from .experience import explored

CONFIG = small_config(model=MLP, agent=REPLAYED, steps=20)
UPDATES = 2
TOP = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def training() -> TrainingState:
    """A state with experience, at the beginning of a training phase."""
    trainer = Trainer(CONFIG)
    return trainer.begin_phase(explored(trainer, trainer.init(), 20))


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Path]:
    """An empty directory of a process that has no programs yet."""
    (tmp_path / "cache").mkdir(mode=0o700)
    _PROGRAMS.clear()
    yield tmp_path / "cache"
    _PROGRAMS.clear()


@pytest.fixture
def set_option() -> Iterator[Callable[[str, object], None]]:
    """A function that sets an option of JAX until the end of the test."""
    before: dict[str, object] = {}

    def set_option(name: str, value: object) -> None:
        before.setdefault(name, getattr(jax.config, name))
        jax.config.update(name, value)

    yield set_option
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.fixture
def used(cache: Path, set_option: Callable[[str, object], None]) -> Path:
    """The directory as JAX's compilation cache."""
    set_option("jax_compilation_cache_dir", str(cache))
    return cache


def same(one: PyTree, other: PyTree) -> bool:
    """Whether all arrays are equal to the bit, or both are not a number."""
    pairs = zip(
        *(jax.tree.leaves(eqx.filter(x, eqx.is_array)) for x in (one, other)), strict=True
    )
    return all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)


def test_kept_programs_repeat_the_trainer_s_own_to_the_bit(
    training: TrainingState,
    used: Path,
    monkeypatch: pytest.MonkeyPatch,
    compilations: Callable[[], int],
) -> None:
    trainer, first, cache = Trainer(CONFIG), jnp.asarray(0), used
    training = OneSeed(trainer).place(training)
    fitted = trainer.fit(training, first, UPDATES)
    own = fitted, trainer.improve(fitted[0], first, UPDATES)

    def learn(programs: KeptPrograms) -> object:
        fitted = programs("fit", training, first, UPDATES)
        return fitted, programs("improve", fitted[0], first, UPDATES)

    assert same(learn(KeptPrograms(trainer, cache)), own)
    files = sorted(cache.glob("traced-*"))
    assert len(files) == 2

    # They return arrays on a device, for which the next phase compiles nothing again.
    programs = KeptPrograms(trainer, cache)
    after, _ = programs("fit", training, first, UPDATES)
    before = compilations()
    programs("fit", after, first, UPDATES)
    trainer.improve(after, first, UPDATES)
    assert compilations() == before

    # They come from the files in the next process, for any seed: nothing is traced again.
    traced: list[str] = []
    for name in ("fit", "improve"):
        direct = getattr(Trainer, name)

        def noted(*args: object, name: str = name, direct: object = direct) -> object:
            traced.append(name)
            return direct(*args)  # pyright: ignore[reportCallIssue]

        monkeypatch.setattr(Trainer, name, noted)
    other = Trainer(dataclasses.replace(CONFIG, seed=7))
    _PROGRAMS.clear()
    assert same(learn(KeptPrograms(other, cache)), own)
    assert not traced

    # A damaged file is no program, nor is one of other options.
    for path in files:
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert same(learn(KeptPrograms(trainer, cache)), own)  # this process has read them
    assert not traced
    _PROGRAMS.clear()
    assert same(learn(KeptPrograms(trainer, cache)), own)
    assert traced == ["fit", "improve"]
    assert sorted(cache.glob("traced-*")) == files
    KeptPrograms(trainer, cache)("fit", training, jnp.asarray(1), UPDATES)
    assert traced == ["fit", "improve"]
    KeptPrograms(trainer, cache)("fit", training, first, UPDATES + 1)
    assert traced == ["fit", "improve", "fit"]


def test_a_program_that_cannot_be_exported_runs_all_the_same(
    training: TrainingState, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(self: Trainer, training: TrainingState, chunk: object, updates: int) -> object:
        loss = jax.pure_callback(lambda: jnp.float32(updates), jnp.float32(0))
        return training, {"loss": loss}

    monkeypatch.setattr(Trainer, "fit", fit)
    programs = KeptPrograms(Trainer(CONFIG), cache)
    after, metrics = programs("fit", training, jnp.asarray(0), UPDATES)
    assert metrics["loss"] == UPDATES
    assert same(after, training)
    assert not list(cache.iterdir())


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="has no users")
def test_they_are_kept_where_jax_keeps_its_own_if_no_one_else_can_write(used: Path) -> None:
    assert KeptPrograms.of(Trainer(CONFIG)) is not None
    used.chmod(0o777)
    assert KeptPrograms.of(Trainer(CONFIG)) is None
    used.rmdir()
    assert KeptPrograms.of(Trainer(CONFIG)) is None


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("jax_compilation_cache_dir", None),
        ("jax_enable_compilation_cache", False),
        ("jax_debug_nans", True),
        ("jax_disable_jit", True),
    ],
)
def test_they_are_not_kept_without_a_cache_or_when_debugging(
    used: Path, set_option: Callable[[str, object], None], option: str, value: object
) -> None:
    trainer = Trainer(CONFIG)
    assert KeptPrograms.of(trainer) is not None
    set_option(option, value)
    assert KeptPrograms.of(trainer) is None


def test_they_are_not_kept_without_flatbuffers(
    used: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lagdyna.training._kept_programs.find_spec", lambda name: None)
    assert KeptPrograms.of(Trainer(CONFIG)) is None


def test_parts_from_outside_are_not_kept(used: Path) -> None:
    assert KeptPrograms.of(Trainer(CONFIG, reward=lambda *_: jnp.zeros(()))) is None

    class Mine(MLPConfig, frozen=True, kw_only=True):
        pass

    Mine.__module__ = "mine"
    trainer = Trainer(dataclasses.replace(CONFIG, model=Mine(hidden=(8,))))
    assert KeptPrograms.of(trainer) is None


def test_an_option_of_jax_is_another_program(cache: Path) -> None:
    def key() -> str:
        return KeptPrograms(Trainer(CONFIG), cache)._key("fit", {}, UPDATES)

    with jax.default_matmul_precision("float32"):
        precise = key()
    assert precise != key()


def test_another_process_finds_them(cache: Path) -> None:
    arrays = {"q": jnp.zeros(2)}
    key = KeptPrograms(Trainer(CONFIG), cache)._key("fit", arrays, UPDATES)
    code = (
        "import jax.numpy as jnp; from pathlib import Path\n"
        "from tests.training.test_kept_programs import CONFIG, KeptPrograms, Trainer\n"
        f"programs = KeptPrograms(Trainer(CONFIG), Path({str(cache)!r}))\n"
        f"print(programs._key('fit', {{'q': jnp.zeros(2)}}, {UPDATES}))"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=True)
    assert result.stdout.split()[-1] == key
