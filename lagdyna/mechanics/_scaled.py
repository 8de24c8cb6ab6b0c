"""Mechanics in natural units, seen from outside in SI units."""

import equinox as eqx
from jaxtyping import Array, Float, Scalar

from ._actuation import AbstractActuation
from ._dissipation import AbstractDissipation
from ._dynamics import AbstractDynamics
from ._lagrangian import AbstractLagrangian, Forces
from ._system import MechanicalSystem
from ._units import Units, unit_array


class ScaledLagrangian(AbstractLagrangian):
    """Lagrangian in natural units, with arguments and results in SI units.

        L(q, qd) = energy L'((q - origin) / position, qd / velocity)

    **Arguments:** `lagrangian`, `L'`; `units`, see [`lagdyna.mechanics.Units`][].
    """

    lagrangian: AbstractLagrangian
    units: Units = eqx.field(static=True)

    def __call__(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Scalar:
        return self.units.energy * self.lagrangian(*self._natural(q, qd))

    def momentum(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        return unit_array(self.units.momentum, q) * self.lagrangian.momentum(
            *self._natural(q, qd)
        )

    def energy(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Scalar:
        return self.units.energy * self.lagrangian.energy(*self._natural(q, qd))

    def mass_matrix(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, "n n"]:
        # M_ij has the unit of momentum i over velocity j.
        left, right = unit_array(self.units.momentum, q), unit_array(self.units.velocity, q)
        return left[:, None] * self.lagrangian.mass_matrix(*self._natural(q, qd)) / right

    def forward_dynamics(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], tau: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        natural = self.lagrangian.forward_dynamics(
            *self._natural(q, qd), tau / unit_array(self.units.force, q)
        )
        return unit_array(self.units.acceleration, q) * natural

    def inverse_dynamics(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], qdd: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        natural = self.lagrangian.inverse_dynamics(
            *self._natural(q, qd), qdd / unit_array(self.units.acceleration, q)
        )
        return unit_array(self.units.force, q) * natural

    def forces(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], qdd: Float[Array, " n"]
    ) -> Forces:
        natural = self.lagrangian.forces(
            *self._natural(q, qd), qdd / unit_array(self.units.acceleration, q)
        )
        return Forces(*(unit_array(self.units.force, q) * force for force in natural))

    def _natural(
        self, q: Float[Array, " n"], qd: Float[Array, " n"]
    ) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
        return self.units.natural_q(q), self.units.natural_qd(qd)


class ScaledActuation(AbstractActuation):
    """Actuation in natural units, with arguments and results in SI units.

    **Arguments:** `actuation`, in natural units; `units`.
    """

    actuation: AbstractActuation
    units: Units = eqx.field(static=True)

    def __call__(self, q: Float[Array, " n"], action: Float[Array, " m"]) -> Float[Array, " n"]:
        natural = self.actuation(
            self.units.natural_q(q), action / unit_array(self.units.action, action)
        )
        return unit_array(self.units.force, q) * natural


class ScaledDissipation(AbstractDissipation):
    """Dissipation in natural units, with arguments and results in SI units.

    **Arguments:** `dissipation`, in natural units; `units`.
    """

    dissipation: AbstractDissipation
    units: Units = eqx.field(static=True)

    def __call__(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        natural = self.dissipation(self.units.natural_q(q), self.units.natural_qd(qd))
        return unit_array(self.units.force, q) * natural


class ScaledDynamics(AbstractDynamics):
    """Dynamics in natural units, with arguments and results in SI units.

    **Arguments:** `dynamics`, in natural units; `units`.
    """

    dynamics: AbstractDynamics
    units: Units = eqx.field(static=True)

    def forward_dynamics(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], action: Float[Array, " m"]
    ) -> Float[Array, " n"]:
        natural = self.dynamics.forward_dynamics(
            self.units.natural_q(q),
            self.units.natural_qd(qd),
            action / unit_array(self.units.action, action),
        )
        return unit_array(self.units.acceleration, q) * natural


def scaled_system(system: MechanicalSystem, units: Units) -> MechanicalSystem:
    """Convert a mechanical system in natural units to SI units.

    With `units.inverse()` it converts a system in SI units to natural units.
    """
    return MechanicalSystem(
        ScaledLagrangian(system.lagrangian, units),
        system.coordinates,
        ScaledActuation(system.actuation, units),
        ScaledDissipation(system.dissipation, units),
    )


def unscaled_system(system: MechanicalSystem) -> MechanicalSystem:
    """Return the system in natural units of which `scaled_system` made this one.

    **Raises:** `ValueError` if `scaled_system` did not make it.
    """
    lagrangian, actuation, dissipation = system.lagrangian, system.actuation, system.dissipation
    if not (
        isinstance(lagrangian, ScaledLagrangian)
        and isinstance(actuation, ScaledActuation)
        and isinstance(dissipation, ScaledDissipation)
    ):
        raise ValueError("`system` must be the result of `scaled_system`")
    return MechanicalSystem(
        lagrangian.lagrangian,
        system.coordinates,
        actuation.actuation,
        dissipation.dissipation,
    )
