"""Networks without mechanics: a neural ODE, and a network for whole steps."""

from typing import TYPE_CHECKING, ClassVar

from ..._errors import UserError
from ...options import ActivationName, NonNegative, Widths
from ._base import DynamicsConfig

if TYPE_CHECKING:
    from jaxtyping import PRNGKeyArray

    import lagdyna.data
    import lagdyna.learners
    import lagdyna.parts
    import lagdyna.simulate
    import lagdyna.tasks


class NeuralODEConfig(DynamicsConfig, frozen=True, kw_only=True, tag="neural-ode"):
    """Second-order neural ODE: one network for the acceleration (Chen et al. 2018).

    See [`lagdyna.models.NeuralODE`][].

    **Arguments:**

    - `hidden`: widths of the hidden layers.
    - `activation`: activation function of the network.
    """

    hidden: Widths = (64, 64)
    activation: ActivationName = "softplus"

    accelerations: ClassVar[bool] = True

    def build(
        self,
        plant: "lagdyna.tasks.Plant",
        solver: "lagdyna.parts.SolverConfig",
        key: "PRNGKeyArray",
    ) -> "lagdyna.simulate.AbstractTransition":
        from ...models import NeuralODE
        from ...simulate import AccelerationField

        dynamics = NeuralODE(
            plant.coordinates,
            plant.action_size,
            velocity_scale=plant.velocity_scale[: plant.n],
            acceleration_scale=plant.acceleration_scale,
            hidden=self.hidden,
            activation=plant.activation(self.activation),
            key=key,
        )
        return solver.solve(AccelerationField(dynamics), plant)


class MLPConfig(DynamicsConfig, frozen=True, kw_only=True, tag="mlp"):
    """Network for the change of state over one action; knows no mechanics, uses no solver.

    See [`lagdyna.simulate.MLPTransition`][].

    **Arguments:**

    - `hidden`: widths of the hidden layers.
    - `activation`: activation function of the network.
    """

    hidden: Widths = (64, 64)
    activation: ActivationName = "softplus"

    discrete: ClassVar[bool] = True

    def build(
        self,
        plant: "lagdyna.tasks.Plant",
        solver: "lagdyna.parts.SolverConfig",
        key: "PRNGKeyArray",
    ) -> "lagdyna.simulate.AbstractTransition":
        del solver
        return _mlp(self.hidden, self.activation, plant, key)


class ConstrainedMLPConfig(DynamicsConfig, frozen=True, kw_only=True, tag="constrained-mlp"):
    """Network for whole steps with the residual of known equations in its loss.

    The physics-constrained network of Liu & Wang (2021); see
    [`lagdyna.learners.ResidualLoss`][].

    **Arguments:**

    - `hidden`: widths of the hidden layers.
    - `activation`: activation function of the network.
    - `known`: the equations as `FILE.py:NAME`, a [`lagdyna.mechanics.MechanicalSystem`][] or a
        Lagrangian. By default those of the task in [`lagdyna.tasks.known_equations`][].
    - `residual`: a residual in place of `known`, as `FILE.py:NAME`: a function of
        `(state, action, next_state)` that is 0 where the equations hold.
    - `residual_weight`: weight of the squared residual against the data.
    """

    hidden: Widths = (64, 64)
    activation: ActivationName = "softplus"
    known: str | None = None
    residual: str | None = None
    residual_weight: NonNegative = 1.0

    discrete: ClassVar[bool] = True
    equations: ClassVar[bool] = True

    def __post_init__(self):
        if self.known is not None and self.residual is not None:
            raise ValueError(
                f"`known` was {self.known!r} and `residual` {self.residual!r}; one of them is "
                "accepted"
            )

    def build(
        self,
        plant: "lagdyna.tasks.Plant",
        solver: "lagdyna.parts.SolverConfig",
        key: "PRNGKeyArray",
    ) -> "lagdyna.simulate.AbstractTransition":
        del solver
        return _mlp(self.hidden, self.activation, plant, key)

    def constrain(
        self,
        loss: "lagdyna.learners.AbstractSquaredLoss",
        plant: "lagdyna.tasks.Plant",
        steps: "lagdyna.data.Experience",
        rows: object = None,
    ) -> "lagdyna.learners.AbstractSquaredLoss":
        """Add the residual, scaled by its size where the state does not change."""
        import jax
        import jax.numpy as jnp

        from ...learners import MotionResidual, ResidualLoss, root_mean_square

        residual = plant.residual
        if residual is None:
            assert plant.known is not None
            residual = MotionResidual(plant.known, plant.dt)
        try:
            still = jax.vmap(residual)(steps.state, steps.action, steps.state)
            unit = None
            if isinstance(residual, MotionResidual) and plant.units is not None:
                # The residual of kinematics, then that of the forces.
                unit = jnp.asarray((*plant.units.velocity, *plant.units.force))
            scale = root_mean_square(still, rows, unit)  # pyright: ignore[reportArgumentType]
        except Exception as error:  # the user's own function may raise anything
            raise UserError(
                f"`model.residual` failed on a step of the data: {type(error).__name__}: "
                f"{' '.join(str(error).split())[:200]}"
            ) from error
        return ResidualLoss(loss, residual, scale, self.residual_weight)


def _mlp(
    hidden: tuple[int, ...],
    activation: ActivationName,
    plant: "lagdyna.tasks.Plant",
    key: "PRNGKeyArray",
) -> "lagdyna.simulate.AbstractTransition":
    from ...simulate import MLPTransition

    return MLPTransition(
        plant.state_coordinates,
        plant.action_size,
        scale=plant.step_scale,
        velocity_scale=plant.velocity_scale,
        velocity_limits=plant.velocity_limits,
        context_size=plant.context_size,
        stops=plant.stops,
        hidden=hidden,
        activation=plant.activation(activation),
        key=key,
    )
