"""The `lagdyna` command."""

from ._main import main as main
