import abc

import equinox as eqx
from jaxtyping import Array, Float, Scalar

from ..mechanics import (
    AbstractActuation,
    AbstractDissipation,
    AbstractDynamics,
    AbstractHamiltonian,
    MechanicalSystem,
    NoDissipation,
    State,
)

RealScalarLike = float | int | Scalar


class AbstractVectorField(eqx.Module):
    """Right-hand side of an equation of motion, in the field's own variables.

    Most fields integrate `(q, qd)`. A Hamiltonian field integrates `(q, p)`. `encode`
    converts a state to the field's variables before the solver runs, and `decode` converts
    it back. The encoded variables are a `State` too; a Hamiltonian field stores `p` in `qd`.
    """

    @abc.abstractmethod
    def __call__(self, t: RealScalarLike, state: State, action: Float[Array, " m"]) -> State:
        """Compute the time derivative of an encoded state.

        **Arguments:**

        - `t`: time in seconds since the start of the step.
        - `state`: an encoded state, shapes `(n,)`.
        - `action`: the action, shape `(m,)`.
        """

    @abc.abstractmethod
    def encode(self, state: State) -> State:
        """Convert the state `(q, qd)` to the field's variables."""

    @abc.abstractmethod
    def decode(self, state: State) -> State:
        """Convert the field's variables to the state `(q, qd)`."""


class AbstractSecondOrderField(AbstractVectorField):
    """Second-order vector field in `(q, qd)`. Subclasses define the acceleration."""

    @abc.abstractmethod
    def acceleration(
        self,
        t: RealScalarLike,
        q: Float[Array, " n"],
        qd: Float[Array, " n"],
        action: Float[Array, " m"],
    ) -> Float[Array, " n"]:
        """Compute the acceleration `qdd`, shape `(n,)`.

        **Arguments:**

        - `t`: time in seconds since the start of the step.
        - `q`, `qd`: coordinates and velocities, shapes `(n,)`.
        - `action`: the action, shape `(m,)`.
        """

    def __call__(self, t: RealScalarLike, state: State, action: Float[Array, " m"]) -> State:
        return State(state.qd, self.acceleration(t, state.q, state.qd, action))

    def encode(self, state: State) -> State:
        return state

    def decode(self, state: State) -> State:
        return state


class LagrangianField(AbstractSecondOrderField):
    """Vector field of a mechanical system, analytic or learned.

    [`lagdyna.simulate.VariationalMidpoint`][] accepts only this field, because it needs the
    Lagrangian.

    **Arguments:**

    - `system`: the [`lagdyna.mechanics.MechanicalSystem`][] to simulate.
    """

    system: MechanicalSystem

    def acceleration(
        self,
        t: RealScalarLike,
        q: Float[Array, " n"],
        qd: Float[Array, " n"],
        action: Float[Array, " m"],
    ) -> Float[Array, " n"]:
        del t  # lagdyna's Lagrangians are time-invariant
        return self.system.forward_dynamics(q, qd, action)


class AccelerationField(AbstractSecondOrderField):
    """Vector field of a model that predicts accelerations.

    **Arguments:**

    - `dynamics`: the model, for example a [`lagdyna.models.NeuralODE`][].
    """

    dynamics: AbstractDynamics

    def acceleration(
        self,
        t: RealScalarLike,
        q: Float[Array, " n"],
        qd: Float[Array, " n"],
        action: Float[Array, " m"],
    ) -> Float[Array, " n"]:
        del t
        return self.dynamics.forward_dynamics(q, qd, action)


class HamiltonianField(AbstractVectorField):
    """Vector field of Hamilton's equations, integrated in `(q, p)`.

        qd = dH/dp,    pd = -dH/dq + tau

    **Arguments:**

    - `hamiltonian`: a [`lagdyna.mechanics.AbstractHamiltonian`][].
    - `actuation`: the map from an action to a generalised force.
    - `dissipation`: friction forces, evaluated at the velocity `dH/dp`. None by default.
    """

    hamiltonian: AbstractHamiltonian
    actuation: AbstractActuation
    dissipation: AbstractDissipation = NoDissipation()

    def __call__(self, t: RealScalarLike, state: State, action: Float[Array, " m"]) -> State:
        del t
        dh_dq, velocity = self.hamiltonian.gradient(state.q, state.qd)
        tau = self.actuation(state.q, action) + self.dissipation(state.q, velocity)
        return State(velocity, tau - dh_dq)

    def encode(self, state: State) -> State:
        return State(state.q, self.hamiltonian.momentum(state.q, state.qd))

    def decode(self, state: State) -> State:
        return State(state.q, self.hamiltonian.velocity(state.q, state.qd))
