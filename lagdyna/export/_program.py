"""Functions of a run that can be exported."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import msgspec
import numpy as np
from jaxtyping import Array

from .._errors import UserError
from ..agents import AbstractPolicy
from ..identification import FitProblem, FitState, online_update
from ..mechanics import State
from ..runs import FittedRun, Run, RunPolicy
from ..runtime import Port, Reading, Spaces, read_arrays
from ..simulate import LearnedModel

Draw = Callable[[np.random.Generator], list[np.ndarray]]


class Program(NamedTuple):
    """Function of a run, with what its users must know.

    **Attributes:**

    - `what`: its name.
    - `function`: of arrays without a batch, in JAX; returns a tuple.
    - `inputs`, `outputs`: in their order.
    - `draw`: draws random inputs.
    - `dtype`: of all arrays.
    - `dt`, `hold`, `reading`: as in [`lagdyna.runtime.Contract`][].
    - `policy`: the policy, if it is one.
    - `initial`: first values of inputs that come back as outputs, by their names.
    """

    what: str
    function: Callable[..., tuple[Array, ...]]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    draw: Draw
    dtype: np.dtype
    dt: float | None = None
    hold: int = 1
    reading: Reading | None = None
    policy: AbstractPolicy | None = None
    initial: Mapping[str, np.ndarray] = MappingProxyType({})


def policy_program(loaded: RunPolicy) -> Program:
    """Make the program of a policy, from an observation to an action."""
    reading, spaces = loaded.reading, loaded.spaces
    dtype = loaded.dtype

    def act(observation: Array) -> tuple[Array]:
        return (loaded.act(State(*read_arrays(reading, observation))),)

    size = spaces.observation + reading.estimated
    low, high = (tuple(bound) for bound in zip(*spaces.actions, strict=True))
    return Program(
        "policy",
        act,
        (Port(name="observation", shape=(size,)),),
        (Port(name="action", shape=(len(low),), low=low, high=high),),
        _observations(loaded, size),
        dtype,
        dt=reading.dt,
        hold=reading.repeat,
        reading=reading,
        policy=loaded.policy,
    )


def _observations(loaded: RunPolicy, size: int) -> Draw:
    """Draw observations of states within the sampling range; other entries are normal."""
    reach = loaded.spec.reach

    def draw(rng: np.random.Generator) -> list[np.ndarray]:
        observation = rng.normal(size=size)
        estimated = size - loaded.reading.estimated
        for c, far, fast in zip(loaded.reading.coordinates, *reach, strict=False):
            q = rng.uniform(-far, far)
            if c.cos is not None and c.sin is not None:
                observation[[c.cos, c.sin]] = np.cos(q), np.sin(q)
            elif c.position is not None:
                observation[c.position] = q
            index = c.velocity
            if index is None:
                index, estimated = estimated, estimated + 1
            observation[index] = rng.uniform(-fast, fast)
        return [observation.astype(loaded.dtype)]

    return draw


class Ranges(NamedTuple):
    """Ranges from which inputs of mechanics are drawn, and the limits of the actions.

    **Attributes:** `middle`, `position`, `velocity`, `acceleration`, of each coordinate;
    `actions`, lowest and highest value of each.
    """

    middle: np.ndarray
    position: np.ndarray
    velocity: np.ndarray
    acceleration: np.ndarray
    actions: Spaces


def mechanics_program(what: str, run: Run | FittedRun, spaces: Spaces | None) -> Program:
    """Make the program of a model's step or mechanics.

    **Arguments:** `spaces`, of the environment of a training run, whose actions the program
    takes in the environment's units.

    **Raises:** `UserError` if the model does not have what is asked for.
    """
    model, ranges = run.model, _ranges(run, spaces)
    if what == "forward-dynamics" and not model.has_accelerations:
        raise UserError(f"`what` was {what!r}, and the model of the run has no acceleration")
    if what in ("inverse-dynamics", "gravity") and not model.has_lagrangian:
        raise UserError(f"`what` was {what!r}, and the model of the run is no Lagrangian")
    angles = model.transition.coordinates.angles
    ports = _ports(angles, None if spaces is None else spaces.actions, ranges, run)
    names = _INPUTS[what]
    dtype = np.dtype(str(_dtype_of(model)))

    def draw(rng: np.random.Generator) -> list[np.ndarray]:
        drawn = {name: _drawn(name, ranges, rng) for name in names}
        return [drawn[name].astype(dtype) for name in names]

    return Program(
        what,
        _functions(model, spaces)[what],
        tuple(ports[name] for name in names),
        tuple(ports[name] for name in _OUTPUTS[what]),
        draw,
        dtype,
        dt=_dt(run) if what == "step" else None,
    )


def update_program(problem: FitProblem, state: FitState, run: FittedRun) -> Program:
    """Make the program of an update of a fit's filter by one measurement.

    **Raises:** `UserError` as [`lagdyna.identification.online_update`][].
    """
    update, ranges = online_update(problem, state), _ranges(run, None)
    ports = _ports(run.model.transition.coordinates.angles, None, ranges, run)
    names = ("weights", "belief", "scalars")
    initial = {name: np.asarray(x) for name, x in zip(names, update.initial, strict=True)}
    dtype = initial["weights"].dtype
    kept = tuple(Port(name=name, shape=x.shape) for name, x in initial.items())

    def draw(rng: np.random.Generator) -> list[np.ndarray]:
        # A step drawn apart from its state would be an error far beyond any of the data.
        drawn: dict[str, np.ndarray] = {}
        for name in update.inputs:
            source = name.removeprefix("next_")
            value = _drawn(source, ranges, rng)
            if source != name:
                value = drawn[source] + 0.01 * (value - drawn[source])
            drawn[name] = value.astype(dtype)
        return [*initial.values(), *drawn.values()]

    return Program(
        "filter-update",
        update.function,
        (*kept, *(ports[name] for name in update.inputs)),
        (
            *(msgspec.structs.replace(port, name=f"next_{port.name}") for port in kept),
            *(
                msgspec.structs.replace(ports[name], name=f"predicted_{name}")
                for name in update.outputs
            ),
            Port(name="loss", shape=(1,)),
        ),
        draw,
        dtype,
        dt=_dt(run),
        initial=initial,
    )


_INPUTS = {
    "step": ("q", "qd", "action"),
    "forward-dynamics": ("q", "qd", "action"),
    "inverse-dynamics": ("q", "qd", "qdd"),
    "gravity": ("q",),
}
_OUTPUTS = {
    "step": ("next_q", "next_qd"),
    "forward-dynamics": ("qdd",),
    "inverse-dynamics": ("force",),
    "gravity": ("force",),
}


def _functions(
    model: LearnedModel, spaces: Spaces | None
) -> dict[str, Callable[..., tuple[Array, ...]]]:
    def given(action: Array) -> Array:
        if spaces is None:
            return action
        low, high = jnp.asarray(spaces.actions, action.dtype).T
        return 2 * (action - low) / (high - low) - 1

    def step(q: Array, qd: Array, action: Array) -> tuple[Array, ...]:
        return tuple(model.step(State(q, qd), given(action)))

    def forward(q: Array, qd: Array, action: Array) -> tuple[Array, ...]:
        return (model.forward_dynamics(q, qd, given(action)),)

    def inverse(q: Array, qd: Array, qdd: Array) -> tuple[Array, ...]:
        return (model.inverse_dynamics(q, qd, qdd),)

    def gravity(q: Array) -> tuple[Array, ...]:
        return (model.gravity(q),)

    return {
        "step": step,
        "forward-dynamics": forward,
        "inverse-dynamics": inverse,
        "gravity": gravity,
    }


def _ranges(run: Run | FittedRun, spaces: Spaces | None) -> Ranges:
    if isinstance(run, Run):
        assert spaces is not None
        n = run.model.transition.coordinates.n
        far, fast = (np.asarray(x)[:n] for x in run.config.task.reach)
        return Ranges(np.zeros(n), far, fast, 10 * fast, spaces)
    sizes = run.sizes
    fast = 2 * np.asarray(sizes.speeds)
    actions = tuple((-2 * x, 2 * x) for x in _per_action(sizes))
    return Ranges(
        np.asarray(sizes.origin),
        2 * np.asarray(sizes.position),
        fast,
        fast / sizes.time,
        Spaces(0, actions),
    )


def _per_action(sizes: Any) -> tuple[float, ...]:
    """Usual magnitude of each action of a fit; 1 where there is none."""
    known = tuple(x or 1.0 for x in sizes.action)
    return known if len(known) == sizes.actions else (1.0,) * sizes.actions


def _drawn(name: str, ranges: Ranges, rng: np.random.Generator) -> np.ndarray:
    if name == "action":
        low, high = np.asarray(ranges.actions.actions, float).reshape(-1, 2).T
        return rng.uniform(low, high)
    size = {"q": ranges.position, "qd": ranges.velocity, "qdd": ranges.acceleration}[name]
    middle = ranges.middle if name == "q" else 0.0
    return middle + rng.uniform(-1, 1, size.shape) * size


def _ports(
    angles: tuple[bool, ...], actions: Any, ranges: Ranges, run: Run | FittedRun
) -> dict[str, Port]:
    n = len(angles)
    lengths = tuple("rad" if angle else "m" for angle in angles)
    forces = tuple("N m" if angle else "N" for angle in angles)
    count = len(ranges.actions.actions)
    generalised = isinstance(run, FittedRun) and count == n
    limits = {}
    if actions is not None:
        low, high = (tuple(bound) for bound in zip(*actions, strict=True))
        limits = {"low": low, "high": high}
    return {
        "q": Port(name="q", shape=(n,), units=lengths),
        "qd": Port(name="qd", shape=(n,), units=tuple(f"{x}/s" for x in lengths)),
        "qdd": Port(name="qdd", shape=(n,), units=tuple(f"{x}/s^2" for x in lengths)),
        "next_q": Port(name="next_q", shape=(n,), units=lengths),
        "next_qd": Port(name="next_qd", shape=(n,), units=tuple(f"{x}/s" for x in lengths)),
        "force": Port(name="force", shape=(n,), units=forces),
        "action": Port(
            name="action", shape=(count,), units=forces if generalised else (), **limits
        ),
    }


def _dt(run: Run | FittedRun) -> float:
    return run.config.task.action_time if isinstance(run, Run) else run.sizes.dt


def _dtype_of(model: LearnedModel) -> Any:
    return jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))[0].dtype
