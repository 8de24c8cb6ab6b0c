"""Parameters of RealAIGym's double pendulum, design C.1, model 1.0.

Source: `model_parameters.yml` of that model and `sim_parameters.py` of the leaderboard
`simulation_v2` in https://github.com/dfki-ric-underactuated-lab/double_pendulum (BSD licence).
The leaderboard sets friction and the inertia of the rotors to zero.
"""

from typing import Literal

Robot = Literal["acrobot", "pendubot"]

ROBOTS: tuple[Robot, ...] = ("acrobot", "pendubot")
DRIVEN = {"acrobot": 1, "pendubot": 0}  # the joint with a motor

MASS = (0.5234602302310271, 0.6255677234174437)  # kg
LENGTH = (0.2, 0.3)  # m
CENTRE = (0.2, 0.25569305436052964)  # distance from the joint to the centre of mass, m
INERTIA = (0.031887199591513114, 0.05086984812807257)  # about the joint, kg m^2
GRAVITY = 9.81  # m/s^2
GEAR_RATIO = 6.0
TORQUE = 6.0  # limit of the motor, N m

DT = 0.002  # seconds of one step of the classic Runge-Kutta method
SECONDS = 10.0
STEPS = 5000
GOAL_HEIGHT = 0.9 * sum(LENGTH)  # the tip above the pivot, m


def check_robot(robot: str) -> None:
    """Raise `ValueError` for an unknown robot."""
    if robot not in DRIVEN:
        accepted = " and ".join(map(repr, DRIVEN))
        raise ValueError(f"`robot` was {robot!r}; {accepted} are accepted")
