import abc
import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Scalar

from ..mechanics import Coordinates, State
from ..models import Activation, Network


class Features(eqx.Module):
    """What policies and critics see of a state: embedded `q`, scaled `qd`.

    **Arguments:**

    - `coordinates`: which coordinates are angles.
    - `velocity_scale`: the magnitude that each velocity is divided by, length `n`.
    """

    coordinates: Coordinates
    velocity_scale: tuple[float, ...] = eqx.field(static=True)

    @property
    def size(self) -> int:
        """The length of the feature vector."""
        return self.coordinates.embedding_size + self.coordinates.n

    def __call__(self, state: State) -> Float[Array, " features"]:
        scale = jnp.asarray(self.velocity_scale, state.qd.dtype)
        return jnp.concatenate([self.coordinates.embed(state.q), state.qd / scale])


class AbstractPolicy(eqx.Module):
    """What acts: without noise when it is judged, with noise when it learns."""

    features: eqx.AbstractVar[Features]

    @abc.abstractmethod
    def mode(self, state: State) -> Float[Array, " m"]:
        """The action without noise, in `[-1, 1]^m`."""

    @abc.abstractmethod
    def sample(
        self, state: State, eps: Float[Array, " m"]
    ) -> tuple[Float[Array, " m"], Scalar]:
        """The action for the standard normal `eps`, and its log-probability density, 0 for a
        policy that is not stochastic."""


class NoisyPolicy(AbstractPolicy):
    """A deterministic policy, `tanh(mu(s))`, and noise beside it to learn from.

    **Arguments:** as for [`lagdyna.agents.Policy`][], and `noise`, the standard deviation of
    what is added to actions, which are then clipped to `[-1, 1]`.
    """

    network: Network
    features: Features
    noise: float = eqx.field(static=True)

    def __init__(
        self,
        features: Features,
        action_size: int,
        *,
        hidden: tuple[int, ...],
        activation: Activation,
        noise: float,
        key: PRNGKeyArray,
    ):
        self.network = Network(
            features.size,
            action_size,
            hidden,
            activation,
            output_scale=0.1,
            linear=False,
            key=key,
        )
        self.features = features
        self.noise = noise

    def mode(self, state: State) -> Float[Array, " m"]:
        """`tanh(mu)`."""
        return jnp.tanh(self.network(self.features(state)))

    def sample(
        self, state: State, eps: Float[Array, " m"]
    ) -> tuple[Float[Array, " m"], Scalar]:
        """`tanh(mu)` and noise, clipped, and 0."""
        action = jnp.clip(self.mode(state) + self.noise * eps, -1, 1)
        return action, jnp.zeros((), action.dtype)


class Policy(AbstractPolicy):
    """A stochastic policy: a Gaussian squashed into `[-1, 1]^m`.

    `action = tanh(mu(s) + sigma(s) eps)` with `eps ~ N(0, I)` (Ramesh & Ravindran 2023). `mu`
    stays within 3, where `tanh` is 0.995 and has not lost its slope yet (Dreamer, Hafner et
    al. 2020, stops at 5), so that a bad model drives no policy further than that.

    **Arguments:**

    - `features`: what it sees of a state.
    - `action_size`: `m`.
    - `hidden`: widths of the hidden layers.
    - `activation`: elementwise.
    - `initial_sigma`: `sigma` before training.
    - `key`: for the initial weights.
    """

    network: Network
    features: Features
    shift: float = eqx.field(static=True)

    def __init__(
        self,
        features: Features,
        action_size: int,
        *,
        hidden: tuple[int, ...],
        activation: Activation,
        initial_sigma: float = 0.5,
        key: PRNGKeyArray,
    ):
        self.network = Network(
            features.size,
            2 * action_size,
            hidden,
            activation,
            output_scale=0.1,
            linear=False,
            key=key,
        )
        self.features = features
        self.shift = math.log(math.expm1(initial_sigma - _MIN_SIGMA))

    def distribution(self, state: State) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
        """`mu` and `sigma` of the Gaussian before squashing, each `(m,)`."""
        mu, raw = jnp.split(self.network(self.features(state)), 2)
        mu = _MAX_MU * jnp.tanh(mu / _MAX_MU)
        return mu, jax.nn.softplus(raw + self.shift) + _MIN_SIGMA

    def mode(self, state: State) -> Float[Array, " m"]:
        """The action without noise, `tanh(mu)`."""
        return jnp.tanh(self.distribution(state)[0])

    def sample(
        self, state: State, eps: Float[Array, " m"]
    ) -> tuple[Float[Array, " m"], Scalar]:
        """The action for the standard normal `eps`, and its log-probability density."""
        mu, sigma = self.distribution(state)
        u = mu + sigma * eps
        gaussian = -0.5 * (eps**2 + math.log(2 * math.pi)) - jnp.log(sigma)
        # log(1 - tanh(u)^2), in a form that does not underflow for large u
        log_slope = 2 * (math.log(2) - u - jax.nn.softplus(-2 * u))
        return jnp.tanh(u), jnp.sum(gaussian - log_slope)


class Critic(eqx.Module):
    """An estimate of the discounted return from a state.

    **Arguments:** as for [`lagdyna.agents.Policy`][].
    """

    network: Network
    features: Features

    def __init__(
        self,
        features: Features,
        *,
        hidden: tuple[int, ...],
        activation: Activation,
        key: PRNGKeyArray,
    ):
        self.network = Network(
            features.size,
            1,
            hidden,
            activation,
            output_scale=0.1,
            linear=False,
            key=key,
        )
        self.features = features

    def __call__(self, state: State) -> Scalar:
        return self.network(self.features(state))[0]


_MIN_SIGMA = 1e-2
_MAX_MU = 3.0
