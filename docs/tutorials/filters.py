# %% [markdown]
# # Weights as states
#
# In this tutorial an extended Kalman filter learns the weights of a Lagrangian. You read how
# sure the model is, draw models from the posterior, and let a model follow a change of the
# machine online. It runs in one minute on two cores.
#
# A filter treats the weights of a model as the hidden state of a system, and data as noisy
# observations of it (Das et al. 2026). It has no learning rate, learns from one sample at a
# time, and keeps a covariance of the weights.

# %%
import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

from lagdyna import State
from lagdyna.filters import KalmanLearner, coverage
from lagdyna.learners import Accelerations, GradientLearner, InverseLoss, fit
from lagdyna.mechanics import Coordinates, FixedActuation, MechanicalSystem
from lagdyna.models import DeLaN
from lagdyna.simulate import LagrangianField, SolvedTransition, rollout
from lagdyna.systems import Pendulum

HIDDEN = (16,)  # quick: (3,)
UPDATES = 200  # quick: 3
TICKS = 2000  # quick: 60

# %% [markdown]
# ## Data from a part of the circle
#
# A rod of 1 kg and 1 m turns about one end. The 150 samples have noise of 0.3 N m in the
# torque, and none of them comes from the upper half of the circle.

# %%
NOISE = 0.3  # N m
angle, motor = Coordinates((True,)), FixedActuation(((1.0,),))
rod = Pendulum.rod(gravity=9.81)


def samples(key, rows, low, high):
    """Sample states with angles in a range, accelerations, and noisy torques."""
    keys = jax.random.split(key, 4)
    q = jax.random.uniform(keys[0], (rows, 1), minval=low, maxval=high)
    qd = 3 * jax.random.normal(keys[1], (rows, 1))
    qdd = 10 * jax.random.normal(keys[2], (rows, 1))
    tau = jax.vmap(rod.inverse_dynamics)(q, qd, qdd)
    tau = tau + NOISE * jax.random.normal(keys[3], (rows, 1))
    return Accelerations(State(q, qd), tau, qdd)


seen = (np.pi / 2, 3 * np.pi / 2)  # the angle 0 is upright
data = samples(jax.random.key(0), 150, *seen)

# %% [markdown]
# ## Fit by a filter
#
# A filter is a learner like any other. `prior` says how far a weight may be from its start,
# `noise` is that of an observation in units of the loss, and `repeats` how often each sample
# is used, so that it counts once.

# %%
loss = InverseLoss(jnp.ones(1))  # errors in N m
learner = KalmanLearner(loss, prior=0.5, noise=NOISE, repeats=UPDATES * 15 / 150)
untrained = MechanicalSystem(DeLaN(angle, hidden=HIDDEN, key=jax.random.key(1)), angle, motor)
fitted = fit(untrained, learner, data, key=jax.random.key(2), steps=UPDATES, batch_size=15)
model = fitted.model
print("loss", *(f"{fitted.metrics['loss'][k]:.3f}" for k in (0, UPDATES // 2, -1)), "(N m)²")

# %% [markdown]
# `lagdyna fit LOG --learner ekf` does this for a log, and calibrates the posterior on
# validation data.
#
# ## How sure it is
#
# The posterior predicts any output of the model with a covariance. Here it is the torque that
# holds the rod, around the whole circle:

# %%
posterior = learner.posterior(model, fitted.state)
q, rest = jnp.linspace(0, 2 * jnp.pi, 121), jnp.zeros(1)


def holding(system):
    """Compute the torques that hold the rod at each angle, shape `(121,)`."""
    return jax.vmap(lambda a: system.inverse_dynamics(a[None], rest, rest)[0])(q)


mean, covariance = posterior.predict(holding)
width = 1.645 * jnp.sqrt(jnp.diag(covariance))  # 90 % of a normal distribution

figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
axes.axvspan(*seen, color="C2", alpha=0.12, lw=0, label="angles of the data")
axes.fill_between(q, mean - width, mean + width, alpha=0.3, lw=0, label="90 % interval")
axes.plot(q, mean, label="learned")
axes.plot(q, holding(MechanicalSystem(rod, angle, motor)), "C1--", label="true")
axes.set(xlabel="angle / rad", ylabel="holding torque / (N m)", ylim=(-12, 12))
axes.legend(ncols=4)
plt.show()

# %% [markdown]
# The interval is narrow where there are data and wider in the upper half of the circle, where
# there are none. It is as good as the linear approximation of the filter, so test it on data
# that were not learned from:

# %%
test = samples(jax.random.key(3), 500, *seen)
inside = coverage(posterior.standardised_errors(loss, test))
for level, part in zip((50, 90, 99), inside, strict=True):
    print(f"the {level} % interval holds {100 * part:.0f} % of unseen torques")

# %% [markdown]
# ## Models from the posterior
#
# `sample` draws whole models, and each of them is a valid Lagrangian. Simulate all of them
# from the same state at rest, and see for how long they agree:

# %%
members = posterior.sample(jax.random.key(4), 40)
start, free = State(jnp.array([1.2]), jnp.zeros(1)), jnp.zeros((80, 1))


def fall(system):
    """Simulate 4 s of free motion."""
    transition = SolvedTransition(LagrangianField(system), angle, 0.05, solver="tsit5")
    return rollout(transition, start, free).q[:, 0]


paths = np.unwrap(eqx.filter_jit(eqx.filter_vmap(fall))(members), axis=1)
figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
t = 0.05 * np.arange(81)
axes.plot(t, paths.T, color="C0", lw=0.5, alpha=0.4)
axes.plot(t, np.unwrap(fall(MechanicalSystem(rod, angle, motor))), "C1--", label="true")
axes.plot([], [], color="C0", label="40 models of the posterior")
axes.set(xlabel="time / s", ylabel="angle / rad")
axes.legend()
plt.show()

# %% [markdown]
# The models agree for a few tenths of a second, and then swing with other periods. They
# differ by more than the interval above: the linear approximation does not hold for weights
# as far apart as samples are. `lagdyna fit` scales the covariance on validation data for that
# reason (`calibration` in the report), and a smaller `prior` helps.
#
# ## Learn online
#
# Now the rod moves all the time, and after 5 s it picks up 0.5 kg at its tip. No learner
# receives the payload. A second filter starts from the posterior of the fit and receives one
# sample at each tick of a loop at 200 Hz. `process` is its noise of the weights, how far each
# may change in a tick. Adam, and a model that does not learn, receive the same samples.

# %%
DT = 0.005
t = DT * jnp.arange(TICKS)
speed = jnp.array([0.9, 2.3, 3.7])


def wave(t):
    """Compute the angle at a time."""
    return jnp.pi + 1.8 * jnp.sum(jnp.sin(speed * t) / jnp.array([1.0, 2.0, 3.0]))


derivatives = (wave, jax.grad(wave), jax.grad(jax.grad(wave)))
q, qd, qdd = (jax.vmap(f)(t)[:, None] for f in derivatives)
payload = jnp.where(t < TICKS * DT / 2, 0.0, 0.5)[:, None]  # kg at 1 m
tau = jax.vmap(rod.inverse_dynamics)(q, qd, qdd)
tau = tau + payload * (qdd - 9.81 * jnp.sin(q))
noisy = tau + NOISE * jax.random.normal(jax.random.key(5), tau.shape)
stream = Accelerations(State(q, qd), noisy, qdd)


@eqx.filter_jit
def online(learner, state):
    """Predict each torque, then learn from it; return the predictions."""
    arrays, static = eqx.partition(model, eqx.is_array)

    def tick(carry, row):
        arrays, state = carry
        system = eqx.combine(arrays, static)
        predicted = system.inverse_dynamics(*row.state, row.qdd)
        if learner is not None:
            batch = jax.tree.map(lambda x: x[None], row)
            system, state, _ = learner.update(system, state, batch)
        return (eqx.filter(system, eqx.is_array), state), predicted

    return jax.lax.scan(tick, (arrays, state), stream)[1]


following = KalmanLearner(loss, noise=NOISE, process=1e-3)
belief = following.init(model)._replace(belief=fitted.state.belief)
adam = GradientLearner(optax.adam(1e-3), loss)
predictions = {
    "fixed": online(None, None),
    "Adam": online(adam, adam.init(model)),
    "Kalman filter": online(following, belief),
}

figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
window = np.ones(50) / 50
for name, predicted in predictions.items():
    square = np.asarray((predicted - tau)[:, 0]) ** 2
    axes.semilogy(t, np.sqrt(np.convolve(square, window, mode="same")), label=name)
    late = np.sqrt(np.mean(square[-TICKS // 4 :]))
    print(f"{name:14} torque error in the last 2.5 s: {late:.2f} N m")
axes.axvline(TICKS * DT / 2, color="grey", ls=":", label="payload")
axes.set(xlabel="time / s", ylabel="torque error (0.25 s) / (N m)")
axes.legend(ncols=4)
plt.show()

# %% [markdown]
# The filter follows within tenths of a second, since each sample moves all weights by the
# covariance. Adam moves them along one gradient, and needs seconds. The error is that against
# torques without noise.
#
# On a machine the loop is not a `scan`: compile `learner.update` once with
# `equinox.filter_jit`, and call it at each tick. `lagdyna export RUN --what filter-update`
# writes it for other programs.
#
# ## Go on
#
# - [Learn online](../guides/online.md): an arm under control, and how to choose the noises.
# - [Filters](../concepts/filters.md): block-diagonal, low-rank, sigma-point, ensemble and
#   particle filters.
