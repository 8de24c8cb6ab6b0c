"""Common description of a system to learn, from a task or from recordings."""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import UserError
from ..learners import Residual
from ..mechanics import (
    AbstractActuation,
    AbstractDissipation,
    AbstractLagrangian,
    Coordinates,
    CoulombDissipation,
    LearnedActuation,
    Limits,
    MechanicalSystem,
    NoDissipation,
    QuadraticDissipation,
    ScaledActuation,
    ScaledDissipation,
    State,
    StribeckDissipation,
    SumDissipation,
    Units,
    ViscousDissipation,
    scaled_system,
)
from ..models import AbstractReward, Activation, softplus
from ..options import ActivationName, DissipationName
from ..simulate import LagrangianField, WorldModel
from ._spec import TaskSpec
from ._units import rounded_units

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


# Ratio of the speeds at which the Coulomb frictions of a friction curve saturate.
_CURVE = 4.0

# Initial Stribeck speed over the speed below which friction is smoothed: well above it, or
# the extra friction would act where it is smoothed away.
_STRIBECK_SPEED = 4.0


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
    - `units`: natural units, in which models are built and learned; `None` for SI units.
    - `mass`: usual diagonal of the mass matrix, length `n`, kg or kg m^2; the unit of mass by
        default.
    - `mass_unit`: kg or kg m^2 of the plant's own unit of mass, length `n`; ones by default.
    - `simulator`: world model that the environment gives, if the run uses it.
    - `reward`: reward that the environment gives, if the run uses it with a learned model.
    - `friction_speed`: speed below which learned Coulomb friction is smoothed, m/s or rad/s,
        in natural units if there are any.
    - `sparse_reward`: whether most states have the same reward.
    - `stops`: magnitude at which each coordinate of a state is stopped; infinite where not.
    - `link_lengths`: lengths of the links of an arm that reaches for the target in the
        context, metres; see [`lagdyna.mechanics.Coordinates`][].
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
    units: Units | None = None
    mass: tuple[float, ...] | None = None
    mass_unit: tuple[float, ...] | None = None
    friction_speed: float = 0.05
    simulator: WorldModel | None = None
    reward: AbstractReward | None = None
    link_lengths: tuple[float, ...] = ()
    sparse_reward: bool = False
    stops: tuple[float, ...] | None = None

    @classmethod
    def of_task(cls, task: TaskSpec) -> "Plant":
        """Describe the system of a task."""
        positions, velocities = task.reach
        # Half of the largest speed, so that scaled velocities are of order one.
        speeds = tuple(0.5 * v or 1.0 for v in velocities)
        # The acceleration that reaches the usual speed within the usual distance.
        accelerations = tuple(
            v**2 / q for v, q in zip(speeds[: task.n], positions[: task.n], strict=True)
        )
        return cls(
            name=task.env_id,
            coordinates=task.joint_coordinates,
            context_size=len(task.context),
            action_size=task.action_size,
            dt=task.action_time,
            substeps=task.substeps,
            actuation=task.actuation,
            velocity_scale=speeds,
            acceleration_scale=accelerations,
            step_scale=None,
            velocity_limits=task.velocity_limits,
            range=Limits(positions, velocities),
            dissipation=task.dissipation,
            units=rounded_units(task, speeds[: task.n], accelerations),
            link_lengths=task.link_lengths,
            sparse_reward=task.sparse_reward,
            stops=task.stops if min(task.stops) < math.inf else None,
        )

    @property
    def n(self) -> int:
        """Number of coordinates that move."""
        return self.coordinates.n

    @property
    def state_coordinates(self) -> Coordinates:
        """Coordinates of a whole state: those that move, then the context."""
        angles = (*self.coordinates.angles, *(False,) * self.context_size)
        return Coordinates(angles, self.coordinates.chain, self.link_lengths)

    @property
    def limits(self) -> Limits:
        """Limits at which imagined rollouts are clipped."""
        assert self.range is not None
        return self.range.scaled(_POSITION_MARGIN, _VELOCITY_MARGIN)

    def activation(self, name: ActivationName) -> Activation:
        """Look up an activation function by name."""
        return _ACTIVATIONS[name]

    @property
    def position_scale(self) -> tuple[float, ...] | None:
        """Unit of each coordinate of a state, context included; `None` for SI units."""
        if self.units is None:
            return None
        return (*self.units.position, *(1.0,) * self.context_size)

    @property
    def state_unit(self) -> State | None:
        """Unit of a state, in which its entries are comparable; `None` for SI units."""
        if self.units is None:
            return None
        rest = (1.0,) * self.context_size
        return State(
            jnp.asarray((*self.units.position, *rest)),
            jnp.asarray((*self.units.velocity, *rest)),
        )

    def natural(self) -> "Plant":
        """Describe the system in its natural units."""
        units = self.units
        if units is None:
            return self
        rest = (1.0,) * self.context_size
        position, velocity = (*units.position, *rest), (*units.velocity, *rest)
        limits, steps, reach, known = (
            self.velocity_limits,
            self.step_scale,
            self.range,
            self.known,
        )
        si = units.inverse()
        actuation = self.actuation
        if isinstance(actuation, LearnedActuation):
            force, action = np.array(units.force), np.array(units.action)
            actuation = LearnedActuation(actuation.matrix * (action / force[:, None]))
        else:
            actuation = ScaledActuation(actuation, si)
        return self._replace(
            dt=self.dt / units.time,
            actuation=actuation,
            velocity_scale=_over(self.velocity_scale, velocity),
            acceleration_scale=_over(self.acceleration_scale, units.acceleration),
            step_scale=None
            if steps is None
            else State(steps.q / np.asarray(position), steps.qd / np.asarray(velocity)),
            velocity_limits=None if limits is None else _over(limits, velocity),
            range=None
            if reach is None
            else Limits(_over(reach.positions, position), _over(reach.velocities, velocity)),
            known=None if known is None else scaled_system(known, si),
            stops=None if self.stops is None else _over(self.stops, position),
            units=None,
            mass=None if self.mass is None else _over(self.mass, units.mass),
            mass_unit=units.mass,
        )

    @property
    def usual_mass(self) -> float | tuple[float, ...]:
        """Usual diagonal of the mass matrix, one number if all are equal."""
        ones = (1.0,) * self.n
        masses = self.mass or (ones if self.units is None else self.units.mass)
        return masses[0] if len(set(masses)) == 1 else masses

    def initial_mass(self, given: float | tuple[float, ...] | None) -> tuple[float, ...]:
        """Diagonal of the mass matrix before training, in the units of the plant.

        **Arguments:** `given`, kg or kg m^2, in place of the usual mass of the plant.

        **Raises:** `UserError` if as many numbers as coordinates are not given.
        """
        ones = (1.0,) * self.n
        if given is None:
            return self.mass or ones
        each = given if isinstance(given, tuple) else (given,) * self.n
        if len(each) != self.n:
            raise UserError(
                f"`model.initial_mass` was {list(each)}; one number, or {self.n}, one for each "
                f"coordinate of {self.name}, are accepted"
            )
        return _over(each, self.mass_unit or ones)

    def friction(self, name: DissipationName) -> AbstractDissipation:
        """Create friction of a kind on all coordinates, small at first."""
        small = jnp.full(self.n, 0.01)
        parts: list[AbstractDissipation] = []
        if name in ("viscous", "both", "stribeck", "curve", "all"):
            parts.append(ViscousDissipation(small))
        if name == "curve":
            parts.append(CoulombDissipation(small, self.friction_speed / _CURVE))
            parts.append(CoulombDissipation(small, self.friction_speed * _CURVE))
        if name in ("coulomb", "both", "stribeck", "curve", "all"):
            parts.append(CoulombDissipation(small, self.friction_speed))
        if name in ("stribeck", "all"):
            speed = jnp.full(self.n, _STRIBECK_SPEED * self.friction_speed)
            parts.append(StribeckDissipation(small, speed, self.friction_speed))
        if name == "all":
            parts.append(QuadraticDissipation(small))
        if not parts:
            return NoDissipation()
        friction = parts[0] if len(parts) == 1 else SumDissipation(tuple(parts))
        # The numbers above are those of natural units.
        return friction if self.units is None else ScaledDissipation(friction, self.units)

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


def _over(x: tuple[float, ...], unit: tuple[float, ...]) -> tuple[float, ...]:
    """Divide each entry by its unit."""
    return tuple(a / b for a, b in zip(x, unit, strict=True))
