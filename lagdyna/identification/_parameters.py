"""Parameters of a known system in the report of a fit."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, PyTree

from ..learners import (
    FEW_WEIGHTS,
    FrozenLoss,
    Parametrisation,
    jacobian_factor,
    physical,
    received,
)
from ..mechanics import Parameter, physical_parameters
from ..parts import SolverConfig
from ..simulate import LearnedModel
from ..systems import RobotModel
from ._evaluation import Report, finite
from ._identifiability import Direction, Spread, directions_of, spread_of
from ._problem import FitProblem, some_rows
from ._state import FitState, parametrisation, partition_learned

_ROWS = 8192  # of the training data
_BLOCKS = 64  # of consecutive rows, whose errors may be correlated
_MOVED = 0.02  # relative change along a direction that was not held
_VANISHED = 1e-2  # of its start, of a parameter that tends to 0


def parameter_report(
    problem: FitProblem, state: FitState
) -> tuple[list[dict[str, Any]], Report | None, list[str]]:
    """Describe the parameters of a known system after a fit.

    **Returns:** a line for each array: its name, its start, its fitted value, and for each
    number of it the 95 % interval, `None` where the data do not tell it; what identifies them,
    `None` if there are too many parameters; and sentences for the notes.
    """
    model = LearnedModel(state.chosen)
    before = {each.name: each.value for each in physical_parameters(problem.plant.known)}
    after = physical_parameters(model.system)
    if isinstance(model.system.lagrangian, RobotModel):
        after = [each for each in after if not _of_links(each.name)]
    table = {
        each.name: {
            "name": each.name,
            "start": before[each.name].tolist(),
            "fitted": each.value.tolist(),
            "learned": False,
            "interval": None,
        }
        for each in after
    }
    notes = [
        f"not physical: {text}; check units, lengths and `model.fixed`"
        for text in model.system.lagrangian.warnings()
    ]
    found = (
        None if isinstance(model.system.lagrangian, RobotModel) else _identified(problem, state)
    )
    if found is None:
        fixed = problem.config.model.fixed_parameters()
        for name, line in table.items():
            line["learned"] = not any(f".{each}." in f".{name}." for each in fixed)
        return [*table.values()], None, notes
    learned, start, spread = found
    numbers = _Numbers(learned, start)
    low, high = numbers.interval(spread)
    position = 0
    for each in learned:
        size = each.value.size
        some = slice(position, position + size)
        position += size
        ends = [
            [finite(float(a)), finite(float(b))] if known else None
            for a, b, known in zip(low[some], high[some], spread.known[some], strict=True)
        ]
        line = table[_in_model(each.name)]
        line["learned"] = True
        line["interval"] = ends if each.value.ndim else ends[0]
    directions = directions_of(spread.unknown, numbers.short_names)
    notes = [*(numbers.note(each) for each in directions), *notes]
    report = {
        "singular_values": [finite(float(x)) for x in spread.singular],
        "undetermined": [each._asdict() for each in directions],
        "level": 0.95,
        "degrees_of_freedom": spread.degrees,
    }
    return [*table.values()], report, notes


def _of_links(name: str) -> bool:
    """Whether a parameter is that of a robot's links, which have a table of their own."""
    return name == "lagrangian.inertia"


class _Numbers:
    """Numbers in the learned parameters, one after the other."""

    def __init__(self, learned: list[Parameter], start: list[Parameter]):
        self.names = [name for each in learned for name in _entries(each)]
        self.value, self.start = (
            np.concatenate([np.ravel(np.asarray(each.value, np.float64)) for each in some])
            for some in (learned, start)
        )
        self.multiplies = np.concatenate(
            [np.full(each.value.size, each.positive or each.converted) for each in learned]
        )

    @property
    def short_names(self) -> list[str]:
        """Names without their part of the system, if they are still different."""
        short = [name.partition(".")[2] or name for name in self.names]
        return short if len(set(short)) == len(short) else self.names

    @property
    def unit(self) -> np.ndarray:
        """Unit of the relative change of each number."""
        largest = np.maximum(np.abs(self.value), np.abs(self.start))
        unit = np.where(self.multiplies, np.abs(self.value), largest)
        return np.where(unit > 0, unit, 1.0)

    def interval(self, spread: Spread) -> tuple[np.ndarray, np.ndarray]:
        """Compute the ends of the intervals; those of positive numbers are positive."""
        half = spread.quantile * spread.deviation
        with np.errstate(over="ignore"):
            factor = np.exp(half)
        low = np.where(self.multiplies, self.value / factor, self.value - half * self.unit)
        high = np.where(self.multiplies, self.value * factor, self.value + half * self.unit)
        return low, high

    def note(self, direction: Direction) -> str:
        """Say what became of a direction that the data do not tell."""
        names = self.short_names
        inside = [names.index(name) for name in direction.parts]
        if len(inside) == 1 and self.multiplies[inside[0]]:
            (i,) = inside
            if self.value[i] < _VANISHED * self.start[i]:
                return (
                    f"`{names[i]}` tends to 0, from {self.start[i]:.3g} to "
                    f"{self.value[i]:.3g}: the data show none of it"
                )
        with np.errstate(divide="ignore", invalid="ignore"):
            moved = np.where(
                self.multiplies,
                np.log(self.value / self.start),
                (self.value - self.start) / self.unit,
            )
        weights = np.array([*direction.parts.values()])
        along = abs(float(moved[inside] @ weights / (weights @ weights)))
        if along < _MOVED:
            return f"{direction.text}; it was held at its start"
        return (
            f"{direction.text}; the fitted values are one choice of many, so give one that you "
            "know in `model.fixed`"
        )


def _identified(
    problem: FitProblem, state: FitState
) -> tuple[list[Parameter], list[Parameter], Spread] | None:
    """Compute the uncertainty of the learned parameters.

    **Returns:** the learned parameters after the fit and before, and their uncertainty; `None`
    if there are no physical parameters, or too many.
    """
    config, plant = problem.config, problem.plant
    coordinates = parametrisation(config, plant)
    if coordinates is None:
        return None
    free, frozen = partition_learned(config, state.chosen)
    solver = config.solver or SolverConfig()
    initial = config.model.transition(plant, solver, jax.random.key(0))
    learned, rest = eqx.partition(received(free, coordinates), eqx.is_inexact_array)
    size = sum(leaf.size for leaf in jax.tree.leaves(learned))
    if not 0 < size <= FEW_WEIGHTS:
        return None
    loss = FrozenLoss(problem.loss, frozen, coordinates)
    rows = some_rows(problem.training, _ROWS, config.seed)
    count = jax.tree.leaves(rows)[0].shape[0]
    length = -(-count // _BLOCKS)
    blocks = count // length
    cut = jax.tree.map(
        lambda x: x[: blocks * length].reshape(blocks, length, *x.shape[1:]), rows
    )
    factors, errors, slopes = _factors(loss, learned, rest, coordinates, cut)
    after = physical_parameters(free)
    before = physical_parameters(partition_learned(config, initial)[0])
    numbers = _Numbers(after, before)
    # Errors by relative changes of the physical numbers, in place of the learner's.
    change = np.asarray(slopes, np.float64) / numbers.unit
    scale = np.divide(1.0, change, out=np.zeros_like(change), where=change != 0)
    relative = np.asarray(factors, np.float64) * np.append(scale, 1.0)
    if not np.all(np.isfinite(relative)):
        return None
    spread = spread_of(relative, int(errors), float(jnp.finfo(factors.dtype).eps))
    return after, before, spread


@eqx.filter_jit
def _factors(
    loss: FrozenLoss,
    learned: PyTree,
    rest: PyTree,
    coordinates: Parametrisation,
    blocks: PyTree,
) -> tuple[Array, Array, Array]:
    """Compute factors of the Jacobian by blocks of rows.

    **Returns:** the factors, the number of errors, and the change of each physical number with
    the learner's.
    """
    weights, unravel = ravel_pytree(learned)

    def errors(weights: Array, row: PyTree) -> Array:
        return loss.errors(eqx.combine(unravel(weights), rest), row)

    def values(weights: Array) -> Array:
        model = physical(eqx.combine(unravel(weights), rest), coordinates)
        return jnp.concatenate([jnp.ravel(x.value) for x in physical_parameters(model)])

    def factor(rows: PyTree) -> Array:
        return jacobian_factor(errors, weights, rows)[0]

    row = jax.tree.map(lambda x: x[0, 0], blocks)
    width = jax.eval_shape(errors, weights, row).shape[0]
    length = jax.tree.leaves(blocks)[0].shape[:2]
    _, slopes = jax.jvp(values, (weights,), (jnp.ones_like(weights),))
    return jax.lax.map(factor, blocks), jnp.asarray(length[0] * length[1] * width), slopes


def _entries(parameter: Parameter) -> list[str]:
    name, shape = _in_model(parameter.name), parameter.value.shape
    return [name + "".join(f"[{i}]" for i in index) for index in np.ndindex(*shape)]


def _in_model(name: str) -> str:
    """Name a parameter of the part that a loss takes as in the whole system."""
    return name.removeprefix("field.system.")
