from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from ..._environments import IDS
from .._spec import CoordinateSpec, TaskSpec


@dataclass(frozen=True, kw_only=True)
class SuiteEntry:
    """Parameters of one task of the suite.

    **Arguments:**

    - `env_id`: id of its Gymnasium environment.
    - `links`: number of links.
    - `cart`: whether the chain is mounted on a cart.
    - `dt`: duration of one environment step, seconds.
    - `scales`: force (N) or torque (N m) of an action of 1 on each coordinate; 0 for a
        coordinate without an actuator.
    - `description`: one sentence about the task.
    - `gravity`: gravitational acceleration, m/s^2.
    - `point_mass`: whether the link is massless with a point mass of 1 kg at its tip. Otherwise
        links are uniform rods of 0.1 kg and 1 m, and a cart has 1 kg.
    - `steps`: default number of environment steps of a run.
    - `repeat`: number of environment steps for which an agent holds each action.
    - `substeps`: number of solver steps of the model per action.
    - `speed`: largest angular velocity of a joint in imagined states, rad/s.
    - `dissipation`: friction that a model of the task learns, as in
        [`lagdyna.tasks.TaskSpec`][].
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
    dissipation: Literal["none", "viscous"] = "none"

    @property
    def force(self) -> tuple[tuple[float, ...], ...]:
        """Actuation map, with one row per coordinate and one column per action."""
        driven = [i for i, scale in enumerate(self.scales) if scale != 0]
        rows = range(len(self.scales))
        return tuple(tuple(self.scales[i] if i == j else 0.0 for j in driven) for i in rows)

    @property
    def spec(self) -> TaskSpec:
        """Description of the task for learning: observation indices and state limits."""
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
            dissipation=self.dissipation,
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
            steps=3_000,
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
            steps=3_000,
            links=2,
            cart=False,
            dt=0.02,
            scales=(0.1, 0.1),
            gravity=0.0,
            description="Turn two links without gravity, with both joints driven.",
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
            steps=5_000,
            links=2,
            cart=False,
            dt=0.01,
            scales=(0.0, 1.75),
            description="Swing two links up, with only the joint between them driven.",
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
            description="Swing three links up, with the first and the last joint driven.",
            repeat=4,
            substeps=2,
        ),
        "cart3pole": SuiteEntry(
            env_id=IDS["cart3pole"],
            links=3,
            cart=True,
            dt=0.01,
            scales=(10.0, 0.0, 0.0, 1.0),
            description="Swing three linked poles up, with the cart and the last joint driven.",
            repeat=4,
            substeps=2,
        ),
    }
)
"""Tasks of the suite of Ramesh & Ravindran (2023), by short name."""
