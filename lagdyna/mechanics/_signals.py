"""Measurement and actuation: what lies between recorded numbers and a system's equations."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Scalar

from ._state import State

_LAGS = 4  # times the longest lag; older controls act as the oldest one
_UNIT = 0.1  # of the longest delay, in which a learner receives the delay


class Signals(eqx.Module):
    """Model of sensors and motors, with trainable parameters.

    The control that acts on the equations of motion is

        gain * u(t - delay) + offset,    lag du/dt = control - u

    and their coordinates are `q - position_offset` of measured `q`. Parts that are `None` are
    absent. A learner receives parameters of order one: the logarithm of the gain, offsets in
    the units given here, and a delay and a lag that cannot leave their bounds.

    **Arguments:**

    - `dt`: seconds between two controls.
    - `gain`: initial gain, positive, shape `(m,)`.
    - `offset`: initial offset, in the unit of the control times the gain, shape `(m,)`.
    - `delay`: initial delay, seconds; negative where the control was recorded late.
    - `lag`: initial time constant of a lag of first order, seconds.
    - `position_offset`: initial offset of measured positions, shape `(n,)`.
    - `max_delay`, `max_lag`: bounds of delay and lag, seconds.
    - `offset_unit`, `position_unit`: usual sizes of control and positions; ones by default.

    **Raises:** `ValueError` if a gain, a bound or `dt` is not positive, or a delay or a lag is
    not within its bounds.
    """

    log_gain: Float[Array, " m"] | None
    scaled_offset: Float[Array, " m"] | None
    scaled_delay: Float[Array, ""] | None
    scaled_lag: Float[Array, ""] | None
    scaled_position_offset: Float[Array, " n"] | None
    dt: float = eqx.field(static=True)
    max_delay: float = eqx.field(static=True)
    max_lag: float = eqx.field(static=True)
    offset_unit: tuple[float, ...] | None = eqx.field(static=True)
    position_unit: tuple[float, ...] | None = eqx.field(static=True)

    def __init__(
        self,
        dt: float,
        *,
        gain: tuple[float, ...] | None = None,
        offset: tuple[float, ...] | None = None,
        delay: float | None = None,
        lag: float | None = None,
        position_offset: tuple[float, ...] | None = None,
        max_delay: float = 0.1,
        max_lag: float = 0.1,
        offset_unit: tuple[float, ...] | None = None,
        position_unit: tuple[float, ...] | None = None,
    ):
        if not (dt > 0 and max_delay > 0 and max_lag > 0):
            raise ValueError(
                "`dt`, `max_delay` and `max_lag` must be positive, got "
                f"{dt}, {max_delay} and {max_lag}"
            )
        if gain is not None and not all(each > 0 for each in gain):
            raise ValueError(f"`gain` must be positive, got {gain}")
        if delay is not None and not abs(delay) < max_delay:
            raise ValueError(
                f"`delay` was {delay}; a size below `max_delay`, {max_delay}, is accepted"
            )
        if lag is not None and not 0 < lag < max_lag:
            raise ValueError(
                f"`lag` was {lag}; above 0 and below `max_lag`, {max_lag}, is accepted"
            )
        self.dt, self.max_delay, self.max_lag = dt, max_delay, max_lag
        self.offset_unit, self.position_unit = offset_unit, position_unit
        self.log_gain = None if gain is None else jnp.log(jnp.asarray(gain, float))
        self.scaled_offset = _divided(offset, offset_unit)
        self.scaled_position_offset = _divided(position_offset, position_unit)
        self.scaled_delay = self.scaled_lag = None
        if delay is not None:
            inside = math.atanh(delay / max_delay) * max_delay
            self.scaled_delay = jnp.asarray(inside / self._delay_unit, float)
        if lag is not None:
            self.scaled_lag = jnp.asarray(math.log(lag / (max_lag - lag)), float)

    @property
    def gain(self) -> Float[Array, " m"] | None:
        """Gain of each control, positive."""
        return None if self.log_gain is None else jnp.exp(self.log_gain)

    @property
    def offset(self) -> Float[Array, " m"] | None:
        """Offset of each control, in the unit of the control times the gain."""
        return _multiplied(self.scaled_offset, self.offset_unit)

    @property
    def delay(self) -> Scalar | None:
        """Delay of the control, seconds."""
        if self.scaled_delay is None:
            return None
        largest = self.max_delay
        return largest * jnp.tanh(self.scaled_delay * (self._delay_unit / largest))

    @property
    def lag(self) -> Scalar | None:
        """Time constant of the lag, seconds."""
        if self.scaled_lag is None:
            return None
        return self.max_lag * jax.nn.sigmoid(self.scaled_lag)

    @property
    def position_offset(self) -> Float[Array, " n"] | None:
        """Measured minus true position, metres or radians."""
        return _multiplied(self.scaled_position_offset, self.position_unit)

    @property
    def has_memory(self) -> bool:
        """Whether earlier controls act too."""
        return self.scaled_delay is not None or self.scaled_lag is not None

    @property
    def past(self) -> int:
        """Number of earlier controls that may act."""
        delay = 0.0 if self.scaled_delay is None else self.max_delay
        lag = 0.0 if self.scaled_lag is None else _LAGS * self.max_lag
        return math.ceil((delay + lag) / self.dt) if self.has_memory else 0

    @property
    def future(self) -> int:
        """Number of later controls that may act, at a negative delay or within a step."""
        delay = 0.0 if self.scaled_delay is None else self.max_delay
        return 1 + math.ceil(delay / self.dt) if self.has_memory else 0

    def weights(self, ahead: float = 0.0) -> Float[Array, " taps"]:
        """Compute the weights of controls in the one that acts, the latest control first.

        They are exact averages over a step, for controls that are held for each step; and
        exact values at a sample, for controls that are linear between samples. The oldest
        weight includes those of all older controls.

        **Arguments:** `ahead`, steps after the sample at which the control is wanted, from 0
        to 1: 0.5 for the mean over the step of controls that are linear between samples.

        **Returns:** shape `(future + 1 + past,)`; their sum is 1.
        """
        steps = np.arange(-self.future, self.past + 1)
        delay, lag = self.delay, self.lag
        shift = jnp.asarray(-ahead if delay is None else delay / self.dt - ahead)
        # Not by `abs`, whose slope at 0 is that of one side.
        weights = jnp.maximum(jnp.minimum(1 + steps - shift, 1 - steps + shift), 0)
        if lag is not None:
            # Second differences of the twice integrated impulse response, without its ramp.
            wider = np.arange(-self.future - 1, self.past + 2)
            since = jnp.maximum(wider - shift, 0)
            decay = (lag / self.dt) * jnp.expm1(-since * (self.dt / lag))
            weights = weights + decay[2:] - 2 * decay[1:-1] + decay[:-2]
        return weights.at[-1].add(1 - jnp.sum(weights))

    def filtered(self, controls: Float[Array, "time m"]) -> Float[Array, "time m"]:
        """Apply delay and lag to a sequence of controls, one for each `dt`.

        Before its start the first control is assumed, after its end the last.
        """
        if not self.has_memory:
            return controls
        padded = jnp.pad(controls, ((self.past, self.future), (0, 0)), mode="edge")
        weights = self.weights().astype(controls.dtype)
        convolve = lambda column: jnp.convolve(column, weights, mode="valid")  # noqa: E731
        return jax.vmap(convolve, in_axes=1, out_axes=1)(padded)

    def acting(self, control: Float[Array, "*batch m"]) -> Float[Array, "*batch m"]:
        """Apply gain and offset to a control, without delay and lag."""
        gain, offset = self.gain, self.offset
        control = control if gain is None else control * gain.astype(control.dtype)
        return control if offset is None else control + offset.astype(control.dtype)

    def command(self, acting: Float[Array, "*batch m"]) -> Float[Array, "*batch m"]:
        """Compute the control that acts as given: the inverse of `acting`."""
        gain, offset = self.gain, self.offset
        acting = acting if offset is None else acting - offset.astype(acting.dtype)
        return acting if gain is None else acting / gain.astype(acting.dtype)

    def true(self, measured: State) -> State:
        """Convert a measured state, with any leading axes, to a true one."""
        offset = self.position_offset
        if offset is None:
            return measured
        return State(measured.q - offset.astype(measured.q.dtype), measured.qd)

    def measured(self, true: State) -> State:
        """Convert a true state, with any leading axes, to a measured one."""
        offset = self.position_offset
        if offset is None:
            return true
        return State(true.q + offset.astype(true.q.dtype), true.qd)

    @property
    def _delay_unit(self) -> float:
        return min(max(self.dt, _UNIT * self.max_delay), self.max_delay)


def _divided(
    values: tuple[float, ...] | None, units: tuple[float, ...] | None
) -> Float[Array, " k"] | None:
    """Divide values by their units, as an array."""
    if values is None:
        return None
    scaled = np.asarray(values, float) / (1.0 if units is None else np.asarray(units))
    return jnp.asarray(scaled, float)


def _multiplied(
    values: Float[Array, " k"] | None, units: tuple[float, ...] | None
) -> Float[Array, " k"] | None:
    """Multiply values by their units."""
    if values is None or units is None:
        return values
    return values * jnp.asarray(np.asarray(units), values.dtype)
