"""Agent in a learned simulator on seven tasks (Ramesh & Ravindran 2023)."""

from ._figure import plot_returns_of_tasks as plot_returns_of_tasks
from ._published import MODELS as MODELS
from ._published import PAPER as PAPER
from ._published import published as published
from ._reproduction import Ramesh2023Suite as Ramesh2023Suite
from ._reproduction import converged_return as converged_return
from ._reproduction import make_part as make_part
from ._reproduction import run_config as run_config
from ._reproduction import steps_of as steps_of
