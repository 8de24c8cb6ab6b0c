from collections.abc import Mapping
from types import MappingProxyType

import jax.numpy as jnp
import numpy as np

from ..._environments import YARDSTICKS as _REGISTERED
from ...mechanics import FixedActuation, MechanicalSystem
from ...systems import PlanarChain
from . import realaigym
from ._entries import SuiteEntry
from ._pilco import pilco_task
from ._rewards import TipReward
from ._task import SuiteTask

YARDSTICKS: Mapping[str, SuiteEntry] = MappingProxyType(
    {
        "realaigym-acrobot": SuiteEntry(
            env_id=_REGISTERED["realaigym-acrobot"][0],
            links=2,
            cart=False,
            dt=realaigym.DT,
            scales=(0.0, realaigym.TORQUE),
            gravity=realaigym.GRAVITY,
            description="Swing RealAIGym's double pendulum up with a motor at its elbow.",
            steps=60_000,
            repeat=10,
            substeps=2,
            speed=20.0,
        ),
        "realaigym-pendubot": SuiteEntry(
            env_id=_REGISTERED["realaigym-pendubot"][0],
            links=2,
            cart=False,
            dt=realaigym.DT,
            scales=(realaigym.TORQUE, 0.0),
            gravity=realaigym.GRAVITY,
            description="Swing RealAIGym's double pendulum up with a motor at its shoulder.",
            steps=60_000,
            repeat=10,
            substeps=2,
            speed=20.0,
        ),
        "pilco-cartpole": SuiteEntry(
            env_id=_REGISTERED["pilco-cartpole"][0],
            links=1,
            cart=True,
            dt=0.1,
            scales=(10.0, 0.0),
            gravity=9.82,
            description="Swing PILCO's pole up by pushing its cart.",
            steps=600,
            substeps=5,
            speed=15.0,
            dissipation="viscous",
        ),
        "pilco-cart2pole": SuiteEntry(
            env_id=_REGISTERED["pilco-cart2pole"][0],
            links=2,
            cart=True,
            dt=0.05,
            scales=(20.0, 0.0, 0.0),
            gravity=9.82,
            description="Swing PILCO's two linked poles up by pushing their cart.",
            steps=3_000,
            substeps=4,
            speed=15.0,
            dissipation="viscous",
        ),
    }
)
"""Tasks of published benchmarks, by short name: RealAIGym's leaderboard and PILCO."""


def yardstick_task(name: str) -> SuiteTask:
    """Construct the task of a short name of `YARDSTICKS`."""
    entry = YARDSTICKS[name]
    return pilco_task(name, entry) if entry.cart else _realaigym_task(name, entry)


def _realaigym_task(name: str, entry: SuiteEntry) -> SuiteTask:
    """Construct a double pendulum of RealAIGym; episodes start hanging, exactly at rest."""
    mass, length = np.asarray(realaigym.MASS), np.asarray(realaigym.LENGTH)
    centre = np.asarray(realaigym.CENTRE)
    about_centre = np.asarray(realaigym.INERTIA) - mass * centre**2
    body = PlanarChain(
        mass=jnp.asarray(mass, float),
        length=jnp.asarray(length, float),
        centre=jnp.asarray(centre / length, float),
        inertia=jnp.asarray(about_centre, float),
        gravity=jnp.asarray(entry.gravity, float),
    )
    system = MechanicalSystem(body, body.coordinates, FixedActuation(entry.force))
    return SuiteTask(
        name,
        system,
        len(entry.force[0]),
        entry.dt,
        realaigym.STEPS,
        0.0,
        objective=TipReward(realaigym.LENGTH),
    )
