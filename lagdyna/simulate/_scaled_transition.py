import dataclasses

import equinox as eqx
from jaxtyping import Array, Float

from ..mechanics import Coordinates, State, Units, unit_array
from ._transition import AbstractTransition, SolvedTransition


class ScaledTransition(AbstractTransition):
    """Transition in natural units, with states and actions in SI units.

    The solver runs in natural units too, so its tolerances are relative to the motion.

    **Arguments:**

    - `transition`: the transition in natural units.
    - `units`: see [`lagdyna.mechanics.Units`][].
    """

    transition: AbstractTransition
    units: Units = eqx.field(static=True)
    coordinates: Coordinates

    def __init__(self, transition: AbstractTransition, units: Units):
        self.transition = transition
        self.units = units
        # Angles are not scaled, so they stay angles.
        self.coordinates = transition.coordinates

    def step(self, state: State, action: Float[Array, " m"]) -> State:
        natural = action / unit_array(self.units.action, action)
        return self.units.si(self.transition.step(self.units.natural(state), natural))


def with_substeps(transition: AbstractTransition, substeps: int) -> AbstractTransition:
    """Copy a transition with another number of solver substeps.

    A transition that uses no solver is returned unchanged.
    """
    if isinstance(transition, ScaledTransition):
        inner = with_substeps(transition.transition, substeps)
        return ScaledTransition(inner, transition.units)
    if isinstance(transition, SolvedTransition):
        return dataclasses.replace(transition, substeps=substeps)
    return transition


def is_solved(transition: AbstractTransition) -> bool:
    """Whether a transition integrates a vector field with a solver."""
    if isinstance(transition, ScaledTransition):
        return is_solved(transition.transition)
    return isinstance(transition, SolvedTransition)
