"""Exported programs, read from their files."""

import importlib.util
import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from jaxtyping import Float

from .._bytes import read_bytes
from .._errors import UserError
from ._contract import CONTRACT_FILE, Contract, Port, sealed
from ._network import ACTIVATIONS, network_policy, spaces_of
from ._predictor import AbstractPredictor

Call = Callable[..., tuple[np.ndarray, ...]]
"""Exported program: takes and returns arrays in the order of its contract."""

_LIMIT_BYTES = 2**30
_EXTRAS = {"onnxruntime": "onnx", "jax2onnx": "onnx", "flatbuffers": "stablehlo"}


class ExportedPolicy(AbstractPredictor):
    """Policy that was exported by `lagdyna export`.

    **Arguments:** `contract`, of the format; `call`, the program.

    **Attributes:** `contract`.
    """

    def __init__(self, contract: Contract, call: Call):
        assert contract.reading is not None
        super().__init__(contract.reading, spaces_of(contract))
        self.contract, self._call = contract, call
        self._dtype = np.dtype(contract.precision)

    def decide(
        self, observations: Float[np.ndarray, "*batch obs"], deterministic: bool
    ) -> Float[np.ndarray, "*batch m"]:
        if not deterministic:
            raise ValueError(
                "`deterministic` was False, and an exported policy has no noise; a run's "
                "policy, load_policy(RUN), has"
            )
        given = observations.astype(self._dtype)
        if given.ndim == 1 or self.contract.format == "npz":
            return self._call(given)[0]
        return np.stack([self._call(row)[0] for row in given])


def is_exported(path: str | Path) -> bool:
    """Whether a directory holds an exported program."""
    return (Path(path) / CONTRACT_FILE).exists()


def load_contract(directory: str | Path) -> Contract:
    """Read the contract of an exported program.

    **Raises:** [`lagdyna.UserError`][] if there is none, or it is damaged.
    """
    path = Path(directory) / CONTRACT_FILE
    try:
        return msgspec.json.decode(read_bytes(path, _LIMIT_BYTES), type=Contract)
    except FileNotFoundError as error:
        raise UserError(
            f"{str(directory)!r} has no {CONTRACT_FILE}; a directory that `lagdyna export` "
            "wrote is accepted"
        ) from error
    except (OSError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{str(path)!r} is damaged: {reason}") from error


def load_program(directory: str | Path) -> tuple[Contract, Call]:
    """Load an exported program as a function of NumPy arrays.

    Programs of the format `npz` need NumPy alone, those of `onnx` need onnxruntime, and those
    of `stablehlo` need JAX.

    **Returns:** the contract; and the function of the inputs, in their order, that returns the
    outputs as a tuple. Inputs are arrays or lists of numbers; it raises a `ValueError` if they
    are too few, too many or of another shape.

    **Raises:** [`lagdyna.UserError`][] if a file is missing or damaged, or a package is not
    installed.
    """
    contract, call = _load(directory)
    dtype = np.dtype(contract.precision)
    expected = [port.shape for port in contract.inputs]

    def checked(*inputs: Any) -> tuple[np.ndarray, ...]:
        arrays = [np.asarray(each, dtype) for each in inputs]
        if [each.shape for each in arrays] != expected:
            takes = ", ".join(f"{port.name} {[*port.shape]}" for port in contract.inputs)
            given = ", ".join(str([*each.shape]) for each in arrays)
            raise ValueError(
                f"the inputs have shapes {given or 'none'}; this program takes {takes}"
            )
        return call(*arrays)

    return contract, checked


def _load(directory: str | Path) -> tuple[Contract, Call]:
    """Load a program whose function does not check its inputs."""
    contract = load_contract(directory)
    path = Path(directory) / contract.file
    try:
        content, *_ = _contents(Path(directory), contract)
        return contract, _READERS[contract.format](contract, content)
    except UserError:
        raise
    # NumPy, onnxruntime and JAX raise many kinds of exceptions for damaged bytes.
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{str(path)!r} is damaged: {reason}") from error


def load_initial(directory: str | Path) -> tuple[np.ndarray, ...]:
    """Load the first values of the inputs that a program returns for its next call.

    **Returns:** the arrays, in the order of the inputs.

    **Raises:** [`lagdyna.UserError`][] if the program has none, or a file is missing or
    damaged.
    """
    contract = load_contract(directory)
    if not contract.initial:
        raise UserError(
            f"{str(directory)!r} holds a program of `--what {contract.what}`; one of "
            "`--what filter-update` has initial values"
        )
    path = Path(directory) / contract.initial
    try:
        arrays = _arrays(_contents(Path(directory), contract)[1])
        ports = [port for port in contract.inputs if port.name in arrays]
        if not ports or len(ports) < len(arrays):
            raise ValueError(f"it has the arrays {', '.join(arrays)}")
        for port in ports:
            _check_array(arrays[port.name], port)
        return tuple(arrays[port.name] for port in ports)
    except UserError:
        raise
    except Exception as error:  # NumPy raises many kinds for damaged bytes
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{str(path)!r} is damaged: {reason}") from error


def _check_array(array: np.ndarray, port: Port) -> None:
    """Compare an array with the contract.

    **Raises:** `ValueError` if it is another.
    """
    if array.shape != port.shape or array.dtype.kind != "f":
        raise ValueError(
            f"{port.name!r} is {array.dtype} of shape {array.shape}, and the contract has "
            f"numbers of shape {port.shape}"
        )


def _contents(directory: Path, contract: Contract) -> list[bytes]:
    """Read the files of a program, and compare them with the contract.

    **Raises:** `UserError` if one is missing or not beside it; `ValueError` if one has changed.
    """
    found = []
    for name in filter(None, (contract.file, contract.initial)):
        path = directory / name
        if Path(name).name != name:
            raise UserError(
                f"{str(path)!r} is not beside its contract; the name of a file is accepted"
            )
        try:
            found.append(read_bytes(path, _LIMIT_BYTES))
        except FileNotFoundError as error:
            raise UserError(
                f"{str(path)!r} does not exist; export the program again"
            ) from error
    if contract != sealed(contract, *found):
        raise ValueError(f"it is not what {CONTRACT_FILE} was written with")
    return found


def load_exported_policy(directory: str | Path) -> ExportedPolicy:
    """Load a policy that `lagdyna export` wrote.

    **Raises:** [`lagdyna.UserError`][] as `load_program`, or if it is no policy.
    """
    contract, call = _load(directory)  # a predictor checks its observations itself
    if contract.reading is None:
        raise UserError(
            f"{str(directory)!r} holds a program of `--what {contract.what}`; one of "
            "`--what policy` is accepted"
        )
    if not _is_of_policy(contract):
        path = Path(directory) / CONTRACT_FILE
        raise UserError(f"{str(path)!r} is damaged: its inputs or outputs are of no policy")
    return ExportedPolicy(contract, call)


def _is_of_policy(contract: Contract) -> bool:
    """Whether a contract has one observation, and one action with limits."""
    if contract.reading is None or (len(contract.inputs), len(contract.outputs)) != (1, 1):
        return False
    (observation,), (action,) = contract.inputs, contract.outputs
    if len(observation.shape) != 1 or not 0 < observation.shape[0] <= _LARGEST:
        return False
    return action.shape == (len(action.low),) == (len(action.high),)


_LARGEST = 10**6  # length of an observation


def needed(package: str) -> None:
    """Refuse to go on without a package of an extra.

    **Raises:** [`lagdyna.UserError`][] that names the extra.
    """
    if importlib.util.find_spec(package) is None:
        extra = _EXTRAS.get(package, package)
        raise UserError(
            f"this needs the package {package}; install it with `pip install "
            f"'lagdyna[{extra}]'`"
        )


def _npz(contract: Contract, content: bytes) -> Call:
    arrays = _arrays(content)
    facts = contract.network
    if facts is None or facts.activation not in ACTIVATIONS:
        raise ValueError("its contract does not say what network it is")
    if not _is_of_policy(contract):
        raise ValueError(f"{CONTRACT_FILE} has inputs or outputs that are of no policy")
    act = network_policy(contract, arrays)
    # Called once, since the shapes of the weights may not fit.
    (observation,), (action,) = contract.inputs, contract.outputs
    _check_array(act(np.zeros(observation.shape, contract.precision)), action)
    return lambda observation: (act(observation),)


def _arrays(content: bytes) -> Mapping[str, np.ndarray]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(each.file_size for each in archive.infolist()) > _LIMIT_BYTES:
            raise ValueError("its arrays are too large")
    with np.load(io.BytesIO(content), allow_pickle=False) as found:
        return {name: found[name] for name in found.files}


def _onnx(contract: Contract, content: bytes) -> Call:
    needed("onnxruntime")
    import onnxruntime  # pyright: ignore[reportMissingImports]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # a call is too small to share
    options.log_severity_level = 3  # errors alone
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    return lambda *inputs: tuple(session.run(None, dict(zip(names, inputs, strict=True))))


def _stablehlo(contract: Contract, content: bytes) -> Call:
    needed("flatbuffers")
    import jax
    import jax.export

    if contract.precision == "float64" and not jax.config.jax_enable_x64:  # pyright: ignore
        raise UserError(
            "the program is of float64, and this process computes in float32; set "
            "JAX_ENABLE_X64=1 before Python starts"
        )
    call: Any = jax.jit(jax.export.deserialize(bytearray(content)).call)
    return lambda *inputs: tuple(np.asarray(x) for x in call(*inputs))


_READERS: Mapping[str, Callable[[Contract, bytes], Call]] = {
    "npz": _npz,
    "onnx": _onnx,
    "stablehlo": _stablehlo,
}
