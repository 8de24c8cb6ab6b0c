from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..options import Count, Positive

if TYPE_CHECKING:
    import lagdyna.simulate
    import lagdyna.tasks


@dataclass(frozen=True, kw_only=True)
class SolverConfig:
    """Solver of the model's vector field from one action to the next.

    **Arguments:**

    - `name`: one of [`lagdyna.simulate.SOLVERS`][].
    - `substeps`: equal solver steps per action. By default what the task says; of recordings
        1.
    - `rtol`, `atol`: relative and absolute tolerance, for adaptive steps instead.

    **Raises:** `ValueError` if there is no such solver, one of the tolerances is missing, or
    the solver has no error estimate and was given them.
    """

    name: str = "heun"
    substeps: Count | None = None
    rtol: Positive | None = None
    atol: Positive | None = None

    def __post_init__(self):
        if (self.name, self.rtol, self.atol) == ("heun", None, None):
            return  # the default needs no check, nor the imports of one
        from diffrax import AbstractAdaptiveSolver

        from ..simulate import get_solver

        solver = get_solver(self.name)
        if (self.rtol is None) != (self.atol is None):
            raise ValueError("`rtol` and `atol` must be given together, or neither")
        if self.adaptive and self.substeps is not None:
            raise ValueError(
                f"`substeps` was {self.substeps} with `rtol` and `atol`, which set the steps; "
                "either is accepted"
            )
        if self.rtol is not None and not isinstance(solver, AbstractAdaptiveSolver):
            raise ValueError(
                f"`rtol` and `atol` were given with the solver {self.name!r}, which does not "
                "estimate its error; one that `lagdyna solvers` calls adaptive is accepted"
            )

    @property
    def adaptive(self) -> bool:
        """Whether steps adapt to tolerances."""
        return self.rtol is not None

    @classmethod
    def named(cls, name: str) -> "SolverConfig":
        """Create the config of a solver with its default options."""
        return cls(name=name)

    def resolved(self, substeps: int) -> "SolverConfig":
        """Fill the substeps if they were left open; adaptive steps have none."""
        if self.adaptive:
            return self
        return replace(self, substeps=self.substeps or substeps)

    def solve(
        self, field: "lagdyna.simulate.AbstractVectorField", plant: "lagdyna.tasks.Plant"
    ) -> "lagdyna.simulate.SolvedTransition":
        """Build the transition of a vector field, within the limits of a plant.

        **Raises:** `UserError` if the solver cannot solve such a field.
        """
        from .._errors import UserError
        from ..simulate import SolvedTransition, Tolerances

        tolerances = None
        if self.rtol is not None and self.atol is not None:
            tolerances = Tolerances(self.rtol, self.atol)
        try:
            return SolvedTransition(
                field,
                plant.state_coordinates,
                plant.dt,
                solver=self.name,
                substeps=self.substeps or plant.substeps,
                tolerances=tolerances,
                velocity_limits=plant.velocity_limits,
                context_size=plant.context_size,
                stops=plant.stops,
            )
        except ValueError as error:
            raise UserError(str(error)) from error
