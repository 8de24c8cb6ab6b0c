"""Packages of the extra `sweep`."""

import importlib.util

from .._errors import UserError


def check_installed(package: str, purpose: str) -> None:
    """Refuse to go on without a package of the extra `sweep`.

    **Raises:** `UserError` that names the package and the extra.
    """
    if importlib.util.find_spec(package) is None:
        raise UserError(
            f"{purpose} needs the package {package}; install it with `pip install "
            "'lagdyna[sweep]'`"
        )
