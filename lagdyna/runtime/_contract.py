"""Contracts of exported programs: their inputs, outputs and origin."""

import hashlib
from typing import Literal

import msgspec

from ._reading import Reading

CONTRACT_FILE = "contract.json"
"""Name of the file with the inputs and outputs of an exported program."""

Format = Literal["stablehlo", "onnx", "npz"]
"""Formats of exported programs."""


class Port(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Input or output of an exported program.

    **Arguments:**

    - `name`: its name.
    - `shape`: its shape, without a batch.
    - `units`: of each entry; empty for an observation, whose units are the environment's.
    - `low`, `high`: limits of each entry, if it has any.
    """

    name: str
    shape: tuple[int, ...]
    units: tuple[str, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


class NetworkFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Form of a policy network whose weights are in a `.npz` file.

    Its input is `(L q, cos(A q), sin(A q), qd / velocity_scale)`, with `q` divided by
    `position_scale`. These arrays and the affine maps are in the file: `linear` (`L`),
    `angles` (`A`), `position_scale`, `velocity_scale`, `weight0`, `bias0`, `weight1`, ...

    With `link_lengths`, of an arm that reaches for a target, three inputs come before the
    velocities: the vector from tip to target, and `sqrt(distance^2 + 0.01^2)`, all in lengths
    of the arm. The last two entries of `q` are the target.

    **Arguments:**

    - `activation`: of the hidden layers.
    - `layers`: number of affine maps.
    - `bound`: `mu` is `bound tanh(mu / bound)` before the last `tanh`; `None` for no bound.
    """

    activation: str
    layers: int
    bound: float | None = None


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """Comparison of an exported program with its source.

    **Arguments:**

    - `inputs`: number of random inputs.
    - `largest_difference`: of an output, relative to the largest magnitude of that output.
    - `latency_us`: median time of a call, microseconds.
    - `processor`: of the machine.
    """

    inputs: int
    largest_difference: float
    latency_us: float
    processor: str


class Contract(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Contract of an exported program, the file `contract.json`.

    **Arguments:**

    - `what`: what was exported, such as `policy`.
    - `format`, `file`: format and name of the file beside the contract.
    - `precision`: of all inputs and outputs.
    - `inputs`, `outputs`: in their order.
    - `dt`: time from one call to the next, s; `None` for a function of mechanics.
    - `hold`: for how many observations an action is held.
    - `reading`: of a policy, how it reads an observation.
    - `initial`: name of the file with the first values of the inputs that come back as
        outputs, of a `filter-update`.
    - `network`: of a policy in the format `npz`.
    - `platform`: on which a `stablehlo` program runs.
    - `source`: name of the run's directory.
    - `lagdyna`, `made_with`: versions of lagdyna and of the packages that made the file.
    - `check`: comparison with the source.
    - `digest`: checksum of the file and of the contract.
    """

    what: str
    format: Format
    file: str
    precision: Literal["float32", "float64"]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    dt: float | None = None
    hold: int = 1
    reading: Reading | None = None
    initial: str = ""
    network: NetworkFacts | None = None
    platform: str | None = None
    source: str = ""
    lagdyna: str = ""
    made_with: dict[str, str] = {}
    check: Check | None = None
    digest: str = ""


def sealed(contract: Contract, *content: bytes) -> Contract:
    """Add the checksum to a contract.

    **Arguments:** `content`, of the files beside it: the program and, if there are any, the
    initial values.
    """
    bare = msgspec.structs.replace(contract, digest="")
    found = hashlib.sha256(msgspec.json.encode(bare))
    for each in content:
        found.update(each)
    return msgspec.structs.replace(contract, digest=found.hexdigest())
