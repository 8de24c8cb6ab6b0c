"""Systems, data and untrained model of the learning curves."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from ...data import Experience
from ...learners import OneStepLoss, step_scale
from ...mechanics import Coordinates, FixedActuation, MechanicalSystem, State
from ...models import DeLaN
from ...simulate import LagrangianField, SolvedTransition, rollout
from ...systems import Pendulum, PlanarChain

TASKS = ("pendulum", "acrobot", "cart2pole")
STEPS, TRAINING, UNSEEN = 200, 8, 5  # per episode; episodes to learn from and unseen ones
ROWS = TRAINING * STEPS


class Task(NamedTuple):
    """System of Ramesh & Ravindran's suite, and the sampling of its experience.

    **Attributes:**

    - `system`: the true one, from the action to accelerations.
    - `dt`: seconds between two actions.
    - `hanging`: coordinates `(n,)` from which episodes start, m or rad.
    - `hold`: steps for which each random action is held.
    - `initial_mass`: diagonal of a model's mass matrix before training, kg or kg m^2.
    """

    system: MechanicalSystem
    dt: float
    hanging: tuple[float, ...]
    hold: int
    initial_mass: tuple[float, ...]


def make_task(name: str) -> Task:
    """Create `pendulum`, `acrobot` or `cart2pole`."""
    up, down = 0.0, float(np.pi)
    if name == "pendulum":
        angle, torque = Coordinates((True,)), FixedActuation(((2.0,),))
        system = MechanicalSystem(Pendulum.point_mass(), angle, torque)
        return Task(system, 0.02, (down,), 10, (1.0,))
    if name == "acrobot":
        chain, elbow = PlanarChain.rods(2), FixedActuation(((0.0,), (1.75,)))
        system = MechanicalSystem(chain, chain.coordinates, elbow)
        return Task(system, 0.01, (down, up), 5, (0.1, 0.1))
    chain, force = PlanarChain.rods(2, cart_mass=1.0), FixedActuation(((10.0,), (0.0,), (0.0,)))
    system = MechanicalSystem(chain, chain.coordinates, force)
    return Task(system, 0.01, (0.0, down, up), 10, (1.0, 0.1, 0.1))


def episodes(task: Task, key: PRNGKeyArray, count: int) -> Experience:
    """Simulate episodes of random actions that start hanging, and shuffle their steps.

    **Returns:** an `Experience` with a leading axis of `200 count`; its rewards are 0.
    """
    n = len(task.hanging)
    keys = jax.random.split(key, 3)
    held = jax.random.uniform(keys[0], (count, STEPS // task.hold, 1), minval=-1, maxval=1)
    actions = jnp.repeat(held, task.hold, axis=1)
    q = jnp.asarray(task.hanging) + 0.01 * jax.random.normal(keys[1], (count, n))
    transition = SolvedTransition(
        LagrangianField(task.system),
        task.system.coordinates,
        task.dt,
        solver="tsit5",
        substeps=4,
    )
    start = State(transition.coordinates.wrap(q), jnp.zeros_like(q))
    states = jax.vmap(lambda s, a: rollout(transition, s, a))(start, actions)
    before, after = (
        jax.tree.map(lambda x, part=part: x[:, part].reshape(-1, n), states)
        for part in (slice(None, -1), slice(1, None))
    )
    zeros = jnp.zeros(count * STEPS)
    steps = Experience(before, actions.reshape(-1, 1), zeros, after, zeros.astype(bool))
    order = jax.random.permutation(keys[2], count * STEPS)
    return jax.tree.map(lambda x: x[order], steps)


_episodes = eqx.filter_jit(episodes)


class Problem(NamedTuple):
    """Model, loss and data that all learners of a seed share.

    **Attributes:** `model`, untrained; `loss`, with the scales of the data; `data`, in a
    random order; `unseen`, steps of other episodes; `key`, for the batches.
    """

    model: SolvedTransition
    loss: OneStepLoss
    data: Experience
    unseen: Experience
    key: PRNGKeyArray


def prepare(task: Task, seed: int, hidden: tuple[int, ...] = (16, 16)) -> Problem:
    """Create the data of a seed and a DeLaN with known actuation, solved by Heun's method."""
    keys = jax.random.split(jax.random.key(seed), 4)
    coordinates = task.system.coordinates
    data, unseen = _episodes(task, keys[0], TRAINING), _episodes(task, keys[1], UNSEEN)
    delan = DeLaN(
        coordinates,
        hidden=hidden,
        activation=jnp.tanh,
        initial_mass=task.initial_mass,
        key=keys[2],
    )
    system = MechanicalSystem(delan, coordinates, task.system.actuation)
    model = SolvedTransition(LagrangianField(system), coordinates, task.dt)
    loss = OneStepLoss(step_scale(data, coordinates))
    return Problem(model, loss, data, unseen, keys[3])
