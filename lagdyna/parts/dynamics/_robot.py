"""Robots read from a robot description."""

from typing import TYPE_CHECKING, ClassVar

from ...options import DissipationName, InertiaName, NonNegative
from ._base import DynamicsConfig

if TYPE_CHECKING:
    from jaxtyping import PRNGKeyArray, PyTree

    import lagdyna.parts
    import lagdyna.simulate
    import lagdyna.tasks


class RobotConfig(DynamicsConfig, frozen=True, kw_only=True, tag="robot"):
    """Robot arm of a URDF or MJCF file, whose inertia and friction are identified.

    The kinematics are those of the file. See [`lagdyna.systems.RobotModel`][].

    **Arguments:**

    - `robot`: path of the robot description, `.urdf`, or `.xml` for MJCF.
    - `joints`: names of the joints that move; the others are fixed at 0. By default those
        that the recordings name, or all.
    - `inertia`: starting values: those of the `description`; or `unknown`, equal links.
    - `armature`: starting value of the rotor inertia of each joint, kg m^2 or kg, where the
        file gives none; 0 for joints without rotors.
    - `fixed`: parameters that are not learned, by name, such as `armature`.
    - `dissipation`: friction of the joints: `none`, `viscous`, `coulomb` (smoothed), `both`,
        `stribeck` (both, and extra friction near rest) or `all` (also quadratic).
    """

    robot: str | None = None
    joints: tuple[str, ...] | None = None
    inertia: InertiaName = "description"
    armature: NonNegative = 0.01
    fixed: tuple[str, ...] = ("gravity",)
    dissipation: DissipationName = "both"

    accelerations: ClassVar[bool] = True
    forces: ClassVar[bool] = True
    equations: ClassVar[bool] = True
    natural: ClassVar[bool] = False
    usual_learner: ClassVar[str] = "levenberg-marquardt"

    def build(
        self,
        plant: "lagdyna.tasks.Plant",
        solver: "lagdyna.parts.SolverConfig",
        key: "PRNGKeyArray",
    ) -> "lagdyna.simulate.AbstractTransition":
        from ...simulate import LagrangianField

        del key
        assert plant.known is not None
        return solver.solve(LagrangianField(plant.known), plant)

    def parameter_scales(self, learned: "PyTree") -> "PyTree | None":
        # Logarithms and metres; armature is positive and needs no unit.
        import jax
        import jax.numpy as jnp

        return jax.tree.map(jnp.ones_like, learned)

    def fixed_parameters(self) -> tuple[str, ...]:
        return self.fixed
