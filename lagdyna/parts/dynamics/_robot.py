"""Robots read from a robot description."""

from typing import TYPE_CHECKING, ClassVar

from ...options import (
    ActivationName,
    DissipationName,
    InertiaName,
    NonNegative,
    Positive,
    ResidualForm,
    Widths,
)
from ._base import DynamicsConfig
from ._known import EquationsConfig

if TYPE_CHECKING:
    from jaxtyping import PRNGKeyArray, PyTree

    import lagdyna.parts
    import lagdyna.simulate
    import lagdyna.tasks


class RobotConfig(EquationsConfig, frozen=True, kw_only=True, tag="robot"):
    """Robot arm of a URDF or MJCF file, whose inertia and friction are identified.

    The kinematics are those of the file. See [`lagdyna.systems.RobotModel`][].

    **Arguments:**

    - `robot`: path of the robot description, `.urdf`, or `.xml` for MJCF.
    - `joints`: names of the joints that move; the others are fixed at 0. By default those
        that the recordings name, or all.
    - `inertia`: starting values: those of the `description`; or `unknown`, equal links.
    - `armature`: starting value of the rotor inertia of each joint, kg m^2 or kg, where the
        file gives none; 0 for joints without rotors.
    - `prior`: standard deviation to which the starting inertia is trusted, in log-Cholesky
        coordinates. It decides where the recordings tell nothing. By default 0.1, about a
        fifth of a mass; 1 where inertia is unknown.
    - `fixed`: parameters that are not learned, by name, such as `armature`.
    - `dissipation`: friction of the joints: `none`, `viscous`, `coulomb` (smoothed), `both`,
        `stribeck` (both, and extra friction near rest), `curve` (Coulomb friction that
        saturates at three speeds, for any concave curve) or `all` (Stribeck and quadratic).
        Viscous and Coulomb friction start at `damping` and `friction` of the file.
    - `friction_speed`: speed below which Coulomb friction is smoothed, rad/s. By default the
        one of several that leaves the smallest force error on the training data.
    """

    robot: str | None = None
    joints: tuple[str, ...] | None = None
    inertia: InertiaName = "description"
    armature: NonNegative = 0.01
    prior: Positive | None = None
    fixed: tuple[str, ...] = ("gravity",)
    dissipation: DissipationName = "both"
    friction_speed: Positive | None = None

    def parameter_scales(self, learned: "PyTree") -> "PyTree | None":
        # Logarithms and metres; armature is positive and needs no unit.
        import jax
        import jax.numpy as jnp

        return jax.tree.map(jnp.ones_like, learned)


class RobotResidualConfig(DynamicsConfig, frozen=True, kw_only=True, tag="robot-residual"):
    """Robot arm of a URDF or MJCF file, and a learned force or energy that it lacks.

    Where forces and accelerations are compared, a potential energy is identified together
    with inertia and friction, by linear least squares. A network is trained afterwards, on what
    these leave. See [`lagdyna.systems.LinkPotential`][], [`lagdyna.models.NetworkForce`][] and
    [`lagdyna.mechanics.SumLagrangian`][].

    **Arguments:**

    - `robot`, `joints`, `inertia`, `armature`, `prior`, `dissipation`, `friction_speed`: as of
        the model `robot`.
    - `form`: `potential`, a potential energy of the positions of joints and links;
        `position`, a network's force of positions; `force`, of velocities too; or `energy`, a
        DeLaN that is added to the Lagrangian.
    - `residual_size`: usual size of the forces of a `potential`, relative to the recorded
        ones. By default chosen by cross-validation.
    - `learn_known`: whether inertia and friction of the robot go on changing while the network
        learns.
    - `hidden`, `activation`: widths of the hidden layers and activation of the networks.

    **Raises:** `ValueError` for options of a network with `potential`, or a `residual_size`
    with a network.
    """

    robot: str | None = None
    joints: tuple[str, ...] | None = None
    inertia: InertiaName = "description"
    armature: NonNegative = 0.01
    prior: Positive | None = None
    dissipation: DissipationName = "both"
    friction_speed: Positive | None = None
    form: ResidualForm = "potential"
    residual_size: Positive | None = None
    learn_known: bool = False
    hidden: Widths = (64, 64)
    activation: ActivationName = "softplus"

    accelerations: ClassVar[bool] = True
    forces: ClassVar[bool] = True
    equations: ClassVar[bool] = True
    natural: ClassVar[bool] = False

    def __post_init__(self):
        usual = {"hidden": (64, 64), "activation": "softplus"}
        if self.form == "potential":
            for name, value in usual.items():
                given = getattr(self, name)
                if given != value:
                    raise ValueError(
                        f"`{name}` was {given!r}, and the form `potential` has no network; set "
                        "`form` to `position`, `force` or `energy`"
                    )
        elif self.residual_size is not None:
            raise ValueError(
                f"`residual_size` was {self.residual_size}, and the form `{self.form}` is a "
                "network's; set `form` to `potential`"
            )

    def build(
        self,
        plant: "lagdyna.tasks.Plant",
        solver: "lagdyna.parts.SolverConfig",
        key: "PRNGKeyArray",
    ) -> "lagdyna.simulate.AbstractTransition":
        import dataclasses

        from ...mechanics import ScaledLagrangian, SumLagrangian
        from ...models import DeLaN, NetworkForce
        from ...simulate import LagrangianField

        assert plant.known is not None
        assert plant.units is not None
        system, activation = plant.known, plant.activation(self.activation)
        if self.form == "potential":  # a part of the robot
            return solver.solve(LagrangianField(system), plant)
        if self.form != "energy":
            residual = NetworkForce(
                plant.coordinates,
                None if self.form == "position" else plant.units.velocity,
                plant.units.force,
                hidden=self.hidden,
                activation=activation,
                key=key,
            )
            system = dataclasses.replace(system, residual=residual)
        else:
            small = tuple(1e-3 * mass for mass in plant.natural().initial_mass(None))
            energy = DeLaN(
                plant.coordinates,
                hidden=self.hidden,
                activation=activation,
                initial_mass=small,
                key=key,
            )
            lagrangian = SumLagrangian(
                system.lagrangian, ScaledLagrangian(energy, plant.units), learn_known=True
            )
            system = dataclasses.replace(system, lagrangian=lagrangian)
        return solver.solve(LagrangianField(system), plant)

    def fixed_parameters(self) -> tuple[str, ...]:
        if self.learn_known:
            return ("gravity",)
        if self.form == "potential":
            rotors = ("armature",) if self.armature else ()
            return ("gravity", "inertia", *rotors, "dissipation")
        robot = "known" if self.form == "energy" else "lagrangian"
        return (robot, "dissipation")
