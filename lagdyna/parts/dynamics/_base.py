import abc
from typing import TYPE_CHECKING, ClassVar

import msgspec

from ...options import DissipationName, Family, Part

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import PRNGKeyArray, PyTree

    import lagdyna.data
    import lagdyna.learners
    import lagdyna.parts
    import lagdyna.simulate
    import lagdyna.tasks


MODELS = Family("model", "model", "delan", group="lagdyna.models")
"""Dynamics models by name."""


@MODELS
class DynamicsConfig(Part, frozen=True, kw_only=True):
    """Options of a dynamics model and the method that builds it.

    **Attributes:** (of the class)

    - `discrete`: whether the model predicts whole steps, so that no solver is used.
    - `accelerations`: whether it has accelerations, for the loss `forward`.
    - `forces`: whether it has inverse dynamics, for the loss `inverse`.
    - `equations`: whether it contains known equations of motion.
    - `usual_learner`: name of the learner of its fits where none is chosen.
    - `natural`: whether `build` receives the plant in its natural units; in SI units if not.
    """

    discrete: ClassVar[bool] = False
    accelerations: ClassVar[bool] = False
    forces: ClassVar[bool] = False
    equations: ClassVar[bool] = False
    usual_learner: ClassVar[str] = "adam"
    natural: ClassVar[bool] = True

    @abc.abstractmethod
    def build(
        self,
        plant: "lagdyna.tasks.Plant",
        solver: "lagdyna.parts.SolverConfig",
        key: "PRNGKeyArray",
    ) -> "lagdyna.simulate.AbstractTransition":
        """Build the untrained transition of a plant, in the units of the plant.

        **Arguments:** `plant`, the system to learn; `solver`, whose `solve` turns a vector
        field into a transition; `key`, for the initial weights.
        """

    def transition(
        self,
        plant: "lagdyna.tasks.Plant",
        solver: "lagdyna.parts.SolverConfig",
        key: "PRNGKeyArray",
    ) -> "lagdyna.simulate.AbstractTransition":
        """Build the untrained transition of a plant in natural units, used in SI units."""
        from ...simulate import ScaledTransition

        if plant.units is None or not self.natural:
            return self.build(plant, solver, key)
        return ScaledTransition(self.build(plant.natural(), solver, key), plant.units)

    def parameter_scales(self, learned: "PyTree") -> "PyTree | None":
        """Compute the unit in which a learner receives each parameter.

        **Arguments:** `learned`, the initial parameters, `None` in place of everything else.

        **Returns:** a PyTree of the same structure; `None`, the default, for ones.
        """
        del learned
        return None

    def parametrisation(
        self, initial: "Callable[[], PyTree]"
    ) -> "lagdyna.learners.Parametrisation | None":
        """Create the coordinates in which a learner receives the parameters.

        **Arguments:** `initial`, a function that returns the initial parameters; it is called
        only if the model has `parameter_scales`.

        **Returns:** `None` for the parameters themselves.

        **Raises:** `UserError` if a positive parameter starts at 0 or below.
        """
        from ...learners import Parametrisation

        if type(self).parameter_scales is DynamicsConfig.parameter_scales:
            return None
        parameters = initial()
        units = self.parameter_scales(parameters)
        return None if units is None else Parametrisation.of(parameters, units)

    def resolved(self, plant: "lagdyna.tasks.Plant") -> "DynamicsConfig":
        """Fill options that were left open from what is known of the plant."""
        usual = {"dissipation": plant.dissipation, "initial_mass": plant.usual_mass}
        left_open = {
            name: value
            for name, value in usual.items()
            if name in self.__struct_fields__ and getattr(self, name) is None
        }
        return msgspec.structs.replace(self, **left_open)

    def fixed_parameters(self) -> tuple[str, ...]:
        """Names of parameters that are not learned."""
        return ()

    @property
    def constrained(self) -> bool:
        """Whether `constrain` adds to the loss on data."""
        return type(self).constrain is not DynamicsConfig.constrain

    def constrain(
        self,
        loss: "lagdyna.learners.AbstractSquaredLoss",
        plant: "lagdyna.tasks.Plant",
        steps: "lagdyna.data.Experience",
        rows: object = None,
    ) -> "lagdyna.learners.AbstractSquaredLoss":
        """Add what the model itself asks of a fit to the loss on data.

        **Arguments:** `steps`, the data, with a leading axis; `rows`, a mask of those that
        count, all by default.
        """
        del plant, steps, rows
        return loss


def dissipation(name: DissipationName | None, plant: "lagdyna.tasks.Plant") -> DissipationName:
    """Name of the friction: what was asked for, else what is usual for the plant."""
    return plant.dissipation if name is None else name
