"""Learning a part of a model while the rest of its parameters are held."""

from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float, PyTree, Scalar

from ..learners import AbstractSquaredLoss
from ..models import RewardNetwork
from ..simulate import MLPTransition
from ._errors import UserError


class HoldingLoss(AbstractSquaredLoss[PyTree, PyTree]):
    """A loss of what is free in a model, `None` in place of what is held.

    **Arguments:** `loss`, of the whole model; `held`, `None` in place of what is free.
    """

    loss: AbstractSquaredLoss[Any, Any]
    held: PyTree

    def __call__(self, model: PyTree, batch: PyTree) -> Scalar:
        return self.loss(eqx.combine(model, self.held), batch)

    def errors(self, model: PyTree, row: PyTree) -> Float[Array, " k"]:
        """Those of the whole model."""
        return self.loss.errors(eqx.combine(model, self.held), row)

    def observed_errors(self, model: PyTree, row: PyTree) -> Float[Array, " k"]:
        """Those of the whole model."""
        return self.loss.observed_errors(eqx.combine(model, self.held), row)


def divided(model: PyTree, fixed: tuple[str, ...]) -> tuple[PyTree, PyTree]:
    """A model as what is free and what is held of it, for `eqx.combine`.

    What is set from data, to be the unit of what is learned, is held always. It gets no
    gradient, but weight decay would shrink it, and filters that look at a model of other
    weights, such as `ukf`, would change it too.

    **Arguments:** `fixed`, names of what more is held.

    **Raises:** `UserError` if a name is that of no parameter.
    """
    leaves = jax.tree_util.tree_leaves_with_path(eqx.filter(model, eqx.is_inexact_array))
    names = [parameter_name(path) for path, _ in leaves]
    for name in fixed:
        if not any(_matches(each, name) for each in names):
            raise UserError(f"`model.fixed` was {list(fixed)}; accepted: {', '.join(names)}")

    given = (*fixed, *_FROM_DATA.get(type(model), ()))

    def held(path: Any, leaf: Any) -> bool:
        known = parameter_name(path)
        return eqx.is_inexact_array(leaf) and any(_matches(known, name) for name in given)

    where = jax.tree_util.tree_map_with_path(held, model)
    held_part, free = eqx.partition(model, where)
    return free, held_part


_FROM_DATA: dict[type, tuple[str, ...]] = {
    MLPTransition: ("scale.q", "scale.qd"),
    RewardNetwork: ("location", "scale"),
}


def parameter_name(path: Any) -> str:
    """A leaf's name, as `lagrangian.gravity`."""
    return jax.tree_util.keystr(path).lstrip(".")


def _matches(name: str, given: str) -> bool:
    return name == given or name.endswith(f".{given}")
