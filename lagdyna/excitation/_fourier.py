"""Joint motions as truncated Fourier series."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

# Smallest amplitude, as a part of the largest one that the limits allow.
_SMALLEST = 0.05


class JointLimits(NamedTuple):
    """Limits of joints.

    **Attributes:** `lower`, `upper`, positions; `velocity`, highest speed; each of shape
    `(n,)`.
    """

    lower: Float[np.ndarray, " n"]
    upper: Float[np.ndarray, " n"]
    velocity: Float[np.ndarray, " n"]

    def shrunk(self, share: float) -> "JointLimits":
        """Return the limits of which a motion uses a share, about the same middle."""
        middle, half = 0.5 * (self.upper + self.lower), 0.5 * share * (self.upper - self.lower)
        return JointLimits(middle - half, middle + half, share * self.velocity)


class FourierMotion(NamedTuple):
    r"""Truncated Fourier series of each joint, which starts and ends at rest.

    $$q(t) = c + \sum_k \frac{a_k}{k \omega} \sin k \omega t - \frac{b_k}{k \omega} \cos
    k \omega t$$

    with $\omega = 2 \pi / T$. The coefficients are such that velocity and acceleration are 0 at
    `t = 0` and, since the series is periodic, at `t = T`. Swevers, Ganseman, Tükel,
    De Schutter & Van Brussel (1997), Optimal robot excitation and identification, eq. 13.

    **Attributes:** `centre`, shape `(n,)`; `sine`, `cosine`: `a` and `b`, shape
    `(n, harmonics)`; `seconds`: the period `T`.
    """

    centre: Float[Array, " n"]
    sine: Float[Array, "n harmonics"]
    cosine: Float[Array, "n harmonics"]
    seconds: float

    def __call__(
        self, t: Float[Array, " time"]
    ) -> tuple[Float[Array, "time n"], Float[Array, "time n"], Float[Array, "time n"]]:
        """Compute positions, velocities and accelerations at some times."""
        w = 2 * np.pi / self.seconds * np.arange(1, self.sine.shape[1] + 1)
        c, s = jnp.cos(w * t[:, None]), jnp.sin(w * t[:, None])
        q = self.centre + s / w @ self.sine.T - c / w @ self.cosine.T
        qd = c @ self.sine.T + s @ self.cosine.T
        qdd = -(s * w) @ self.sine.T + (c * w) @ self.cosine.T
        return q, qd, qdd


def motion_of(
    free: Float[Array, "n numbers"],
    ranges: JointLimits,
    seconds: float,
    t: Float[Array, " time"],
) -> FourierMotion:
    """Build the motion of unconstrained numbers, which stays within the limits at all `t`.

    **Arguments:** `free`, for each joint the coefficients, the logit of the amplitude as a
    part of the largest one, and that of the centre within the room that it leaves.
    """
    harmonics = (free.shape[1] - 2) // 2
    a, b = free[:, :harmonics], free[:, harmonics:-2]
    k = np.arange(1, harmonics + 1)
    a = a - jnp.mean(a, axis=1, keepdims=True)  # no velocity at the start
    b = b - (b @ k / (k @ k))[:, None] * k  # no acceleration
    q, qd, _ = FourierMotion(jnp.zeros(len(free)), a, b, seconds)(t)
    low, high = jnp.min(q, axis=0), jnp.max(q, axis=0)
    room = ranges.upper - ranges.lower
    largest = jnp.minimum(room / (high - low), ranges.velocity / jnp.max(jnp.abs(qd), axis=0))
    size = largest * (_SMALLEST + (1 - _SMALLEST) * jax.nn.sigmoid(free[:, -2]))
    left = room - size * (high - low)
    lowest = jnp.asarray(ranges.lower) + left * jax.nn.sigmoid(free[:, -1])
    return FourierMotion(lowest - size * low, size[:, None] * a, size[:, None] * b, seconds)
