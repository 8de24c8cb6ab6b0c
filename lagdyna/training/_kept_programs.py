"""Traced programs that are kept from one process to the next."""

import dataclasses
import functools
import hashlib
import os
import platform
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import equinox as eqx
import jax
from jax.export import Exported, deserialize, export
from jaxtyping import Array, PyTree

from .._errors import UserError
from .._private_directory import is_private
from ..agents import Metrics
from ..options import Part, config_to_toml
from ..results import replacing
from ._state import TrainingState
from ._trainer import Trainer

ProgramName = Literal["fit", "improve"]


class KeptPrograms:
    """The large programs of a trainer, kept as StableHLO beside JAX's compiled programs.

    JAX keeps compiled programs, and must trace and lower a program before it can find one.
    That takes longer than reading it. So the traced program is kept as well, under a digest of
    all that it depends on. Its results are those of the trainer's own, to the bit.

    **Arguments:**

    - `trainer`: whose programs, one for which `KeptPrograms.of` is not `None`.
    - `directory`: of JAX's persistent compilation cache.
    """

    def __init__(self, trainer: Trainer, directory: Path):
        self._trainer = trainer
        self._directory = directory

    @staticmethod
    def of(trainer: Trainer) -> "KeptPrograms | None":
        """Create those of a trainer, or `None` where a digest would not tell programs apart.

        That is so for parts, equations and rewards from outside of lagdyna, for debugging
        options of JAX, and where no cache is in use or others can write to it.
        """
        values = jax.config.values
        directory = values.get("jax_compilation_cache_dir")
        if not directory or not values.get("jax_enable_compilation_cache"):
            return None
        # JAX writes traced programs with flatbuffers, which it does not require.
        if any(values.get(option) for option in _DEBUGGING) or not find_spec("flatbuffers"):
            return None
        try:
            private = is_private(Path(directory))
        except OSError:
            return None
        plant = trainer.plant
        outside = (*trainer.given, plant.known, plant.residual, plant.simulator)
        if trainer.suite is None:
            outside = (*outside, plant.reward)
        if not private or any(x is not None for x in outside):
            return None
        return KeptPrograms(trainer, Path(directory)) if _is_own(trainer.config) else None

    def __call__(
        self, name: ProgramName, training: TrainingState, chunk: Array, updates: int
    ) -> tuple[TrainingState, Metrics]:
        """Apply `trainer.fit` or `trainer.improve`, traced here or read from a file."""
        arrays, rest = eqx.partition(training, eqx.is_array)
        key = self._key(name, arrays, updates)
        if key not in _PROGRAMS:
            traced = _read(self._directory / f"traced-{key}")
            if traced is None:
                traced = self._trace(name, training, chunk, updates)
                _write(self._directory / f"traced-{key}", traced)
            while len(_PROGRAMS) >= _MOST:
                _PROGRAMS.pop(next(iter(_PROGRAMS)))
            _PROGRAMS[key] = traced if traced is None else jax.jit(traced.call)
        program = _PROGRAMS[key]
        if program is None:
            return getattr(self._trainer, name)(training, chunk, updates)
        changed, metrics = program(*jax.tree.leaves((arrays, chunk)))
        after = jax.tree.unflatten(jax.tree.structure(arrays), changed)
        return eqx.combine(after, rest), metrics

    def _key(self, name: ProgramName, arrays: PyTree, updates: int) -> str:
        """Digest all that a traced program depends on."""
        # Whatever else the tree contains follows from the config and the code.
        shapes = [
            f"{jax.tree_util.keystr(path)} {x.dtype}{x.shape}{x.weak_type}"
            for path, x in jax.tree.leaves_with_path(arrays)
        ]
        parts = (self._settings, name, str(updates), *shapes)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @functools.cached_property
    def _settings(self) -> str:
        config = dataclasses.replace(self._trainer.config, seed=0)
        # Read one by one, since a context manager may have set some in this thread only.
        names = sorted(name for name in jax.config.values if "cache" not in name)
        options = repr([(name, getattr(jax.config, name, None)) for name in names])
        backend = jax.default_backend()
        return "\n".join((config_to_toml(config), backend, options, _code()))

    def _trace(
        self, name: ProgramName, training: TrainingState, chunk: Array, updates: int
    ) -> Exported | None:
        """Trace a program of the arrays alone; `None` if it cannot be exported."""
        before, rest = eqx.partition(training, eqx.is_array)
        leaves, structure = jax.tree.flatten((before, chunk))

        def program(*leaves: Array) -> tuple[list[Array], Metrics]:
            arrays, chunk = jax.tree.unflatten(structure, leaves)
            direct = getattr(self._trainer, name)
            after, metrics = direct(eqx.combine(arrays, rest), chunk, updates)
            if not _only_arrays_differ(after, training):
                raise ValueError("more than the arrays of the training state changes")
            return jax.tree.leaves(eqx.filter(after, eqx.is_array)), metrics

        try:
            return export(jax.jit(program, keep_unused=True))(*leaves)
        except Exception:  # such as a host callback; the program itself raises what is wrong
            return None


def _only_arrays_differ(one: TrainingState, other: TrainingState) -> bool:
    def blank(training: TrainingState) -> PyTree:
        return jax.tree.map(lambda x: None if eqx.is_array(x) else x, training)

    alike = jax.tree.structure(one) == jax.tree.structure(other)
    return alike and bool(eqx.tree_equal(blank(one), blank(other)))


def _read(path: Path) -> Exported | None:
    """Read a traced program; `None` if there is none, or it is damaged."""
    try:
        content = path.read_bytes()
        found, program = content[:_DIGEST], content[_DIGEST:]
        if hashlib.sha256(program).digest() != found:
            return None
        os.utime(path)  # the oldest are deleted
        return deserialize(bytearray(program))
    except Exception:  # whatever a damaged file may cause: it is traced again
        return None


def _write(path: Path, traced: Exported | None) -> None:
    """Write a traced program, if there is one and it can be written."""
    if traced is None:
        return
    with suppress(ValueError, UserError):  # a type that has no serialisation, a full disk
        program = bytes(traced.serialize())
        with replacing(path) as temporary:
            temporary.write_bytes(hashlib.sha256(program).digest() + program)


_DIGEST = hashlib.sha256().digest_size


def _is_own(config: Any) -> bool:
    """Whether a config and all of its parts are classes of lagdyna itself."""
    if config is None or isinstance(config, str | int | float):
        return True
    if isinstance(config, tuple):
        return all(map(_is_own, config))
    if isinstance(config, Mapping):
        return all(map(_is_own, config.values()))
    if not type(config).__module__.startswith("lagdyna."):
        return False
    if dataclasses.is_dataclass(config):
        return all(_is_own(getattr(config, each.name)) for each in dataclasses.fields(config))
    return isinstance(config, Part) and all(
        _is_own(getattr(config, name)) for name in config.__struct_fields__
    )


@functools.cache
def _code() -> str:
    """Digest the code of lagdyna and the versions of what it uses."""
    digest = hashlib.sha256()
    package = Path(__file__).parents[1]
    for path in sorted(package.rglob("*.py")):
        digest.update(str(path.relative_to(package)).encode())
        digest.update(path.read_bytes())
    for name in _PACKAGES:
        digest.update(f"{name} {version(name)}".encode())
    digest.update(platform.python_version().encode())
    return digest.hexdigest()


_PACKAGES = ("jax", "jaxlib", "equinox", "diffrax", "lineax", "optimistix", "optax", "numpy")
_DEBUGGING = ("jax_debug_nans", "jax_debug_infs", "jax_disable_jit", "jax_enable_checks")

# Programs of this process, so that its runs of the same sizes compile once. `None` is one that
# cannot be exported.
_PROGRAMS: dict[str, Callable[..., tuple[list[Array], Metrics]] | None] = {}
_MOST = 64
