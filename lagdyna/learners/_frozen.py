"""Learning of a part of a model while its other parameters are frozen."""

from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float, PyTree, Scalar

from .._errors import UserError
from ..models import RewardNetwork
from ..simulate import MLPTransition, ScaledTransition
from ._losses import AbstractSquaredLoss
from ._parametrisation import Parametrisation, physical


class FrozenLoss(AbstractSquaredLoss[PyTree, PyTree]):
    """Loss of the free part of a model; the rest of the model is frozen.

    **Arguments:**

    - `loss`: of the whole model.
    - `frozen`: the frozen part, `None` in place of what is free; see
        [`lagdyna.learners.partition`][].
    - `parametrisation`: of the free part, see [`lagdyna.learners.Parametrisation`][]; by
        default its parameters are those of the model.
    """

    loss: AbstractSquaredLoss[Any, Any]
    frozen: PyTree
    parametrisation: Parametrisation | None = None

    def __call__(self, model: PyTree, batch: PyTree) -> Scalar:
        return self.loss(self._whole(model), batch)

    def errors(self, model: PyTree, row: PyTree) -> Float[Array, " k"]:
        """Compute the errors of the whole model."""
        return self.loss.errors(self._whole(model), row)

    def observed_errors(self, model: PyTree, row: PyTree) -> Float[Array, " k"]:
        """Compute the errors of the whole model, in observed units."""
        return self.loss.observed_errors(self._whole(model), row)

    def _whole(self, model: PyTree) -> PyTree:
        return eqx.combine(physical(model, self.parametrisation), self.frozen)


def partition(model: PyTree, fixed: tuple[str, ...] = ()) -> tuple[PyTree, PyTree]:
    """Split a model into a free and a frozen part, for `eqx.combine`.

    Scales that are set from data are always frozen. They have no gradient, but weight decay
    would shrink them, and a sigma-point filter would move them.

    **Arguments:** `fixed`, the names of further parameters to freeze, such as `gravity` or
    `lagrangian.gravity`, or of parts such as `lagrangian`; `("all",)` freezes everything.

    **Returns:** the free part and the frozen part.

    **Raises:** `UserError` if a name matches no parameter.
    """
    leaves = jax.tree_util.tree_leaves_with_path(eqx.filter(model, eqx.is_inexact_array))
    names = [parameter_name(path) for path, _ in leaves]
    # A part may be frozen that has no parameters.
    known = [parameter_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(model)]
    for name in fixed:
        if name != "all" and not any(_matches(each, name) for each in known):
            raise UserError(
                f"`model.fixed` was {list(fixed)}; accepted: all, or some of {', '.join(names)}"
            )

    inner = model.transition if isinstance(model, ScaledTransition) else model
    given = (*fixed, *_FROM_DATA.get(type(inner), ()))

    def is_frozen(path: Any, leaf: Any) -> bool:
        known = parameter_name(path)
        matches = "all" in given or any(_matches(known, name) for name in given)
        return eqx.is_inexact_array(leaf) and matches

    where = jax.tree_util.tree_map_with_path(is_frozen, model)
    frozen, free = eqx.partition(model, where)
    return free, frozen


def trainable(model: PyTree, fixed: tuple[str, ...] = ()) -> PyTree:
    """Select the trainable arrays of a model, `None` in place of everything else.

    **Arguments:** as for [`lagdyna.learners.partition`][].
    """
    return eqx.filter(partition(model, fixed)[0], eqx.is_inexact_array)


_FROM_DATA: dict[type, tuple[str, ...]] = {
    MLPTransition: ("scale.q", "scale.qd"),
    RewardNetwork: ("location", "scale"),
}


def parameter_name(path: Any) -> str:
    """Format the path of a leaf as a name, such as `lagrangian.gravity`."""
    return jax.tree_util.keystr(path).lstrip(".")


def _matches(name: str, given: str) -> bool:
    """Whether a parameter has the given name, or is inside a part of that name."""
    return f".{given}." in f".{name}."
