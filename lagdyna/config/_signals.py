"""Config of sensors and motors that are learned together with a model."""

from dataclasses import dataclass, fields
from typing import Any

from .._errors import UserError
from ..mechanics import LearnedActuation, Signals
from ..options import Positive
from ..parts import DynamicsConfig
from ..tasks import Plant

Numbers = bool | float | tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class SignalsConfig:
    """Sensors and motors whose parameters are learned with the model.

    Each of `gain`, `offset`, `delay`, `lag` and `position_offset` is `false` (absent), `true`,
    or the value that learning starts at; one number may stand for all. See
    [`lagdyna.mechanics.Signals`][].

    **Arguments:**

    - `gain`: generalised force of a control of 1, such as N m for a motor current of 1 A, one
        for each control; 1 at first. For the models `known` and `residual`.
    - `offset`: constant that is added to each control, after the gain; 0 at first.
    - `delay`: seconds after which a control acts, 0 at first; negative where controls were
        recorded late.
    - `lag`: time constant of actuators, a lag of first order, seconds.
    - `position_offset`: measured minus true position of each coordinate, such as the offset
        of an encoder or of the direction of gravity; 0 at first. For the models `known` and
        `residual`.
    - `max_delay`, `max_lag`: bounds of delay and lag, seconds.
    - `noise`: whether errors of positions and velocities count less where the data are noisy:
        the scales of the losses `one-step` and `multi-step` include the noise and the
        rounding of encoders.
    """

    gain: Numbers = False
    offset: Numbers = False
    delay: bool | float = False
    lag: bool | float = False
    position_offset: Numbers = False
    max_delay: Positive = 0.1
    max_lag: Positive = 0.1
    noise: bool = False

    def __post_init__(self):
        delay, lag = self.delay, self.lag
        if not isinstance(delay, bool) and not abs(delay) < self.max_delay:
            raise UserError(
                f"`signals.delay` was {delay}; a size below `signals.max_delay`, "
                f"{self.max_delay} s, is accepted"
            )
        if not isinstance(lag, bool) and not 0 < lag < self.max_lag:
            raise UserError(
                f"`signals.lag` was {lag}; above 0 and below `signals.max_lag`, "
                f"{self.max_lag} s, is accepted"
            )
        for each in _several(self.gain):
            if not each > 0:
                raise UserError(f"`signals.gain` was {self.gain}; more than 0 is accepted")

    @property
    def learned(self) -> tuple[str, ...]:
        """Names of what is learned."""
        names = ("gain", "offset", "delay", "lag", "position_offset")
        return tuple(name for name in names if getattr(self, name) is not False)

    def check(self, model: DynamicsConfig, plant: Plant, loss: str) -> None:
        """Refuse signals that the data cannot determine.

        **Arguments:** `loss`, the name of the resolved loss.

        **Raises:** `UserError` that says what is accepted.
        """
        if self.noise and loss in ("forward", "inverse"):
            raise UserError(
                f"`signals.noise` was given with the loss {loss!r}, which compares no "
                "positions; one-step and multi-step accept it"
            )
        names = self.learned
        physical = model.equations and not model.discrete
        for name in ("gain", "position_offset"):
            if name in names and not physical:
                other = (
                    "; a control that is recorded as `action` gets a matrix that is learned"
                    if name == "gain"
                    else ""
                )
                raise UserError(
                    f"`signals.{name}` was given with the model {model.name!r}, which can "
                    f"represent it itself; known and residual accept it{other}"
                )
        if "offset" in names and not (physical or model.forces):
            raise UserError(
                f"`signals.offset` was given with the model {model.name!r}, which can "
                "represent it itself; delan, lnn, known and residual accept it"
            )
        driven = [name for name in names if name != "position_offset"]
        if driven and plant.action_size == 0:
            raise UserError(
                f"`signals.{driven[0]}` was given, and no control was recorded; leave it out, "
                "or record `tau` or `action`"
            )
        if "gain" in names and isinstance(plant.actuation, LearnedActuation):
            raise UserError(
                "`signals.gain` was given, and the matrix from actions to forces is learned "
                "already; leave it out, or give `data.force`"
            )
        if "gain" in names and loss == "inverse" and plant.action_size != plant.n:
            raise UserError(
                f"`signals.gain` was given with the loss 'inverse' and {plant.action_size} "
                f"controls of {plant.n} coordinates; one-step, multi-step and forward accept it"
            )
        sizes = {"gain": plant.action_size, "offset": plant.action_size}
        for name in names:
            value, size = getattr(self, name), sizes.get(name, plant.n)
            if isinstance(value, tuple) and len(value) != size:
                raise UserError(
                    f"`signals.{name}` was {list(value)}; one number, or {size}, are accepted"
                )

    def build(self, plant: Plant) -> Signals | None:
        """Build the sensors and motors of a plant; `None` if nothing of them is learned."""
        if not self.learned:
            return None
        m, n, units = plant.action_size, plant.n, plant.units
        given: dict[str, Any] = {
            "gain": _repeated(self.gain, 1.0, m),
            "offset": _repeated(self.offset, 0.0, m),
            "position_offset": _repeated(self.position_offset, 0.0, n),
        }
        if self.delay is not False:
            given["delay"] = 0.0 if self.delay is True else self.delay
        if self.lag is not False:
            usual = min(max(plant.dt, 0.05 * self.max_lag), 0.5 * self.max_lag)
            given["lag"] = usual if self.lag is True else self.lag
        gains = given["gain"] or (1.0,) * m
        sizes = (1.0,) * m if units is None else units.action
        return Signals(
            plant.dt,
            **given,
            max_delay=self.max_delay,
            max_lag=self.max_lag,
            offset_unit=tuple(a * b for a, b in zip(gains, sizes, strict=True)),
            position_unit=None if units is None else units.position,
        )


def is_signal(name: str) -> bool:
    """Whether an option may stand alone on the command line, for `true`."""
    kinds = {each.name: each.type for each in fields(SignalsConfig)}
    return name in kinds and kinds[name] is not Positive


def _several(value: Numbers) -> tuple[float, ...]:
    if isinstance(value, bool):
        return ()
    return value if isinstance(value, tuple) else (value,)


def _repeated(value: Numbers, usual: float, count: int) -> tuple[float, ...] | None:
    """Convert an option to one number for each control or coordinate."""
    if value is False:
        return None
    given = _several(value) or (usual,)
    return given if len(given) > 1 else given * count
