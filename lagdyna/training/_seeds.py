"""Programs of a trainer, for one seed or for many as one program."""

import abc
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Bool, PyTree, Shaped, UInt

from .._errors import UserError
from ..parts import available_memory
from ..statistics import interquartile_mean
from ._kept_programs import KeptPrograms, ProgramName
from ._state import TrainingState
from ._trainer import Trainer, short_seed

Active = Bool[np.ndarray, " seeds"]
Numbers = Shaped[np.ndarray, " seeds"]
Record = dict[str, Any]


def indices(which: Active) -> list[int]:
    """List the indices of the marked seeds."""
    return [int(i) for i in np.flatnonzero(which)]


class AbstractSeeds(abc.ABC):
    """Seeds of a run, and how the trainer's programs are called for them.

    Inputs and outputs per seed are NumPy arrays with a leading axis of seeds, so the caller
    need not distinguish one seed from many. A `TrainingState` is passed as `start` made it.

    **Attributes:** `trainer`; `seeds`, in the order of that axis.
    """

    trainer: Trainer
    seeds: tuple[int, ...]

    @abc.abstractmethod
    def start(self) -> TrainingState:
        """Create the state of runs that have not begun.

        **Raises:** `UserError` if the learner, or so many seeds, do not fit into memory.
        """

    @abc.abstractmethod
    def update(
        self,
        program: Callable[..., Any],
        training: TrainingState,
        active: Active,
        each: tuple[PyTree, ...] = (),
        shared: tuple[PyTree, ...] = (),
    ) -> tuple[TrainingState, PyTree]:
        """Apply a program to the training states of the active seeds.

        **Arguments:**

        - `program`: a compiled function of `(training, *each, *shared)` that returns a training
            state, or a pair of one and further results.
        - `active`: the seeds whose states change; the others stay.
        - `each`, `shared`: arguments per seed, and arguments of all seeds.

        **Returns:** the training state, and the further results; those of inactive seeds are
        meaningless.
        """

    def learn(
        self,
        name: ProgramName,
        training: TrainingState,
        active: Active,
        chunk: int,
        updates: int,
    ) -> tuple[TrainingState, PyTree]:
        """Apply a chunk of updates by `trainer.fit` or `trainer.improve`."""
        shared = (jnp.asarray(chunk), updates)
        return self.update(getattr(self.trainer, name), training, active, shared=shared)

    @abc.abstractmethod
    def query(
        self,
        program: Callable[..., Any],
        training: TrainingState,
        each: tuple[PyTree, ...] = (),
        shared: tuple[PyTree, ...] = (),
    ) -> PyTree:
        """Evaluate a program for each seed; nothing changes."""

    @abc.abstractmethod
    def to_numpy(self, array: Array) -> Numbers:
        """Convert an array such as `training.env_steps`, with the leading axis."""

    @abc.abstractmethod
    def one(self, training: TrainingState, index: int) -> TrainingState:
        """Select the training state of one seed by its index."""

    @abc.abstractmethod
    def place(self, training: TrainingState) -> TrainingState:
        """Place a training state that is new, or was read from a file, on the devices."""

    @abc.abstractmethod
    def evaluation(self, evaluations: Sequence[Record]) -> Record:
        """Merge the evaluations of several seeds."""

    @abc.abstractmethod
    def record(self, records: Sequence[Record]) -> Record:
        """Merge the metrics of several seeds."""


class OneSeed(AbstractSeeds):
    """One seed: the programs as they are.

    **Arguments:** `trainer`, whose config has the seed.
    """

    def __init__(self, trainer: Trainer):
        self.trainer = trainer
        self.seeds = (trainer.config.seed,)
        self._kept = KeptPrograms.of(trainer)

    def start(self) -> TrainingState:
        return self.place(self.trainer.init())

    def update(
        self,
        program: Callable[..., Any],
        training: TrainingState,
        active: Active,
        each: tuple[PyTree, ...] = (),
        shared: tuple[PyTree, ...] = (),
    ) -> tuple[TrainingState, PyTree]:
        assert bool(active[0])
        training, more = _pair(program(training, *_only(each), *shared))
        return training, _with_axis(more)

    def learn(
        self,
        name: ProgramName,
        training: TrainingState,
        active: Active,
        chunk: int,
        updates: int,
    ) -> tuple[TrainingState, PyTree]:
        if self._kept is None:
            return super().learn(name, training, active, chunk, updates)
        training, metrics = self._kept(name, training, jnp.asarray(chunk), updates)
        return training, _with_axis(metrics)

    def query(
        self,
        program: Callable[..., Any],
        training: TrainingState,
        each: tuple[PyTree, ...] = (),
        shared: tuple[PyTree, ...] = (),
    ) -> PyTree:
        return _with_axis(program(training, *_only(each), *shared))

    def to_numpy(self, array: Array) -> Numbers:
        return np.asarray(array)[None]

    def one(self, training: TrainingState, index: int) -> TrainingState:
        return training

    def place(self, training: TrainingState) -> TrainingState:
        if self._kept is None:
            return training
        # Kept programs return arrays that are committed to a device. Programs of the trainer
        # would be compiled again for those, unless all are from the beginning.
        arrays, rest = eqx.partition(training, eqx.is_array)
        return eqx.combine(jax.device_put(arrays, jax.local_devices()[0]), rest)

    def evaluation(self, evaluations: Sequence[Record]) -> Record:
        return evaluations[0]

    def record(self, records: Sequence[Record]) -> Record:
        return records[0]


class ManySeeds(AbstractSeeds):
    """The trainer's programs, mapped over stacked trainings that are spread over the devices.

    Each array of a training has a leading axis of seeds, and is in equal parts on as many of
    the devices as divide the number of seeds. Nothing passes between devices.

    **Arguments:**

    - `trainer`: whose programs; the seed in its config is not looked at.
    - `seeds`: at least one.
    """

    def __init__(self, trainer: Trainer, seeds: Sequence[int]):
        self.trainer = trainer
        self.seeds = tuple(seeds)
        devices = jax.local_devices()
        most = min(len(devices), len(seeds))
        count = max(k for k in range(1, most + 1) if len(seeds) % k == 0)
        self.mesh = jax.make_mesh(
            (count,), (_AXIS,), axis_types=(AxisType.Auto,), devices=devices[:count]
        )
        self._sharding = NamedSharding(self.mesh, PartitionSpec(_AXIS))

    def start(self) -> TrainingState:
        self.trainer.check_sizes()
        self._check_memory()
        shape = eqx.filter_eval_shape(self.trainer.first, short_seed(0))
        rest = eqx.filter(shape, lambda leaf: not isinstance(leaf, jax.ShapeDtypeStruct))
        seeds = jnp.stack([short_seed(seed) for seed in self.seeds])
        seeds = jax.device_put(seeds, self._sharding)
        return eqx.combine(_first(self.trainer, self.mesh, seeds), rest)

    def update(
        self,
        program: Callable[..., Any],
        training: TrainingState,
        active: Active,
        each: tuple[PyTree, ...] = (),
        shared: tuple[PyTree, ...] = (),
    ) -> tuple[TrainingState, PyTree]:
        marked: Any = active
        training, more = _update(program, self.mesh, training, marked, each, shared)
        return training, jax.tree.map(np.asarray, more)

    def query(
        self,
        program: Callable[..., Any],
        training: TrainingState,
        each: tuple[PyTree, ...] = (),
        shared: tuple[PyTree, ...] = (),
    ) -> PyTree:
        found = _query(program, self.mesh, training, each, shared)
        return jax.tree.map(np.asarray, found)

    def to_numpy(self, array: Array) -> Numbers:
        return np.asarray(array)

    def one(self, training: TrainingState, index: int) -> TrainingState:
        arrays, rest = eqx.partition(training, eqx.is_array)
        # `jnp.asarray` would compile a copy for each shape.
        picked = jax.tree.map(lambda leaf: jax.device_put(np.asarray(leaf)[index]), arrays)
        return eqx.combine(picked, rest)

    def place(self, training: TrainingState) -> TrainingState:
        arrays, rest = eqx.partition(training, eqx.is_array)
        return eqx.combine(jax.device_put(arrays, self._sharding), rest)

    def evaluation(self, evaluations: Sequence[Record]) -> Record:
        returns = np.asarray([each["return_mean"] for each in evaluations])
        return {
            "env_steps": max(each["env_steps"] for each in evaluations),
            "return_mean": float(returns.mean()),
            "return_std": float(returns.std()),
            "interquartile_mean": interquartile_mean(returns),
            "returns": returns.tolist(),
        }

    def record(self, records: Sequence[Record]) -> Record:
        together: Record = {}
        for name, first in records[0].items():
            values = [record[name] for record in records]
            if name in ("round", "env_steps"):
                together[name] = max(values)
            elif name in ("episodes", "skipped_updates"):
                together[name] = sum(values)
            elif isinstance(first, float):
                together[name] = float(np.mean(values))
        returns = np.asarray([record["eval_return_mean"] for record in records])
        together["interquartile_mean"] = interquartile_mean(returns)
        return together

    def _check_memory(self) -> None:
        shapes = eqx.filter_eval_shape(self.trainer.first, short_seed(0))
        leaves = [x for x in jax.tree.leaves(shapes) if isinstance(x, jax.ShapeDtypeStruct)]
        each = _COPIES * sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)
        # What JAX calls devices of a CPU share the memory of its host.
        shares = 1 if jax.default_backend() == "cpu" else self.mesh.size
        free = shares * available_memory()
        if each * len(self.seeds) <= free:
            return
        raise UserError(
            f"`seeds` was {len(self.seeds)}: each takes {each / 1e6:.1f} MB, {_COPIES} copies "
            "of its training state while that is updated, "
            f"{each * len(self.seeds) / 1e9:.1f} GB in all, and {free / 1e9:.1f} GB are free; "
            f"at most {free // each} are accepted"
        )


_AXIS = "seeds"
# Copies of a training state while a program runs: input, output and two for intermediate
# results; a filter's update alone holds three of its matrices.
_COPIES = 4


def _pair(result: Any) -> tuple[TrainingState, PyTree]:
    """Split the result of a program into the training state and further results."""
    return (result, ()) if isinstance(result, TrainingState) else result


def _only(each: tuple[PyTree, ...]) -> tuple[PyTree, ...]:
    return jax.tree.map(lambda leaf: np.asarray(leaf)[0], each)


def _with_axis(tree: PyTree) -> PyTree:
    return jax.tree.map(lambda leaf: np.asarray(leaf)[None], tree)


@eqx.filter_jit
def _first(trainer: Trainer, mesh: Mesh, seeds: UInt[Array, " seeds"]) -> PyTree:
    def arrays(seed: UInt[Array, ""]) -> PyTree:
        return eqx.filter(trainer.first(seed), eqx.is_array)

    return _spread(arrays, mesh)(seeds)


@eqx.filter_jit
def _update(
    program: Callable[..., Any],
    mesh: Mesh,
    training: TrainingState,
    active: Bool[Array, " seeds"],
    each: tuple[PyTree, ...],
    shared: tuple[PyTree, ...],
) -> tuple[TrainingState, PyTree]:
    stacked, rest = eqx.partition(training, eqx.is_array)

    def one(args: tuple[PyTree, ...], common: PyTree) -> tuple[PyTree, PyTree]:
        before, active, each = args
        program, shared = eqx.combine(common, same)
        after, more = _pair(program(eqx.combine(before, rest), *each, *shared))
        kept = jax.tree.map(
            lambda new, old: jnp.where(active, new, old),
            eqx.filter(after, eqx.is_array),
            before,
        )
        return kept, more

    common, same = eqx.partition((program, shared), eqx.is_array)
    kept, more = _spread(one, mesh, common)((stacked, active, each))
    return eqx.combine(kept, rest), more


@eqx.filter_jit
def _query(
    program: Callable[..., Any],
    mesh: Mesh,
    training: TrainingState,
    each: tuple[PyTree, ...],
    shared: tuple[PyTree, ...],
) -> PyTree:
    stacked, rest = eqx.partition(training, eqx.is_array)

    def one(args: tuple[PyTree, ...], common: PyTree) -> PyTree:
        arrays, each = args
        program, shared = eqx.combine(common, same)
        return program(eqx.combine(arrays, rest), *each, *shared)

    common, same = eqx.partition((program, shared), eqx.is_array)
    return _spread(one, mesh, common)((stacked, each))


def _spread(function: Callable[..., Any], mesh: Mesh, *common: PyTree) -> Callable[..., Any]:
    """Map `function(stacked, *common)` over the seeds, each on its own device."""

    def local(stacked: PyTree, *common: PyTree) -> PyTree:
        return jax.vmap(lambda entry: function(entry, *common))(stacked)

    # Left to the compiler alone, solvers and factorisations would be gathered on each device.
    # Diffrax's loops do not tell what varies between devices, so that is not checked.
    here, everywhere = PartitionSpec(_AXIS), PartitionSpec()
    mapped = jax.shard_map(
        local,
        mesh=mesh,
        in_specs=(here, *(everywhere for _ in common)),
        out_specs=here,
        check_vma=False,
    )
    return lambda stacked: mapped(stacked, *common)
