from jaxtyping import Array, Float

from ..mechanics import Coordinates, Signals, State
from ._transition import AbstractTransition


class SignalTransition(AbstractTransition):
    """Transition of measured states under commands, through a model of sensors and motors.

    A single step has no past: delay and lag act on sequences of commands, see
    [`lagdyna.simulate.LearnedModel.rollout`][].

    **Arguments:**

    - `transition`: the transition of true states under the control that acts.
    - `signals`: see [`lagdyna.mechanics.Signals`][].
    """

    transition: AbstractTransition
    signals: Signals
    coordinates: Coordinates

    def __init__(self, transition: AbstractTransition, signals: Signals):
        self.transition = transition
        self.signals = signals
        self.coordinates = transition.coordinates

    def step(self, state: State, action: Float[Array, " m"]) -> State:
        true = self.transition.step(self.signals.true(state), self.signals.acting(action))
        q, qd = self.signals.measured(true)
        return State(self.coordinates.wrap(q), qd)


def without_signals(transition: AbstractTransition) -> AbstractTransition:
    """Return the transition of true states under the control that acts."""
    return transition.transition if isinstance(transition, SignalTransition) else transition


def signals_of(transition: AbstractTransition) -> Signals | None:
    """Return the model of sensors and motors; `None` without one."""
    return transition.signals if isinstance(transition, SignalTransition) else None
