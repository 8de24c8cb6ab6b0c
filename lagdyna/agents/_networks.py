"""Networks of the agents: policies, and the critic of states."""

import abc
import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Scalar

from ..mechanics import Coordinates, State
from ..models import Activation, Network, scaled
from ..simulate import WorldModel


class Features(eqx.Module):
    """Input of policies and critics: embedded positions and scaled velocities of a state.

    **Arguments:**

    - `coordinates`: which coordinates are angles; these enter as cosine and sine.
    - `velocity_scale`: the magnitude that each velocity is divided by, length `n`, rad/s or
        m/s.
    - `position_scale`: divisor of each coordinate, length `n`, 1 for an angle; ones by
        default.
    """

    coordinates: Coordinates
    velocity_scale: tuple[float, ...] = eqx.field(static=True)
    position_scale: tuple[float, ...] | None = eqx.field(static=True, default=None)

    @property
    def size(self) -> int:
        """Length of the feature vector."""
        return self.coordinates.embedding_size + self.coordinates.n

    def __call__(self, state: State) -> Float[Array, " features"]:
        """Compute the features of a state of shapes `(n,)`."""
        scale = jnp.asarray(self.velocity_scale, state.qd.dtype)
        q = scaled(state.q, self.position_scale)
        return jnp.concatenate([self.coordinates.embed(q), state.qd / scale])


class AbstractPolicy(eqx.Module):
    """Stochastic policy: `mode` for evaluation, `sample` for exploration.

    **Attributes:**

    - `features`: the input of the policy.
    """

    features: eqx.AbstractVar[Features]

    @abc.abstractmethod
    def mode(self, state: State) -> Float[Array, " m"]:
        """Compute the action without noise, in `[-1, 1]^m`."""

    @abc.abstractmethod
    def sample(
        self, state: State, eps: Float[Array, " m"]
    ) -> tuple[Float[Array, " m"], Scalar]:
        """Compute the action for a draw of the noise.

        **Arguments:**

        - `state`: of shapes `(n,)`.
        - `eps`: standard normal.

        **Returns:** the action in `[-1, 1]^m`, and its log-probability density, 0 for a
        deterministic policy with added noise.
        """

    def with_model(self, world: WorldModel | None) -> "AbstractPolicy":
        """Return the policy that acts by means of a world model. Most need none.

        **Arguments:** `world`, the learned model of the run; `None` if it learns none.
        """
        del world
        return self


class NoisyPolicy(AbstractPolicy):
    """Deterministic policy `tanh(mu(s))` with additive Gaussian exploration noise.

    **Arguments:** as for [`lagdyna.agents.Policy`][], and

    - `noise`: the standard deviation of the noise. Noisy actions are clipped to `[-1, 1]`.
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
        """Compute the action without noise, `tanh(mu)`."""
        return jnp.tanh(self.network(self.features(state)))

    def sample(
        self, state: State, eps: Float[Array, " m"]
    ) -> tuple[Float[Array, " m"], Scalar]:
        """Compute `tanh(mu) + noise eps`, clipped, and 0."""
        action = jnp.clip(self.mode(state) + self.noise * eps, -1, 1)
        return action, jnp.zeros((), action.dtype)


class Policy(AbstractPolicy):
    """Stochastic policy: a Gaussian squashed into `[-1, 1]^m`.

    `action = tanh(mu(s) + sigma(s) eps)` with `eps ~ N(0, I)` (Ramesh & Ravindran 2023). `mu`
    is bounded by 3, where `tanh` is 0.995 and still has a useful slope; Dreamer (Hafner et
    al. 2020) bounds it by 5.

    **Arguments:**

    - `features`: the input of the policy.
    - `action_size`: `m`.
    - `hidden`: widths of the hidden layers.
    - `activation`: of the hidden layers, elementwise.
    - `initial_sigma`: `sigma` before training.
    - `key`: for the initial weights.

    **Attributes:** `BOUND`, that of `mu`.
    """

    BOUND: ClassVar[float] = 3.0

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
        """Compute `mu` and `sigma` of the Gaussian before squashing, each `(m,)`."""
        mu, raw = jnp.split(self.network(self.features(state)), 2)
        mu = self.BOUND * jnp.tanh(mu / self.BOUND)
        return mu, jax.nn.softplus(raw + self.shift) + _MIN_SIGMA

    def mode(self, state: State) -> Float[Array, " m"]:
        """Compute the action without noise, `tanh(mu)`."""
        return jnp.tanh(self.distribution(state)[0])

    def sample(
        self, state: State, eps: Float[Array, " m"]
    ) -> tuple[Float[Array, " m"], Scalar]:
        """Compute `tanh(mu + sigma eps)` and its log-probability density."""
        mu, sigma = self.distribution(state)
        u = mu + sigma * eps
        gaussian = -0.5 * (eps**2 + math.log(2 * math.pi)) - jnp.log(sigma)
        # log(1 - tanh(u)^2), in a form that does not underflow for large u
        log_slope = 2 * (math.log(2) - u - jax.nn.softplus(-2 * u))
        return jnp.tanh(u), jnp.sum(gaussian - log_slope)


class Critic(eqx.Module):
    """Estimate of the discounted return from a state, `V(s)`.

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
        """Compute the value of a state of shapes `(n,)`, in units of scaled reward."""
        return self.network(self.features(state))[0]


_MIN_SIGMA = 1e-2
