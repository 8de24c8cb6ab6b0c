from jaxtyping import Array, Float, Scalar

from ._actuation import AbstractActuation
from ._coordinates import Coordinates
from ._dissipation import AbstractDissipation, NoDissipation
from ._dynamics import AbstractDynamics
from ._lagrangian import AbstractLagrangian


class MechanicalSystem(AbstractDynamics):
    """Mechanical system: a Lagrangian with actuation and dissipation.

        d/dt dL/dqd - dL/dq = B(q) action + dissipation(q, qd)

    **Arguments:**

    - `lagrangian`: an analytic or learned Lagrangian.
    - `coordinates`: which coordinates are angles.
    - `actuation`: the map from an action in `[-1, 1]^m` to a generalised force.
    - `dissipation`: dissipative force, such as friction; none by default.
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
        """Compute the generalised force of the actuators that causes `qdd`, shape `(n,)`.

        It includes the force that compensates the dissipation.
        """
        return self.lagrangian.inverse_dynamics(q, qd, qdd) - self.dissipation(q, qd)

    def energy(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Scalar:
        """Compute the energy of the Lagrangian, joules."""
        return self.lagrangian.energy(q, qd)
