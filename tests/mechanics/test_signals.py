"""Model of sensors and motors: gain, offsets, delay and lag."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna.mechanics import Signals, State

DT = 0.01


@pytest.mark.parametrize(
    "given",
    [
        {"gain": (1.0, 0.0)},
        {"delay": 0.1},
        {"delay": -0.2},
        {"lag": 0.0},
        {"lag": 0.1},
        {"max_lag": 0.0},
    ],
)
def test_values_out_of_their_bounds_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"`{next(iter(given))}`"):
        Signals(DT, **given)


@pytest.mark.usefixtures("x64")
def test_initial_values_are_those_given() -> None:
    values: dict[str, Any] = {
        "gain": (0.1, 2.0),
        "offset": (-0.5, 0.0),
        "delay": -0.02,
        "lag": 0.03,
        "position_offset": (0.2, -0.1),
    }
    units: dict[str, Any] = {"offset_unit": (3.0, 0.1), "position_unit": (1.0, 1e-3)}
    signals = Signals(DT, **values, **units)
    for name, value in values.items():
        np.testing.assert_allclose(getattr(signals, name), value, rtol=1e-9)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("delay", [-0.004, 0.0, 0.02, 0.035])
def test_a_delay_shifts_a_signal(delay: float) -> None:
    """A straight line is linear between samples, so the shift is exact."""
    signals = Signals(DT, delay=delay)
    t = DT * np.arange(60)
    shifted = np.asarray(signals.filtered(jnp.asarray(3 * t)[:, None]))[:, 0]
    inner = slice(signals.past, len(t) - signals.future)
    np.testing.assert_allclose(shifted[inner], 3 * (t - delay)[inner], atol=1e-12)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("lag", [0.003, 0.04])
def test_a_lag_is_of_first_order(lag: float) -> None:
    """A held control that jumps: the mean over each step of the exact response."""
    signals = Signals(DT, delay=0.02, lag=lag, max_lag=0.2)
    controls = jnp.where(jnp.arange(80) >= 10, 1.0, 0.0)[:, None]
    found = np.asarray(signals.filtered(controls))[:, 0]
    start = DT * (np.arange(80) - 12)  # of each step, from the jump that acts
    since, until = np.maximum(start, 0), np.maximum(start + DT, 0)
    expected = 1 + lag / DT * (np.exp(-until / lag) - np.exp(-since / lag))
    np.testing.assert_allclose(found, np.where(start < 0, 0, expected), atol=1e-9)


@pytest.mark.usefixtures("x64")
def test_weights_add_up_and_have_a_gradient_at_a_delay_of_zero() -> None:
    signals = Signals(DT, delay=0.0, lag=0.05)
    assert float(jnp.sum(signals.weights(0.5))) == pytest.approx(1)
    assert signals.weights().shape == (signals.future + 1 + signals.past,)
    line = jnp.arange(60.0)[:, None]
    # At a delay of 0 the slope is that of the signal, though the weights have a kink there.
    slope = jax.grad(lambda s: s.filtered(line)[30, 0])(Signals(DT, delay=0.0)).scaled_delay
    unit = max(DT, 0.1 * 0.1)  # seconds of the parameter
    assert float(slope) == pytest.approx(-unit / DT)


def test_a_command_is_what_acts_as_wanted() -> None:
    signals = Signals(DT, gain=(0.1, 2.0), offset=(-0.5, 0.3), position_offset=(0.2, -0.1))
    wanted = jnp.asarray([1.0, -4.0])
    command = signals.command(wanted)
    np.testing.assert_allclose(command, [15.0, -2.15], rtol=1e-5)
    np.testing.assert_allclose(signals.acting(command), wanted, rtol=1e-5)
    measured = State(jnp.asarray([1.0, 1.0]), jnp.asarray([2.0, 3.0]))
    true = signals.true(measured)
    np.testing.assert_allclose(true.q, [0.8, 1.1], rtol=1e-6)
    np.testing.assert_allclose(signals.measured(true).q, measured.q, rtol=1e-6)
    plain = Signals(DT)
    assert plain.true(measured) is measured
    assert not plain.has_memory
