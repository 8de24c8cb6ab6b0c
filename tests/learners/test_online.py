"""Online learning: a filter adapts to a changed system one sample at a time."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from lagdyna.filters import KalmanLearner
from lagdyna.learners import Accelerations, InverseLoss, fit, root_mean_square
from lagdyna.mechanics import State
from lagdyna.models import DeLaN

from ..helpers import PENDULUM, built, pendulum_system


@jax.jit
def motion(load: Array, key: Array) -> Accelerations:
    """Record six seconds at 100 Hz of a rod with a payload at its tip, with noisy torques."""
    wave_key, noise_key = jax.random.split(key)
    rates = jnp.asarray([0.7, 1.9, 3.1])
    phases = 2 * jnp.pi * jax.random.uniform(wave_key, (3,))
    q = lambda t: jnp.sum(jnp.sin(rates * t + phases) / rates)[None]  # noqa: E731
    qd = jax.jacfwd(q)
    t = 0.01 * jnp.arange(600)
    state, qdd = State(jax.vmap(q)(t), jax.vmap(qd)(t)), jax.vmap(jax.jacfwd(qd))(t)
    # A rod of 1 kg and 1 m, upright at 0.
    tau = (1 / 3 + load) * qdd - (1 / 2 + load) * 9.81 * jnp.sin(state.q)
    return Accelerations(state, tau + 0.05 * jax.random.normal(noise_key, tau.shape), qdd)


def test_the_filter_adapts_to_a_payload_online_in_one_program(
    compilations: Callable[[], int],
) -> None:
    keys = jax.random.split(jax.random.key(0), 5)
    data = motion(jnp.asarray(0.0), keys[0])
    loss = InverseLoss(root_mean_square(data.action))
    delan = built(DeLaN, PENDULUM, hidden=(12,), key=keys[1])
    offline = KalmanLearner(loss, noise=0.02)
    fitted = fit(pendulum_system(1.0, delan), offline, data, key=keys[2], steps=300)

    learner = KalmanLearner(loss, noise=0.05, process=1e-3)
    model, state = fitted.model, learner.init(fitted.model)
    state = state._replace(belief=fitted.state.belief)
    error = eqx.filter_jit(lambda model, data: jnp.sqrt(loss(model, data)))
    empty, loaded = (motion(jnp.asarray(load), keys[3]) for load in (0.0, 1.0))
    assert float(error(model, empty)) < 0.05
    fixed = float(error(model, loaded))

    # A single motion covers only a part of the circle, so use four.
    driven = [motion(jnp.asarray(1.0), key) for key in jax.random.split(keys[4], 4)]
    samples = jax.tree.map(lambda *x: jnp.concatenate(x), *driven)
    sample = jax.jit(lambda i: jax.tree.map(lambda x: x[i][None], samples))
    update = eqx.filter_jit(learner.update)
    model, state, _ = update(model, state, sample(0))
    compiled = compilations()
    for i in range(1, 2400):
        model, state, metrics = update(model, state, sample(i))
        assert float(metrics["skipped"]) == 0
    assert compilations() == compiled
    assert float(error(model, loaded)) < 0.15 * fixed
