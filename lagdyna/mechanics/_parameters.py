"""Physical parameters of a system: their names and values, and which are positive."""

import re
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ._scaled import ScaledDissipation
from ._units import Units, unit_array


class Parameter(NamedTuple):
    """Physical parameter of a model, one trainable array.

    **Attributes:**

    - `name`: such as `lagrangian.mass`, or `dissipation.viscous` of a trainable array that is
        not itself physical.
    - `value`: in SI units, of the shape of the array.
    - `positive`: whether the model declares the array as positive.
    - `converted`: whether the value is a positive coefficient that the array determines.
    """

    name: str
    value: Float[Array, "..."]
    positive: bool
    converted: bool = False


def physical_parameters(model: PyTree) -> list[Parameter]:
    """List the physical parameters of a model, in the order of its trainable arrays.

    A module declares its positive arrays by name, in the class attribute
    `positive_parameters`. Friction converts its arrays to coefficients in SI units.

    **Arguments:** `model`, such as a [`lagdyna.mechanics.MechanicalSystem`][] or a part of
    one, also with `None` in place of some arrays.
    """
    leaves = jax.tree_util.tree_leaves_with_path(eqx.filter(model, eqx.is_inexact_array))
    found = [_parameter(model, path, leaf) for path, leaf in leaves]
    names = [each.name for each in found]
    # Two parts of friction may be of one kind.
    return [
        each._replace(name=f"{each.name}.{i}") if names.count(each.name) > 1 else each
        for i, each in enumerate(found)
    ]


def _parameter(model: PyTree, path: Any, leaf: Array) -> Parameter:
    positive, units, inside = False, None, model
    owner, name = None, ""
    for key in path:
        owner, name = inside, ""
        if isinstance(key, jax.tree_util.GetAttrKey):
            name = key.name
            positive = positive or name in getattr(type(owner), "positive_parameters", ())
            units = owner.units if isinstance(owner, ScaledDissipation) else units
            inside = getattr(owner, name)
        elif isinstance(key, jax.tree_util.SequenceKey):
            inside = inside[key.idx]
        elif isinstance(key, jax.tree_util.DictKey):
            inside = inside[key.key]
        else:  # a node of another kind, which declares nothing
            break
    label = jax.tree_util.keystr(path).lstrip(".")
    coefficient = getattr(type(owner), "coefficient_names", {}).get(name)
    if coefficient is None:
        return Parameter(label, leaf, positive)
    value = getattr(owner, coefficient.attribute) * _unit(coefficient, units, leaf)
    place = re.sub(r"((?<=dissipation)\.dissipation)?(\.parts\[\d+\])*\.\w+$", "", label)
    return Parameter(f"{place}.{coefficient.name}", value, False, True)


def _unit(coefficient: Any, units: Units | None, like: Array) -> Array | float:
    if units is None:
        return 1.0
    force, velocity = (unit_array(x, like) for x in (units.force, units.velocity))
    return jnp.power(force, coefficient.force) * jnp.power(velocity, coefficient.velocity)
