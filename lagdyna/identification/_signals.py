"""Sensors and motors of a fit: rows that keep the place of their controls, true data."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PyTree

from ..config import FitConfig
from ..data import Experience, Split, Trajectory, TrajectorySet, estimate_noise
from ..learners import AbstractSquaredLoss, SignalLoss, SignalRows
from ..mechanics import Coordinates, Signals, State
from ..parts import StepsLossConfig
from ..tasks import Plant
from ._data import PreparedData, controls_of, rows_of

_PLACE = "action"  # the array that holds the places of controls


class SignalData:
    """Controls of all trajectories, and rows that keep their places among them.

    **Arguments:** `config`, whose loss is resolved; `data`; `trajectories`, the split that the
    rows are made of; `plant`.
    """

    def __init__(
        self, config: FitConfig, data: PreparedData, trajectories: Split, plant: Plant
    ):
        self._config, self._data, self._split = config, data, trajectories
        self._signals = config.signals.build(plant)
        self._controls: list[np.ndarray] = []

    def rows(self, rows: tuple[PyTree, PyTree]) -> tuple[PyTree, PyTree]:
        """Add places to rows of training and of validation data.

        Rows at the start of a trajectory are left out, since the controls before them are
        unknown.
        """
        signals = self._signals
        if signals is None:
            return rows
        if not signals.has_memory:
            return SignalRows(rows[0], None), SignalRows(rows[1], None)
        training, validation = (
            self._placed(each, part, signals)
            for each, part in zip(rows, self._split, strict=True)
        )
        return training, validation

    def loss(self, loss: AbstractSquaredLoss) -> AbstractSquaredLoss:
        """Make a loss of recorded rows from one of true rows; after `rows`."""
        if self._signals is None:
            return loss
        if not self._controls:
            return SignalLoss(loss)
        controls = jnp.asarray(np.concatenate(self._controls))
        over_steps = isinstance(self._config.loss, StepsLossConfig)
        return SignalLoss(loss, controls, _ahead(self._data) if over_steps else 0.0)

    def _placed(
        self, rows: PyTree, trajectories: TrajectorySet, signals: Signals
    ) -> SignalRows:
        """Find the place of each row's control, by rows made of places instead of controls."""
        marked, kept = [], []
        start = sum(map(len, self._controls))
        for each in trajectories:
            control = controls_of(self._data, each)
            ends = ((signals.past, signals.future), (0, 0))
            self._controls.append(np.pad(_known(control), ends, mode="edge"))
            place = np.arange(each.rows)
            kept.append(np.pad(place >= _unknown(each, signals), ends[0]))
            # A row without a control is left out of rows of accelerations.
            missing = np.isnan(control).any(axis=1)
            places = np.where(missing, np.nan, place + start + signals.past)
            arrays = {name: x for name, x in each.arrays.items() if name not in _CONTROLS}
            marked.append(each.replaced({**arrays, _PLACE: places[:, None]}))
            start += len(self._controls[-1])
        data = self._data._replace(control=_PLACE, action_size=1)
        found = rows_of(self._config.loss, data, TrajectorySet(marked))
        windows = isinstance(found, tuple) and not isinstance(found, Experience)
        place = np.asarray((found[0] if windows else found).action[..., 0]).astype(int)
        before = sum(map(len, self._controls)) - sum(map(len, kept))
        first = place[:, 0] if windows else place
        keep = np.flatnonzero(np.concatenate(kept)[first - before])
        rows, place = jax.tree.map(lambda x: x[keep], (rows, jnp.asarray(place)))
        return SignalRows(rows, place)


_CONTROLS = ("tau", "action")


def _unknown(trajectory: Trajectory, signals: Signals) -> int:
    """Count the first rows, at most a tenth, whose earlier controls are unknown."""
    if not signals.has_memory:
        return 0
    longest = round((signals.max_delay + signals.max_lag) / signals.dt)
    return min(longest, trajectory.rows // 10)


def _ahead(data: PreparedData) -> float:
    """Steps after a sample at which its control acts on average over the step.

    A force is sampled, and an action is held.
    """
    return 0.5 if data.control == "tau" else 0.0


def has_memory(config: FitConfig) -> bool:
    """Whether earlier controls act, so that the loss needs equal steps."""
    return config.signals.delay is not False or config.signals.lag is not False


def signal_notes(config: FitConfig) -> list[str]:
    """Say what the data cannot determine."""
    fixed = config.model.fixed_parameters()
    if "gain" not in config.signals.learned or fixed:
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
    return data._replace(raw=raw, steps=steps)


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
