"""Common description of a system to learn, from a task or from recordings."""

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp

from ..learners import Residual
from ..mechanics import (
    AbstractActuation,
    AbstractDissipation,
    AbstractLagrangian,
    Coordinates,
    CoulombDissipation,
    Limits,
    MechanicalSystem,
    NoDissipation,
    State,
    SumDissipation,
    ViscousDissipation,
)
from ..models import Activation, softplus
from ..options import ActivationName, DissipationName
from ..simulate import LagrangianField
from ._spec import TaskSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

_ACTIVATIONS: "Mapping[str, Activation]" = {
    "softplus": softplus,
    "tanh": jnp.tanh,
    "silu": jax.nn.silu,
    "elu": jax.nn.elu,
    "relu": jax.nn.relu,
}

# Imagined rollouts may go this much further and faster than the sampling range. Links are
# driven to more than three times the speed that their balance needs, and a policy would exploit
# a model that has never seen such speeds.
_POSITION_MARGIN, _VELOCITY_MARGIN = 3.0, 6.0


class Plant(NamedTuple):
    """System to learn: everything that shapes a model, a reward or an agent.

    **Attributes:**

    - `name`: for messages, such as `Pendulum-v1`.
    - `coordinates`: the `n` coordinates that move, and which are angles.
    - `context_size`: trailing entries of a state that stay constant within an episode.
    - `action_size`: `m`.
    - `dt`: seconds for which an action is held.
    - `substeps`: usual solver steps per action.
    - `actuation`: the map from actions to generalised forces, fixed or to be learned.
    - `velocity_scale`: usual magnitude of each velocity of a state, context included.
    - `acceleration_scale`: usual magnitude of each acceleration, length `n`.
    - `step_scale`: usual change of a state in one `dt`; `None` if unknown before the data.
    - `velocity_limits`: speeds at which the real system is clipped; infinite where not.
    - `range`: the states that are worth sampling, context included.
    - `dissipation`: name of the usual friction.
    - `known`: known equations of motion, if there are any.
    - `residual`: a residual of known equations instead, of `(state, action, next_state)`.
    """

    name: str
    coordinates: Coordinates
    context_size: int
    action_size: int
    dt: float
    substeps: int
    actuation: AbstractActuation
    velocity_scale: tuple[float, ...]
    acceleration_scale: tuple[float, ...]
    step_scale: State | None
    velocity_limits: tuple[float, ...] | None
    range: Limits | None
    dissipation: DissipationName
    known: MechanicalSystem | None = None
    residual: Residual | None = None

    @classmethod
    def of_task(cls, task: TaskSpec) -> "Plant":
        """Describe the system of a task."""
        positions, velocities = task.reach
        # Half of the largest speed, so that scaled velocities are of order one.
        speeds = tuple(0.5 * v or 1.0 for v in velocities)
        return cls(
            name=task.env_id,
            coordinates=task.joint_coordinates,
            context_size=len(task.context),
            action_size=task.action_size,
            dt=task.action_time,
            substeps=task.substeps,
            actuation=task.actuation,
            velocity_scale=speeds,
            # The acceleration that reaches the usual speed within the usual distance.
            acceleration_scale=tuple(
                v**2 / q for v, q in zip(speeds[: task.n], positions[: task.n], strict=True)
            ),
            step_scale=None,
            velocity_limits=task.velocity_limits,
            range=Limits(positions, velocities),
            dissipation=task.dissipation,
        )

    @property
    def n(self) -> int:
        """Number of coordinates that move."""
        return self.coordinates.n

    @property
    def state_coordinates(self) -> Coordinates:
        """Coordinates of a whole state: those that move, then the context."""
        angles = (*self.coordinates.angles, *(False,) * self.context_size)
        return Coordinates(angles, self.coordinates.chain)

    @property
    def limits(self) -> Limits:
        """Limits at which imagined rollouts are clipped."""
        assert self.range is not None
        return self.range.scaled(_POSITION_MARGIN, _VELOCITY_MARGIN)

    def activation(self, name: ActivationName) -> Activation:
        """Look up an activation function by name."""
        return _ACTIVATIONS[name]

    def friction(self, name: DissipationName) -> AbstractDissipation:
        """Create friction of a kind on all coordinates, small at first."""
        small = jnp.full(self.n, 0.01)
        parts: list[AbstractDissipation] = []
        if name in ("viscous", "both"):
            parts.append(ViscousDissipation(small))
        if name in ("coulomb", "both"):
            parts.append(CoulombDissipation(small))
        if len(parts) > 1:
            return SumDissipation(tuple(parts))
        return parts[0] if parts else NoDissipation()

    def system(
        self, lagrangian: AbstractLagrangian, friction: DissipationName
    ) -> MechanicalSystem:
        """Combine a Lagrangian with the plant's actuation and with friction."""
        return MechanicalSystem(
            lagrangian, self.coordinates, self.actuation, self.friction(friction)
        )

    def lagrangian_field(
        self, lagrangian: AbstractLagrangian, friction: DissipationName
    ) -> LagrangianField:
        """Create the vector field of a Lagrangian with actuation and friction."""
        return LagrangianField(self.system(lagrangian, friction))

    def with_known(self, known: Any, residual: Residual | None = None) -> "Plant":
        """Copy the plant with known equations of motion, or a residual of them."""
        return self._replace(known=known, residual=residual)
