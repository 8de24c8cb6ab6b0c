"""Sensors and motors of a fit: rows that keep the place of their controls, true data."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PyTree

from ..config import FitConfig
from ..data import Experience, Split, Trajectory, TrajectorySet, estimate_noise
from ..learners import AbstractSquaredLoss, SignalLoss, SignalRows
from ..mechanics import Coordinates, Signals, State
from ..parts import ResidualConfig, StepsLossConfig
from ..tasks import Plant
from ._data import PreparedData, controls_of, rows_of

_PLACE = "action"  # the array that holds the places of controls
_CONTROLS = ("tau", "action")
_ESTIMATED = 30.0  # times the scale of velocities that were not recorded


class _Placed(NamedTuple):
    """Controls of some trajectories, and which of their rows have a known past.

    **Attributes:** `controls`, `(samples, m)`; `kept`, `(samples,)`; `marked`, the trajectories
    with the place of each control in its stead.
    """

    controls: np.ndarray
    kept: np.ndarray
    marked: TrajectorySet


def with_signals(
    config: FitConfig,
    data: PreparedData,
    plant: Plant,
    trajectories: Split,
    loss: AbstractSquaredLoss,
    rows: tuple[PyTree, PyTree],
) -> tuple[AbstractSquaredLoss, PyTree, PyTree]:
    """Make a loss of recorded rows from one of true rows, if signals are learned.

    **Arguments:** `config`, whose loss is resolved; `trajectories`, the split that the rows of
    training and of validation data were made of.

    **Returns:** the loss, and both rows with the places of their controls. Rows at the start of
    a trajectory are left out if the controls before them act there.
    """
    training, validation = rows
    signals = config.signals.build(plant)
    if signals is None:
        return loss, training, validation
    if not signals.has_memory:
        return SignalLoss(loss), SignalRows(training, None), SignalRows(validation, None)
    first = _place(data, trajectories.training, signals, 0)
    second = _place(data, trajectories.validation, signals, len(first.controls))
    both = [
        np.concatenate(pair)
        for pair in ((first.controls, second.controls), (first.kept, second.kept))
    ]
    over_steps = isinstance(config.loss, StepsLossConfig)
    return (
        SignalLoss(loss, jnp.asarray(both[0]), _ahead(data) if over_steps else 0.0),
        _known_rows(config, data, training, first, both[1]),
        _known_rows(config, data, validation, second, both[1]),
    )


def _place(
    data: PreparedData, trajectories: TrajectorySet, signals: Signals, start: int
) -> _Placed:
    """Line up the controls of trajectories, each with further ones before and after.

    **Arguments:** `start`, the place of the first.
    """
    controls, kept, marked = [], [], []
    ends = (signals.past, signals.future)
    for each in trajectories:
        control, row = controls_of(data, each), np.arange(each.rows)
        controls.append(np.pad(_known(control), (ends, (0, 0)), mode="edge"))
        kept.append(np.pad(row >= _unknown(each, signals), ends))
        # A row without a control is left out of rows of accelerations.
        missing = np.isnan(control).any(axis=1)
        places = np.where(missing, np.nan, start + signals.past + row)
        arrays = {name: x for name, x in each.arrays.items() if name not in _CONTROLS}
        marked.append(each.replaced({**arrays, _PLACE: places[:, None]}))
        start += len(controls[-1])
    return _Placed(np.concatenate(controls), np.concatenate(kept), TrajectorySet(marked))


def _known_rows(
    config: FitConfig, data: PreparedData, rows: PyTree, placed: _Placed, kept: np.ndarray
) -> SignalRows:
    """Add places to rows, found by rows made of places, and keep those of a known past.

    **Arguments:** `kept`, of all places.
    """
    data = data._replace(control=_PLACE, action_size=1)
    found: Any = rows_of(config.loss, data, placed.marked)
    windows = isinstance(found, tuple) and not isinstance(found, Experience)
    found = found[0] if windows else found
    place = np.asarray(found.action[..., 0]).astype(int)
    keep = np.flatnonzero(kept[place[:, 0] if windows else place])
    # By NumPy, which compiles no program for each number of rows.
    rows, place = jax.tree.map(lambda x: jax.device_put(np.asarray(x)[keep]), (rows, place))
    return SignalRows(rows, place)


def _ahead(data: PreparedData) -> float:
    """Steps after a sample at which its control acts on average over the step.

    A force is sampled, and an action is held.
    """
    return 0.5 if data.control == "tau" else 0.0


def _unknown(trajectory: Trajectory, signals: Signals) -> int:
    """Count the first rows, at most a tenth, whose earlier controls are unknown."""
    if not signals.has_memory:
        return 0
    longest = round((signals.max_delay + signals.max_lag) / signals.dt)
    return min(longest, trajectory.rows // 10)


def has_memory(config: FitConfig) -> bool:
    """Whether earlier controls act, so that the loss needs equal steps."""
    return config.signals.delay is not False or config.signals.lag is not False


def signal_notes(config: FitConfig) -> list[str]:
    """Say what the data cannot determine."""
    learned, fixed = config.signals.learned, config.model.fixed_parameters()
    absorbed = [each for each in learned if each not in ("delay", "lag")]
    if absorbed and isinstance(config.model, ResidualConfig):
        return [
            f"the learned force of the model residual can represent {' and '.join(absorbed)} "
            "too, so their values mean nothing by themselves; find them with known, and start "
            f"from them, as --signals.{absorbed[0]} VALUE"
        ]
    if "gain" not in learned or fixed:
        return []
    return [
        "a larger gain moves heavier masses alike, and nothing is in `model.fixed`; fix a mass "
        "or another parameter that is known, or the gain means nothing by itself"
    ]


def true_data(data: PreparedData, signals: Signals | None) -> PreparedData:
    """Convert recordings to true positions and to the controls that act.

    The start of each trajectory is left out if the controls before it act there too.
    """
    if signals is None:
        return data
    raw, steps = (
        Split(*(_true_set(data, part, signals, ahead) for part in each))
        for each, ahead in ((data.raw, 0.0), (data.steps, _ahead(data)))
    )
    test = data.test
    if test is not None:
        test = test._replace(
            raw=_true_set(data, test.raw, signals, 0.0),
            steps=_true_set(data, test.steps, signals, _ahead(data)),
        )
    return data._replace(raw=raw, steps=steps, test=test)


def _true_set(
    data: PreparedData, trajectories: TrajectorySet, signals: Signals, ahead: float
) -> TrajectorySet:
    offset = signals.position_offset
    found = []
    for each in trajectories:
        arrays = dict(each.arrays)
        if offset is not None:
            arrays["q"] = arrays["q"] - np.asarray(offset, np.float64)
        if data.control is not None:
            arrays[data.control] = _acting(
                each.t, arrays[data.control], data.dt, signals, ahead
            )
        first = _unknown(each, signals)
        found.append(each.replaced({name: x[first:] for name, x in arrays.items()}))
    return TrajectorySet(found)


def _acting(
    t: Float[np.ndarray, " time"],
    control: Float[np.ndarray, "time m"],
    dt: float,
    signals: Signals,
    ahead: float,
) -> Float[np.ndarray, "time m"]:
    """Compute the control that acts, at the recorded times."""
    acting, missing = _known(control), np.isnan(control)
    if signals.has_memory:
        weights = np.asarray(signals.weights(ahead), np.float64)
        even = np.allclose(np.diff(t), dt, rtol=0.01, atol=0)
        steps = t[0] + dt * np.arange(1 + np.ceil((t[-1] - t[0]) / dt))
        columns = []
        for column in acting.T:
            column = column if even else np.interp(steps, t, column)
            padded = np.pad(column, (signals.past, signals.future), mode="edge")
            column = np.convolve(padded, weights, mode="valid")
            columns.append(column if even else np.interp(t, steps, column))
        acting = np.stack(columns, axis=1)
    acting = np.array(signals.acting(jnp.asarray(acting)), np.float64)
    acting[missing] = np.nan
    return acting


def _known(control: Float[np.ndarray, "time m"]) -> Float[np.ndarray, "time m"]:
    """Replace a control that is missing, as the last one may be, by the one before."""
    found = np.array(control, np.float64)
    for i in np.flatnonzero(np.isnan(found).any(axis=1)):
        found[i] = found[i - 1] if i else 0.0
    return found


def noise_of(data: PreparedData) -> State:
    """Estimate the standard deviation of the noise of positions and of recorded velocities.

    It includes the rounding of encoders; see [`lagdyna.data.estimate_noise`][]. That of
    velocities which were estimated from positions is taken as 0.
    """
    training = data.raw.training
    velocities = TrajectorySet(
        [Trajectory(t=each.t, q=each.arrays["qd"], qd=each.arrays["qd"]) for each in training]
    )
    linear = Coordinates((False,) * training.n)
    return State(
        jnp.asarray(estimate_noise(training, data.coordinates)),
        jnp.asarray(estimate_noise(velocities, linear)),
    )


def noisy_scale(scale: State, noise: State, dt: float) -> State:
    """Add the noise of both ends of a step to the scale of its error."""
    q, qd = scale
    return State(
        jnp.sqrt(q**2 + 2 * noise.q**2 + (dt * noise.qd) ** 2),
        jnp.sqrt(qd**2 + 2 * noise.qd**2),
    )


def estimated_scale(scale: State) -> State:
    """Let velocities that were estimated from positions count less than positions.

    They only begin the estimate of velocities through the model.
    """
    return State(scale.q, _ESTIMATED * scale.qd)


def signal_values(problem: Any, signals: Signals | None) -> dict[str, Any] | None:
    """List what was found out about sensors and motors, in SI units, for the report.

    **Arguments:** `problem`, a `FitProblem`; `signals`, learned.
    """
    found = {}
    if signals is not None:
        names = ("gain", "offset", "delay", "lag", "position_offset")
        found = {name: getattr(signals, name) for name in names}
    if problem.config.signals.noise:
        noise = noise_of(problem.data)
        found.update(position_noise=noise.q, velocity_noise=noise.qd)
    values = {name: np.asarray(x, float).tolist() for name, x in found.items() if x is not None}
    return values or None
