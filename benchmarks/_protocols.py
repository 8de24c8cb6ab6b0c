"""Protocols of the published tables: configs of `lagdyna train` in `benchmarks/protocols`.

`protocols/GROUP/TASK.VARIANT.toml` is one protocol. To add one, add a file.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lagdyna import UserError
from lagdyna.config import Config, config_from_table
from lagdyna.options import config_to_toml, read_table
from lagdyna.results import NUMERICS, digest_of

HERE = Path(__file__).parent
PROTOCOLS = HERE / "protocols"
SEEDS = range(5)
ABLATIONS = "ablations"  # a group whose figures are differences, of fewer seeds
# Options that change no results. The action bounds are read from the environment.
_WORDS = ("description", "steps", "target_return", "unchecked", "action_bounds")


class Protocol(NamedTuple):
    """Training config of one entry of a published table.

    **Attributes:**

    - `group`, `task`, `variant`: table, and labels of its row.
    - `name`: `GROUP/FILE`, also the folder of its runs in `results/`.
    - `path`: its file.
    - `config`: resolved config with seed 0.
    - `fingerprint`: digest of all options that change results.
    """

    group: str
    task: str
    variant: str
    name: str
    path: Path
    config: Config
    fingerprint: str

    @property
    def seeds(self) -> range:
        """Seeds of its entry, once all are stored."""
        return range(3) if self.group == ABLATIONS else SEEDS

    @property
    def estimate(self) -> float:
        """Rough wall time of a run on one of two busy cores, used until a run is stored."""
        config, n = self.config, len(self.config.task.coordinates)
        solved = config.model is not None and not config.model.discrete
        model = config.model_updates / 2_000 * (2 + 2.5 * n if solved else 3.5)
        if config.agent.name == "imagination":
            agent = config.agent_updates / 400 * (2 + 3 * n if solved else 4)
        else:
            agent = config.agent_updates / 400
        evaluation = config.evaluation.episodes / 50
        return round(60 + config.phases * (model + agent + evaluation))


def read_protocols(folder: Path = PROTOCOLS) -> list[Protocol]:
    """Read all protocols, in the order of their names.

    **Raises:** `UserError` if a file is no config, or two files are the same protocol.
    """
    found: dict[str, Protocol] = {}
    for path in sorted(folder.glob("*/*.toml")):
        table = read_table(path)
        try:
            config = config_from_table(table).resolved()
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
        label, _, variant = path.stem.rpartition(".")
        named = table.get("task")
        task = named if isinstance(named, str) else label
        name = f"{path.parent.name}/{path.stem}"
        mark = fingerprint_of(config)
        if mark in found:
            raise UserError(
                f"{str(path)!r} is the same protocol as {str(found[mark].path)!r}; keep one"
            )
        found[mark] = Protocol(path.parent.name, task, variant, name, path, config, mark)
    return [*found.values()]


def fingerprint_of(config: Config, numerics: int = NUMERICS) -> str:
    """Compute the fingerprint of a config and of the version of the numerics.

    The fingerprint depends on every option of the resolved config except the seed and options
    that change no results. It does not depend on paths, comments or the layout of the code.

    **Returns:** 64 hexadecimal digits.
    """
    table = plain(config)
    table.pop("seed")
    table["task"] = {k: v for k, v in table["task"].items() if k not in _WORDS}
    return digest_of([numerics, table], "protocol")


def plain(config: Config) -> dict[str, Any]:
    """Convert a resolved config to the table of its TOML."""
    return tomllib.loads(config_to_toml(config.resolved()))


def fingerprint_of_table(table: Mapping[str, Any], numerics: int) -> str | None:
    """Compute the fingerprint of a stored config.

    Options that are newer than the stored config get their defaults. A new option whose
    default changes no results therefore leaves the fingerprints of old runs unchanged.

    **Returns:** the fingerprint, or `None` if this lagdyna cannot read the config.
    """
    try:
        return fingerprint_of(config_from_table(table), numerics)
    except UserError:
        return None
