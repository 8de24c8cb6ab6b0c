"""A model of your own: a port-Hamiltonian network (Zhong et al. 2020; Desai et al. 2021).

    lagdyna fit arm.npz --model examples/plugins/port_hamiltonian.py:PortHamiltonian
    lagdyna train Pendulum-v1 --model examples/plugins/port_hamiltonian.py:PortHamiltonian

The Hamiltonian `H`, the damping `D = L L'` and the input map `G` are learned:

    qd = dH/dp,    pd = -dH/dq - D(q) qd + G(q) u
"""

import jax
import jax.numpy as jnp

from lagdyna.mechanics import AbstractActuation, AbstractDissipation, Coordinates
from lagdyna.models import Network, StructuredHNN
from lagdyna.parts import DynamicsConfig
from lagdyna.simulate import HamiltonianField


class Damping(AbstractDissipation):
    """Force `-L(q) L(q)' qd` of a positive semidefinite damping matrix."""

    network: Network
    coordinates: Coordinates

    def __call__(self, q, qd):
        factor = self.network(self.coordinates.embed(q)).reshape(q.size, q.size)
        return -factor @ (factor.T @ qd)


class InputMap(AbstractActuation):
    """Force `G(q) u`: the known or constant map, corrected by a network."""

    constant: AbstractActuation
    network: Network
    coordinates: Coordinates

    def __call__(self, q, action):
        correction = self.network(self.coordinates.embed(q)).reshape(q.size, action.size)
        return self.constant(q, action) + correction @ action


class PortHamiltonian(DynamicsConfig, frozen=True, kw_only=True):
    """Port-Hamiltonian network; `hidden` are the widths of each of its four networks."""

    hidden: tuple[int, ...] = (64, 64)

    def build(self, plant, solver, key):
        keys, q, n = jax.random.split(key, 3), plant.coordinates, plant.n
        options = self.hidden, jnp.tanh
        damping, inputs = (
            Network(q.embedding_size, n * size, *options, output_scale=0.1, key=each)
            for size, each in zip((n, plant.action_size), keys[1:], strict=True)
        )
        energy = StructuredHNN(q, hidden=self.hidden, activation=jnp.tanh, key=keys[0])
        force = InputMap(plant.actuation, inputs, q)
        return solver.solve(HamiltonianField(energy, force, Damping(damping, q)), plant)
