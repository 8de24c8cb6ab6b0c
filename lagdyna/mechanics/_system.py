from jaxtyping import Array, Float, Scalar

from ._actuation import AbstractActuation
from ._coordinates import Coordinates
from ._dissipation import AbstractDissipation, NoDissipation
from ._dynamics import AbstractDynamics
from ._lagrangian import AbstractLagrangian


class MechanicalSystem(AbstractDynamics):
    """A Lagrangian with what drives it and what brakes it.

        d/dt dL/dqd - dL/dq = B(q) action + dissipation(q, qd)

    **Arguments:**

    - `lagrangian`: analytic or learned.
    - `coordinates`: which coordinates are angles.
    - `actuation`: the map from an action in `[-1, 1]^m` to a generalised force.
    - `dissipation`: friction; none by default.
    """

    lagrangian: AbstractLagrangian
    coordinates: Coordinates
    actuation: AbstractActuation
    dissipation: AbstractDissipation = NoDissipation()

    def forward_dynamics(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], action: Float[Array, " m"]
    ) -> Float[Array, " n"]:
        tau = self.actuation(q, action) + self.dissipation(q, qd)
        return self.lagrangian.forward_dynamics(q, qd, tau)

    def inverse_dynamics(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], qdd: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        """Generalised force that the actuators must supply for `qdd`, shape `(n,)`."""
        return self.lagrangian.inverse_dynamics(q, qd, qdd) - self.dissipation(q, qd)

    def energy(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Scalar:
        """Energy of the Lagrangian, joules."""
        return self.lagrangian.energy(q, qd)
