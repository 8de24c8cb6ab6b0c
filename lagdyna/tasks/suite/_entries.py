import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..._environments import IDS
from ...mechanics import Coordinates, FixedActuation, MechanicalSystem
from ...systems import Pendulum, PlanarChain
from .._spec import CoordinateSpec, TaskSpec
from ._task import SuiteTask


@dataclass(frozen=True, kw_only=True)
class SuiteEntry:
    """What sets one task of the suite apart, as data.

    **Arguments:**

    - `env_id`: its Gymnasium environment.
    - `links`: how many.
    - `cart`: whether the chain stands on a cart.
    - `dt`: seconds of one step.
    - `scales`: for each coordinate the force (N) or torque (N m) of an action of 1, 0 where
        nothing drives it.
    - `description`: a sentence for people.
    - `gravity`: m/s^2.
    - `point_mass`: whether it is a mass of 1 kg on a weightless link; else links are uniform
        rods of 0.1 kg and 1 m, and a cart has 1 kg.
    - `steps`: of experience for a run.
    - `repeat`, `substeps`: for how many steps a learner holds each action, and solver steps of
        its model in that time.
    - `speed`: the largest of a link that is worth imagining, rad/s.
    """

    env_id: str
    links: int
    cart: bool
    dt: float
    scales: tuple[float, ...]
    description: str
    gravity: float = 9.8
    point_mass: bool = False
    steps: int = 25_000
    repeat: int = 1
    substeps: int = 1
    speed: float = 10.0

    @property
    def force(self) -> tuple[tuple[float, ...], ...]:
        """The actuation map, a row per coordinate, a column per action."""
        driven = [i for i, scale in enumerate(self.scales) if scale != 0]
        rows = range(len(self.scales))
        return tuple(tuple(self.scales[i] if i == j else 0.0 for j in driven) for i in rows)

    @property
    def spec(self) -> TaskSpec:
        """What a learner is told of it: where an observation keeps the state, and reach."""
        first = int(self.cart)
        velocities = first + 2 * self.links
        cart = CoordinateSpec(
            kind="linear",
            position=0,
            velocity=velocities,
            position_range=2.0,
            velocity_range=5.0,
        )
        angles = tuple(
            CoordinateSpec(
                kind="angle",
                cos=first + 2 * i,
                sin=first + 2 * i + 1,
                velocity=velocities + first + i,
                velocity_range=self.speed,
            )
            for i in range(self.links)
        )
        return TaskSpec(
            env_id=self.env_id,
            coordinates=(cart, *angles) if self.cart else angles,
            dt=self.dt,
            force=self.force,
            description=self.description,
            steps=self.steps,
            repeat=self.repeat,
            substeps=self.substeps,
            chain=self.links > 1,
        )


SUITE: Mapping[str, SuiteEntry] = MappingProxyType(
    {
        "pendulum": SuiteEntry(
            env_id=IDS["pendulum"],
            steps=6_000,
            links=1,
            cart=False,
            dt=0.02,
            scales=(2.0,),
            point_mass=True,
            description="Swing a point mass up with a torque too weak to lift it.",
            repeat=2,
        ),
        "reacher": SuiteEntry(
            env_id=IDS["reacher"],
            steps=6_000,
            links=2,
            cart=False,
            dt=0.02,
            scales=(0.1, 0.1),
            gravity=0.0,
            description="Turn two links without gravity, both joints driven.",
            repeat=2,
            substeps=2,
            speed=3.0,
        ),
        "cartpole": SuiteEntry(
            env_id=IDS["cartpole"],
            steps=6_000,
            links=1,
            cart=True,
            dt=0.01,
            scales=(10.0, 0.0),
            description="Swing a pole up by pushing its cart.",
            repeat=4,
            substeps=2,
        ),
        "acrobot": SuiteEntry(
            env_id=IDS["acrobot"],
            links=2,
            cart=False,
            dt=0.01,
            scales=(0.0, 1.75),
            description="Swing two links up, only the joint between them driven.",
            repeat=4,
            substeps=2,
        ),
        "cart2pole": SuiteEntry(
            env_id=IDS["cart2pole"],
            links=2,
            cart=True,
            dt=0.01,
            scales=(10.0, 0.0, 0.0),
            description="Swing two linked poles up by pushing their cart.",
            repeat=4,
            substeps=2,
        ),
        "acro3bot": SuiteEntry(
            env_id=IDS["acro3bot"],
            links=3,
            cart=False,
            dt=0.01,
            scales=(0.5, 0.0, 2.0),
            description="Swing three links up, the first and the last joint driven.",
            repeat=4,
            substeps=2,
        ),
        "cart3pole": SuiteEntry(
            env_id=IDS["cart3pole"],
            links=3,
            cart=True,
            dt=0.01,
            scales=(10.0, 0.0, 0.0, 1.0),
            description="Swing three linked poles up, cart and last joint driven.",
            repeat=4,
            substeps=2,
        ),
    }
)
"""The seven tasks of Ramesh & Ravindran (2023), by short name."""


def suite_name(spec: TaskSpec) -> str | None:
    """The short name of the task of the suite that `spec` describes, if it is one.

    What a description may change without its being another task is what learners are told
    beyond what its state is and where: reach, `repeat`, forces.
    """
    for name, entry in SUITE.items():
        known = entry.spec
        same_state = spec.context == known.context and [
            (c.kind, c.indices, c.relative_to) for c in spec.coordinates
        ] == [(c.kind, c.indices, c.relative_to) for c in known.coordinates]
        if spec.env_id == known.env_id and same_state:
            return name if spec.action_size == known.action_size else None
    return None


def suite_task(name: str) -> SuiteTask:
    """The task of that short name, one of [`lagdyna.tasks.SUITE`][].

    Its parameters have the precision that is switched on: float32, or float64 under
    `jax.enable_x64`.

    **Raises:** `ValueError` for an unknown name, with the nearest known ones.
    """
    if name not in SUITE:
        near = difflib.get_close_matches(name, SUITE, n=3, cutoff=0.4)
        hint = f"nearest: {', '.join(near)}; " if near else ""
        raise ValueError(
            f"`name` was {name!r}, which is not a task of the suite; {hint}"
            f"all: {', '.join(SUITE)}"
        )
    entry = SUITE[name]
    actuation = FixedActuation(entry.force)
    if entry.point_mass:
        body, coordinates = Pendulum.point_mass(gravity=entry.gravity), Coordinates((True,))
    else:
        cart_mass = 1.0 if entry.cart else None
        body = PlanarChain.rods(entry.links, gravity=entry.gravity, cart_mass=cart_mass)
        coordinates = body.coordinates
    system = MechanicalSystem(body, coordinates, actuation)
    return SuiteTask(name, system, len(entry.force[0]), entry.dt)
