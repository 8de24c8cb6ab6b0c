from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from ...mechanics import AbstractDissipation, FixedActuation, MechanicalSystem
from ...systems import PlanarChain
from ._entries import SuiteEntry
from ._rewards import SaturatingReward
from ._task import SuiteTask


class CartFriction(AbstractDissipation):
    """Viscous friction between a cart and its track.

    **Arguments:**

    - `coefficient`: N s/m.
    """

    coefficient: Float[Array, ""]

    def __call__(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        return jnp.zeros_like(qd).at[0].set(-self.coefficient * qd[0])


class _Scenario(NamedTuple):
    """Parameters of a scenario of PILCO.

    Source: `settings_cp.m`, `dynamics_cp.m`, `settings_cdp.m` and `dynamics_cdp.m` of PILCO
    v0.9, https://github.com/UCL-SML/pilco-matlab (BSD licence).
    """

    length: float  # of each link, m
    width: float  # of the saturating cost, m
    horizon: int
    spread: tuple[float, ...]


_MASS, _FRICTION, _GRAVITY, _SPEED_SPREAD = 0.5, 0.1, 9.82, 0.1
_SCENARIOS = {
    "pilco-cartpole": _Scenario(0.5, 0.25, 50, (0.1, 0.1)),
    "pilco-cart2pole": _Scenario(0.6, 0.5, 100, (0.1, 0.01, 0.01)),
}
_INTERNAL_STEP = 0.01  # seconds; PILCO's solver has adaptive steps


def pilco_task(name: str, entry: SuiteEntry) -> SuiteTask:
    """Construct a scenario of PILCO: a cart with links of 0.5 kg each and viscous friction."""
    scenario = _SCENARIOS[name]
    body = PlanarChain.rods(
        entry.links,
        mass=_MASS,
        length=scenario.length,
        gravity=_GRAVITY,
        cart_mass=_MASS,
    )
    friction = CartFriction(jnp.asarray(_FRICTION, body.mass.dtype))
    actuation = FixedActuation(entry.force)
    return SuiteTask(
        name,
        MechanicalSystem(body, body.coordinates, actuation, friction),
        len(entry.force[0]),
        entry.dt,
        scenario.horizon,
        scenario.spread,
        _SPEED_SPREAD,
        round(entry.dt / _INTERNAL_STEP),
        SaturatingReward((scenario.length,) * entry.links, scenario.width),
    )
