"""Exported programs as bytes, one function for each format."""

import io
import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any, NamedTuple

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from .._errors import UserError
from ..agents import NoisyPolicy, Policy
from ..models import softplus
from ..runtime import Format, NetworkFacts, needed
from ._program import Program


class Artefact(NamedTuple):
    """Content of a file, and what its contract says of it.

    **Attributes:** `content`; `made_with`, versions of packages; `network`, `platform`, as in
    [`lagdyna.runtime.Contract`][].
    """

    content: bytes
    made_with: dict[str, str]
    network: NetworkFacts | None = None
    platform: str | None = None


def stablehlo(program: Program) -> Artefact:
    """Write a program as StableHLO, serialised by `jax.export`.

    **Raises:** `UserError` if the package flatbuffers is missing.
    """
    needed("flatbuffers")
    shapes = [jax.ShapeDtypeStruct(port.shape, program.dtype) for port in program.inputs]
    exported = jax.export.export(jax.jit(program.function))(*shapes)
    platform = ", ".join(exported.platforms)
    return Artefact(bytes(exported.serialize()), {"jax": version("jax")}, platform=platform)


def onnx(program: Program) -> Artefact:
    """Write a program as ONNX by jax2onnx.

    **Raises:** `UserError` if the package is missing, or an operation of the program has no
    counterpart.
    """
    needed("jax2onnx")
    from jax2onnx import to_onnx  # pyright: ignore[reportMissingImports]

    shapes = [jax.ShapeDtypeStruct(port.shape, program.dtype) for port in program.inputs]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of types that jax2onnx converts itself
            model: Any = to_onnx(
                program.function,
                inputs=shapes,
                model_name=program.what,
                enable_double_precision=program.dtype == np.float64,
                input_names=[port.name for port in program.inputs],
                output_names=[port.name for port in program.outputs],
            )
    # jax2onnx raises errors of many kinds for what it does not know.
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise not_expressible(reason) from error
    return Artefact(
        model.SerializeToString(),
        {name: version(name) for name in ("jax2onnx", "onnx", "jax")},
    )


def not_expressible(reason: str) -> UserError:
    """Create the error of a program that ONNX does not express."""
    return UserError(
        f"`format` was 'onnx', which cannot express this program: {reason}; --format stablehlo "
        "can"
    )


def npz(program: Program) -> Artefact:
    """Write the weights of a policy network.

    **Raises:** `UserError` if the program is no policy, or its policy is no network of
    lagdyna.
    """
    policy = program.policy
    if policy is None:
        raise UserError(
            f"`format` was 'npz', which holds the weights of a policy, and `what` was "
            f"{program.what!r}; --format stablehlo or onnx is accepted"
        )
    if not isinstance(policy, Policy | NoisyPolicy) or policy.network.skip is not None:
        raise UserError(
            f"`format` was 'npz', which holds a policy network, and the policy of the run is a "
            f"{type(policy).__name__}; --format stablehlo is accepted"
        )
    network, features = policy.network, policy.features
    names = [name for name, each in _ACTIVATIONS.items() if each is network.activation]
    if not names:
        raise UserError(
            "`format` was 'npz', and the activation of the policy is none of "
            f"{', '.join(_ACTIVATIONS)}; --format stablehlo is accepted"
        )
    coordinates = features.coordinates
    identity = np.eye(coordinates.n)
    scale = features.position_scale or (1.0,) * coordinates.n
    arrays: dict[str, Any] = {
        "linear": identity[~np.asarray(coordinates.angles, bool)],
        "angles": coordinates.embedded_angles,
        "position_scale": np.asarray(scale),
        "velocity_scale": np.asarray(features.velocity_scale),
    }
    if coordinates.link_lengths:
        arrays["link_lengths"] = np.asarray(coordinates.link_lengths)
    bounded = isinstance(policy, Policy)
    actions = program.outputs[0].shape[0]
    for i, layer in enumerate(network.layers):
        # The second half of a stochastic policy's outputs is its standard deviation.
        rows = actions if i == len(network.layers) - 1 else None
        arrays[f"weight{i}"] = np.asarray(layer.weight)[:rows]
        arrays[f"bias{i}"] = np.asarray(layer.bias)[:rows]
    file = io.BytesIO()
    np.savez(file, **{name: x.astype(program.dtype) for name, x in arrays.items()})
    facts = NetworkFacts(
        activation=names[0],
        layers=len(network.layers),
        bound=Policy.BOUND if bounded else None,
    )
    return Artefact(file.getvalue(), {"numpy": version("numpy")}, network=facts)


_ACTIVATIONS: Mapping[str, Callable[..., Any]] = {
    "softplus": softplus,
    "tanh": jnp.tanh,
    "silu": jax.nn.silu,
    "elu": jax.nn.elu,
    "relu": jax.nn.relu,
}

WRITERS: Mapping[Format, Callable[[Program], Artefact]] = {
    "stablehlo": stablehlo,
    "onnx": onnx,
    "npz": npz,
}
"""Writer of each format."""
