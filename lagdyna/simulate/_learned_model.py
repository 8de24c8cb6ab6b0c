import equinox as eqx
import jax
import jax.export
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from ..mechanics import (
    AbstractDynamics,
    AbstractLagrangian,
    Forces,
    MechanicalSystem,
    ScaledDynamics,
    Signals,
    State,
    Units,
    scaled_system,
)
from ._rollout import rollout
from ._scaled_transition import ScaledTransition
from ._signal_transition import signals_of, without_signals
from ._transition import AbstractTransition, SolvedTransition
from ._vector_field import AccelerationField, HamiltonianField, LagrangianField
from ._vectors import Values, vectors


class LearnedModel(eqx.Module):
    """Learned simulator with its mechanics: a PyTree for `jit`, `vmap` and `grad`.

    A quantity that the model does not have, such as the mass matrix of a neural ODE, raises a
    `ValueError` that names the models that have it; so does an argument of another shape.
    Methods take single states, also as lists; use `jax.vmap` for a batch.

    If sensors and motors were learned too (`signals`), methods take measured positions and
    commands. `lagrangian`, `system` and `dynamics` are those of true positions and of the
    control that acts.

    **Attributes:**

    - `transition`: the dynamics from one action to the next.
    """

    transition: AbstractTransition

    @property
    def signals(self) -> Signals | None:
        """Learned model of sensors and motors; `None` without one."""
        return signals_of(self.transition)

    @property
    def lagrangian(self) -> AbstractLagrangian:
        """Learned Lagrangian."""
        return self.system.lagrangian

    @property
    def system(self) -> MechanicalSystem:
        """Learned Lagrangian with its actuation and friction."""
        field = self._field
        if not isinstance(field, LagrangianField):
            raise ValueError(self._without("Lagrangian", "delan and lnn"))
        return field.system if self.units is None else scaled_system(field.system, self.units)

    @property
    def dynamics(self) -> AbstractDynamics:
        """Part that computes accelerations."""
        field = self._field
        if isinstance(field, LagrangianField):
            return self.system
        if isinstance(field, AccelerationField):
            if self.units is None:
                return field.dynamics
            return ScaledDynamics(field.dynamics, self.units)
        raise ValueError(self._without("acceleration", "delan, lnn and neural-ode"))

    def step(self, state: State, action: Float[Array, " m"]) -> State:
        """Compute the state one `dt` later; a learned delay or lag does not act."""
        return self.transition.step(self._state(state), action)

    def rollout(self, state: State, actions: Float[Array, "time m"]) -> State:
        """Compute the states under a sequence of actions, the start included.

        A learned delay or lag acts on the sequence. The first action is assumed before it.
        """
        if self.signals is not None:
            actions = self.signals.filtered(actions)
        return rollout(self.transition, self._state(state), actions)

    def forward_dynamics(self, q: Values, qd: Values, action: Values) -> Float[Array, " n"]:
        """Compute the acceleration under an action, shape `(n,)`."""
        q, qd = self._vectors(q=q, qd=qd)
        action = jnp.asarray(action, q.dtype)
        if self.signals is not None:
            action = self.signals.acting(action)
        return self.dynamics.forward_dynamics(q, qd, action)

    def inverse_dynamics(self, q: Values, qd: Values, qdd: Values) -> Float[Array, " n"]:
        """Compute the generalised force that produces `qdd`, N or N m, shape `(n,)`."""
        owner = self.system  # first, since it says which models have one
        return owner.inverse_dynamics(*self._vectors(q=q, qd=qd, qdd=qdd))

    def forces(self, q: Values, qd: Values, qdd: Values) -> Forces:
        """Split the force of the Lagrangian into inertial, Coriolis and conservative parts.

        With `friction` and a learned residual, they add up to `inverse_dynamics`. Each part has
        shape `(n,)`.
        """
        owner = self.lagrangian  # first, since it says which models have one
        return owner.forces(*self._vectors(q=q, qd=qd, qdd=qdd))

    def gravity(self, q: Values) -> Float[Array, " n"]:
        """Compute the force that holds the system at rest against gravity and springs.

        Friction is not part of it. Shape `(n,)`.
        """
        owner = self.lagrangian
        (q,) = self._vectors(q=q)
        rest = jnp.zeros_like(q)
        return owner.forces(q, rest, rest).conservative

    def coriolis(self, q: Values, qd: Values) -> Float[Array, " n"]:
        """Compute Coriolis and centrifugal forces, a part of `inverse_dynamics`: `(n,)`."""
        owner = self.lagrangian
        q, qd = self._vectors(q=q, qd=qd)
        return owner.forces(q, qd, jnp.zeros_like(q)).coriolis

    def friction(self, q: Values, qd: Values) -> Float[Array, " n"]:
        """Compute the force that overcomes friction, a part of `inverse_dynamics`: `(n,)`.

        It has the sign of the velocity.
        """
        owner = self.system
        return -owner.dissipation(*self._vectors(q=q, qd=qd))

    def potential(self, q: Values) -> Scalar:
        """Compute the potential energy, in joules if forces were recorded.

        Its zero is arbitrary.
        """
        owner = self.lagrangian
        (q,) = self._vectors(q=q)
        return owner.energy(q, jnp.zeros_like(q))

    def mass_matrix(self, q: Values, qd: Values) -> Float[Array, "n n"]:
        """Compute the mass matrix, shape `(n, n)`."""
        owner = self.lagrangian
        return owner.mass_matrix(*self._vectors(q=q, qd=qd))

    def energy(self, q: Values, qd: Values) -> Scalar:
        """Compute the learned energy, in joules if forces were recorded."""
        field = self._field
        if isinstance(field, HamiltonianField):
            q, qd = self._vectors(q=q, qd=qd)
            if self.units is None:
                return field.hamiltonian.energy(q, qd)
            natural = self.units.natural(State(q, qd))
            return self.units.energy * field.hamiltonian.energy(*natural)
        owner = self.system
        return owner.energy(*self._vectors(q=q, qd=qd))

    @property
    def has_energy(self) -> bool:
        """Whether the model has an energy."""
        return isinstance(self._field, LagrangianField | HamiltonianField)

    @property
    def has_accelerations(self) -> bool:
        """Whether the model gives accelerations."""
        return isinstance(self._field, LagrangianField | AccelerationField)

    @property
    def has_lagrangian(self) -> bool:
        """Whether the model is a Lagrangian."""
        return isinstance(self._field, LagrangianField)

    def export_inverse_dynamics(self) -> jax.export.Exported:
        """Export the inverse dynamics as a program for a control loop, traced ahead of time.

        **Returns:** a `jax.export.Exported` of `(q, qd, qdd)`, each `(n,)` in the precision
        of the model, for the platform that it was made on. `jax.jit(exported.call)` runs
        it; `exported.serialize()` makes bytes of it, which need neither this library nor
        its sources, where the package flatbuffers is installed.

        **Raises:** `ValueError` if the model is no Lagrangian.
        """
        leaf = jax.tree.leaves(eqx.filter(self.system, eqx.is_inexact_array))[0]
        each = jax.ShapeDtypeStruct((self.transition.coordinates.n,), leaf.dtype)
        program = jax.jit(lambda *arguments: self.inverse_dynamics(*arguments))
        return jax.export.export(program)(each, each, each)

    def _vectors(self, **given: Values) -> list[Float[Array, " n"]]:
        """Check arguments of the mechanics, and convert measured positions to true ones."""
        system = self.system if self.has_lagrangian else self.transition
        q, *others = vectors(dict.fromkeys(given, system.coordinates.n), **given)
        if self.signals is not None:
            q = self.signals.true(State(q, q)).q
        return [q, *others]

    def _state(self, state: State) -> State:
        """Check a state of the transition."""
        if not isinstance(state, State):
            raise ValueError(
                f"`state` was of type {type(state).__name__}; a `lagdyna.State` of q and qd is "
                "accepted"
            )
        n = self.transition.coordinates.n
        sizes: dict[str, int] = {"state.q": n, "state.qd": n}
        return State(*vectors(sizes, **{"state.q": state.q, "state.qd": state.qd}))

    @property
    def units(self) -> Units | None:
        """Units that the model was learned in; `None` for SI units."""
        transition = without_signals(self.transition)
        return transition.units if isinstance(transition, ScaledTransition) else None

    @property
    def _natural(self) -> AbstractTransition:
        """Transition in the units that the model was learned in."""
        transition = without_signals(self.transition)
        return transition.transition if isinstance(transition, ScaledTransition) else transition

    @property
    def _field(self) -> object:
        transition = self._natural
        return transition.field if isinstance(transition, SolvedTransition) else None

    def _without(self, what: str, who: str) -> str:
        field = self._field
        name = type(self._natural if field is None else field).__name__
        return f"a `{name}` has no {what}; of the models that a config names, {who} do"
