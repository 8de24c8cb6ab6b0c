"""Coordinates in which a learner receives the parameters of a model."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from .._errors import UserError
from ..mechanics import physical_parameters


class Parametrisation(eqx.Module):
    """Coordinates of a learner: multiples of a unit, and logarithms of positive parameters.

    A positive parameter is `unit exp(x)` for every number `x` that a learner finds.

    **Arguments:**

    - `units`: unit of each parameter, a PyTree of the structure of the parameters.
    - `positive`: of each array in the order of the leaves, whether it is positive.
    """

    units: PyTree
    positive: tuple[bool, ...] = eqx.field(static=True)

    @classmethod
    def of(cls, parameters: PyTree, units: PyTree) -> "Parametrisation":
        """Create coordinates in which positive parameters start at 0.

        **Arguments:** `parameters`, the initial ones, whose modules declare what is positive;
        `units`, of the others.

        **Raises:** `UserError` if a positive parameter is 0 or negative.
        """
        named = physical_parameters(parameters)
        for each in named:
            start = np.asarray(each.value)
            if each.positive and not np.all(start > 0):
                raise UserError(
                    f"`{each.name}` starts at {start.tolist()}, and it must be "
                    "positive, as a mass must; give numbers above 0, or leave it as it is by "
                    "its name in `model.fixed`"
                )
        arrays, tree = jax.tree.flatten(eqx.filter(parameters, eqx.is_inexact_array))
        chosen = [
            array if each.positive else unit
            for array, unit, each in zip(arrays, jax.tree.leaves(units), named, strict=True)
        ]
        return cls(jax.tree.unflatten(tree, chosen), tuple(each.positive for each in named))


def received(parameters: PyTree, parametrisation: Parametrisation | None) -> PyTree:
    """Convert parameters of a model to those that its learner receives.

    **Arguments:** `parametrisation`, `None` for the same.
    """

    def convert(x: Array, unit: Array, positive: bool) -> Array:
        return jnp.log(x / unit) if positive else x / unit

    return _converted(convert, parameters, parametrisation)


def physical(learned: PyTree, parametrisation: Parametrisation | None) -> PyTree:
    """Convert what a learner has found to parameters of the model.

    **Arguments:** `parametrisation`, `None` for the same.
    """

    def convert(x: Array, unit: Array, positive: bool) -> Array:
        return unit * jnp.exp(x) if positive else x * unit

    return _converted(convert, learned, parametrisation)


def _converted(
    convert: Callable[[Array, Array, bool], Array],
    parameters: PyTree,
    parametrisation: Parametrisation | None,
) -> PyTree:
    if parametrisation is None:
        return parameters
    arrays, rest = eqx.partition(parameters, eqx.is_inexact_array)
    leaves, tree = jax.tree.flatten(arrays)
    each = zip(
        leaves, jax.tree.leaves(parametrisation.units), parametrisation.positive, strict=True
    )
    return eqx.combine(jax.tree.unflatten(tree, [convert(*x) for x in each]), rest)
