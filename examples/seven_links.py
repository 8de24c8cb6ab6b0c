"""Learn the dynamics of a chain of seven links with a DeLaN and predict its motion.

The links are rods of 1 kg and 0.3 m. The model is fitted to torques of random motions and
evaluated on torques and free motions outside the training data. Torques near the pivot are
many times larger than those of the last joint, and all are correlated. A custom loss therefore
whitens the errors, so that small torques of the last links count as much as large ones.
"""

import time

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from lagdyna import State
from lagdyna.learners import AbstractLoss, Accelerations, GradientLearner, fit
from lagdyna.mechanics import Coordinates, FixedActuation, MechanicalSystem
from lagdyna.models import DeLaN
from lagdyna.simulate import LagrangianField, SolvedTransition, rollout
from lagdyna.systems import PlanarChain

N, UPDATES = 7, 40_000
chain = PlanarChain.rods(N, mass=1.0, length=0.3)
coordinates = Coordinates((True,) * N)
motors = FixedActuation(tuple(tuple(float(i == j) for j in range(N)) for i in range(N)))
truth = MechanicalSystem(chain, coordinates, motors)


@jax.jit
def random_motion(key: jax.Array) -> Accelerations:
    """Sample joints within 1 rad of hanging straight, with std 1 rad/s and 10 rad/s^2."""
    keys = jax.random.split(key, 3)
    q = jax.random.uniform(keys[0], (20_000, N), minval=-1, maxval=1).at[:, 0].add(jnp.pi)
    qd, qdd = (jax.random.normal(k, (20_000, N)) for k in keys[1:])
    tau = jax.vmap(chain.inverse_dynamics)(q, qd, 10 * qdd)
    return Accelerations(State(q, qd), tau, 10 * qdd)


class WhitenedInverseLoss(AbstractLoss[MechanicalSystem, Accelerations]):
    """Mean squared whitened torque error, with `whitening' whitening = cov^-1`."""

    whitening: jax.Array

    def __call__(self, model: MechanicalSystem, batch: Accelerations) -> jax.Array:
        tau = jax.vmap(model.inverse_dynamics)(batch.state.q, batch.state.qd, batch.qdd)
        return jnp.mean(((tau - batch.action) @ self.whitening.T) ** 2)


keys = jax.random.split(jax.random.key(0), 5)
data, unseen = random_motion(keys[0]), random_motion(keys[1])
optimiser = optax.adam(optax.cosine_decay_schedule(5e-3, UPDATES, 1e-3))
covariance = jnp.cov(data.action.T)
loss = WhitenedInverseLoss(jnp.linalg.inv(jnp.linalg.cholesky(covariance)))
learner = GradientLearner(optimiser, loss)
# Accelerations have std 10 rad/s^2, so this ratio estimates the inertia of each joint.
mass = tuple((jnp.sqrt(jnp.diag(covariance)) / 10).tolist())
delan = DeLaN(coordinates, hidden=(128, 128), initial_mass=mass, key=keys[2])
untrained = MechanicalSystem(delan, coordinates, motors)
start = time.perf_counter()
fitted = fit(untrained, learner, data, key=keys[3], steps=UPDATES, batch_size=512)
learned: MechanicalSystem = jax.block_until_ready(fitted.model)
seconds = time.perf_counter() - start


@eqx.filter_jit
def torques(system: MechanicalSystem, rows: Accelerations) -> jax.Array:
    """Compute the torques of every row, shape `(rows, 7)`."""
    return jax.vmap(system.inverse_dynamics)(rows.state.q, rows.state.qd, rows.qdd)


@eqx.filter_jit
def swing(system: MechanicalSystem) -> State:
    """Simulate free motions of two seconds, from rest with joints bent by up to 0.2 rad."""
    transition = SolvedTransition(
        LagrangianField(system), coordinates, 0.01, solver="dopri5", substeps=2
    )
    bent = jax.random.uniform(keys[4], (20, N), minval=-0.2, maxval=0.2).at[:, 0].add(jnp.pi)
    starts = State(bent, jnp.zeros((20, N)))
    return jax.vmap(lambda s: rollout(transition, s, jnp.zeros((200, N))))(starts)


off = torques(learned, unseen) - unseen.action
share = jnp.mean(off**2) / jnp.mean((unseen.action - unseen.action.mean(0)) ** 2)
print(
    f"{UPDATES} updates in {seconds:.0f} s; torque MSE on unseen motions is "
    f"{share:.1e} of the variance"
)
true, predicted = swing(truth), swing(learned)
error = coordinates.difference(predicted.q, true.q)
for step in (20, 50, 100, 200):
    rms = jnp.sqrt(jnp.mean(error[:, step] ** 2))
    moved = jnp.sqrt(jnp.mean(coordinates.difference(true.q[:, step], true.q[:, 0]) ** 2))
    print(f"after {0.01 * step:g} s: joints off by {rms:.3f} rad, moved by {moved:.2f} rad")
energy = jax.vmap(jax.vmap(chain.energy))(predicted.q, predicted.qd)
drift = jnp.max(jnp.abs(energy - energy[:, :1])) / jnp.max(
    energy[:, 0] - chain.energy(jnp.zeros(N).at[0].set(jnp.pi), jnp.zeros(N))
)
print(f"true energy along the predictions: off by at most {drift:.1%} of the largest swing's")
