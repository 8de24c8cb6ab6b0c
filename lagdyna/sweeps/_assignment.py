"""Task of one trial and its result. Imports nothing that trains."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ..config import Config, FitConfig


class Assignment(NamedTuple):
    """Config of a trial's runs, and their directory.

    **Attributes:**

    - `config`: of the first seed.
    - `seeds`: how many.
    - `directory`: of the runs; an interrupted trial finds there what it left.
    - `report`: callback that receives a number of rounds and the objective after them; it
        raises an exception if the trial should end.
    - `note`: callback that receives warnings.
    - `error`: of fits, the error that is minimised.
    - `trust`: whether the config names Python code, which may be run.
    """

    config: Config | FitConfig
    seeds: int
    directory: Path
    report: Callable[[int, float], None]
    note: Callable[[str], None]
    error: str
    trust: bool


class Outcome(NamedTuple):
    """Results of a trial.

    **Attributes:** `values`, one of each seed; `seconds`, that all runs took.
    """

    values: tuple[float, ...]
    seconds: float


RunTrial = Callable[[Assignment], Outcome]
"""Runs a trial; it raises an error if the trial failed."""
