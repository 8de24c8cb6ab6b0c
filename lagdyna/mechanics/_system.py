from jaxtyping import Array, Float, Scalar

from ._actuation import AbstractActuation
from ._coordinates import Coordinates
from ._dissipation import AbstractDissipation, AbstractForce, NoDissipation
from ._dynamics import AbstractDynamics
from ._lagrangian import AbstractLagrangian


class MechanicalSystem(AbstractDynamics):
    """Mechanical system: a Lagrangian with actuation and dissipation.

        d/dt dL/dqd - dL/dq = B(q) action + dissipation(q, qd) + residual(q, qd)

    **Arguments:**

    - `lagrangian`: an analytic or learned Lagrangian.
    - `coordinates`: which coordinates are angles.
    - `actuation`: the map from an action in `[-1, 1]^m` to a generalised force.
    - `dissipation`: dissipative force, such as friction; none by default.
    - `residual`: any other force, such as a learned one; none by default.
    """

    lagrangian: AbstractLagrangian
    coordinates: Coordinates
    actuation: AbstractActuation
    dissipation: AbstractDissipation = NoDissipation()
    residual: AbstractForce | None = None

    def forward_dynamics(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], action: Float[Array, " m"]
    ) -> Float[Array, " n"]:
        self._check(q=q, qd=qd)
        tau = self.actuation(q, action) + self._passive(q, qd)
        return self.lagrangian.forward_dynamics(q, qd, tau)

    def inverse_dynamics(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], qdd: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        """Compute the generalised force of the actuators that causes `qdd`, shape `(n,)`.

        It includes the force that compensates the dissipation and the residual.
        """
        self._check(q=q, qd=qd, qdd=qdd)
        return self.lagrangian.inverse_dynamics(q, qd, qdd) - self._passive(q, qd)

    def energy(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Scalar:
        """Compute the energy of the Lagrangian, joules."""
        self._check(q=q, qd=qd)
        return self.lagrangian.energy(q, qd)

    def _passive(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        force = self.dissipation(q, qd)
        return force if self.residual is None else force + self.residual(q, qd)

    def _check(self, **given: object) -> None:
        """Raise `ValueError` for arguments that are no vectors of `n` numbers."""
        shape = (self.coordinates.n,)
        for name, value in given.items():
            found = getattr(value, "shape", None)
            if found is None:
                raise ValueError(
                    f"`{name}` was of type {type(value).__name__}; an array of shape {shape} "
                    "is accepted"
                )
            if found != shape:
                batch = "; use `jax.vmap` for a batch" if len(found) > 1 else ""
                raise ValueError(
                    f"`{name}` has shape {found}; an array of shape {shape} is accepted{batch}"
                )
