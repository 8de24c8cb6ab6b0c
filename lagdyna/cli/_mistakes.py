"""Sentences for errors of other libraries that a user's input causes."""

import os
import re
import sys
import traceback
from pathlib import Path

from cyclopts import CycloptsError, UnusedCliTokensError


def sentence_of(error: CycloptsError) -> str:
    """Describe a mistake on the command line in one sentence."""
    if isinstance(error, UnusedCliTokensError):
        given = ", ".join(repr(token) for token in error.unused_tokens or [])
        command = " ".join(error.command_chain or ())
        return (
            f"{given} was given beside other arguments, and `lagdyna {command}` takes no more; "
            f"`lagdyna {command} --help` lists what it takes"
        )
    return " ".join(str(error).split())


def explained(error: Exception) -> str | None:
    """Describe an error of JAX or of a solver in one sentence; `None` for any other error."""
    text = " ".join(str(error).split())
    # Some versions of JAX only assert that there is a device of the platform.
    asserted = isinstance(error, AssertionError) and not text and _raised_in(error, "jax")
    asserted = asserted and bool(os.environ.get("JAX_PLATFORMS"))
    if asserted or "initialize backend" in text or "nknown backend" in text:
        platforms = os.environ.get("JAX_PLATFORMS", "")
        return (
            f"`JAX_PLATFORMS` was {platforms!r}, and JAX finds no such device on this machine; "
            "JAX_PLATFORMS=cpu is accepted, or JAX installed for the device, as "
            "`pip install 'jax[cuda12]'` for an NVIDIA GPU with its driver"
        )
    if "RESOURCE_EXHAUSTED" in text or "Out of memory" in text:
        return (
            "the run needs more memory than the device has; use a smaller batch or smaller "
            f"networks ({text[:150]})"
        )
    if type(error).__name__ == "EquinoxRuntimeError" or "linear solver" in text:
        return (
            "a linear solve failed: the mass matrix of the equations in use is singular or "
            "nan in a state that the run reached; check `model.known`, that every coordinate "
            "has kinetic energy, or choose another model"
        )
    if "max_steps" in text and "solver" in text:
        first = re.split(r"(?<=\.) ", text)[0]
        return f"the solver failed: {first} Use a larger `solver.rtol` or a fixed step"
    return None


def _raised_in(error: BaseException, package: str) -> bool:
    """Whether an error was raised in a package of that name."""
    places = traceback.walk_tb(error.__traceback__)
    files = [frame.f_code.co_filename for frame, _ in places]
    return bool(files) and package in Path(files[-1]).parts


def use_working_directory(env_id: str) -> None:
    """Let Python import modules of the working directory, for `MODULE:ENVIRONMENT` ids.

    A console script does not search it, unlike `python FILE.py`.

    **Arguments:** `env_id`, of a task that the user named on this command line.
    """
    here = os.getcwd()
    if ":" in env_id and here not in sys.path:
        sys.path.insert(0, here)
