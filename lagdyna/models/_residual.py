import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..mechanics import AbstractDynamics, AbstractForce, Coordinates, MechanicalSystem, frozen
from ._activation import Activation, softplus
from ._network import Network


class ResidualAcceleration(AbstractDynamics):
    """Known dynamics plus a learned residual acceleration, `qdd = known + learned`.

    **Arguments:**

    - `known`: the known dynamics.
    - `learned`: the residual acceleration, such as a [`lagdyna.models.NeuralODE`][].
    - `learn_known`: whether the parameters of `known` are learned too.
    """

    known: AbstractDynamics
    learned: AbstractDynamics
    learn_known: bool = eqx.field(static=True, default=False)

    def forward_dynamics(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], action: Float[Array, " m"]
    ) -> Float[Array, " n"]:
        known = self.known if self.learn_known else frozen(self.known)
        residual = self.learned.forward_dynamics(q, qd, action)
        return known.forward_dynamics(q, qd, action) + residual


class ResidualForce(AbstractDynamics):
    """Known system plus a learned generalised force, `network(q, qd, action)`.

    The learned force (N or N m) represents everything that the known system omits. It need be
    neither conservative nor dissipative.

    **Arguments:**

    - `known`: the known system, with its actuation and dissipation.
    - `action_size`: number of actions, `m`.
    - `hidden`: widths of the hidden layers.
    - `activation`: elementwise activation function.
    - `learn_known`: whether the parameters of `known` are learned too.
    - `key`: PRNG key of the initial weights.
    """

    known: MechanicalSystem
    network: Network
    learn_known: bool = eqx.field(static=True)

    def __init__(
        self,
        known: MechanicalSystem,
        action_size: int,
        *,
        hidden: tuple[int, ...] = (64, 64),
        activation: Activation = softplus,
        learn_known: bool = False,
        key: PRNGKeyArray,
    ):
        coordinates = known.coordinates
        in_size = coordinates.embedding_size + coordinates.n + action_size
        self.known = known
        self.network = Network(
            in_size, coordinates.n, hidden, activation, output_scale=0.1, key=key
        )
        self.learn_known = learn_known

    def force(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], action: Float[Array, " m"]
    ) -> Float[Array, " n"]:
        """Compute the learned generalised force, shape `(n,)`, N or N m."""
        return self.network(jnp.concatenate([self.known.coordinates.embed(q), qd, action]))

    def forward_dynamics(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], action: Float[Array, " m"]
    ) -> Float[Array, " n"]:
        known = self.known if self.learn_known else frozen(self.known)
        tau = known.actuation(q, action) + known.dissipation(q, qd)
        return known.lagrangian.forward_dynamics(q, qd, tau + self.force(q, qd, action))


class NetworkForce(AbstractForce):
    """Generalised force by a network of position, or of velocity too, 0 before training.

    It need be neither conservative nor dissipative.

    **Arguments:**

    - `coordinates`: which coordinates are angles.
    - `velocity`: usual size of each velocity, length `n`; the network takes velocities
        divided by it, or positions alone if it is `None`.
    - `force`: usual size of each force, length `n`; outputs are multiplied by it.
    - `hidden`, `activation`: widths of the hidden layers, and the activation function.
    - `key`: PRNG key of the initial weights.
    """

    network: Network
    coordinates: Coordinates
    velocity: tuple[float, ...] | None = eqx.field(static=True)
    force: tuple[float, ...] = eqx.field(static=True)

    def __init__(
        self,
        coordinates: Coordinates,
        velocity: tuple[float, ...] | None,
        force: tuple[float, ...],
        *,
        hidden: tuple[int, ...] = (64, 64),
        activation: Activation = softplus,
        key: PRNGKeyArray,
    ):
        size = coordinates.embedding_size + (0 if velocity is None else coordinates.n)
        self.network = Network(
            size, coordinates.n, hidden, activation, output_scale=0.0, key=key
        )
        self.coordinates, self.velocity, self.force = coordinates, velocity, force

    def __call__(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        features = self.coordinates.embed(q)
        if self.velocity is not None:
            scaled = qd / jnp.asarray(self.velocity, qd.dtype)
            features = jnp.concatenate([features, scaled])
        return self.network(features) * jnp.asarray(self.force, q.dtype)
