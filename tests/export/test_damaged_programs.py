"""Exported programs whose files were changed by hand, with their checksums."""

import io
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from lagdyna import UserError
from lagdyna.runtime import (
    CONTRACT_FILE,
    Contract,
    NetworkFacts,
    ObservedCoordinate,
    Port,
    Reading,
    load_exported_policy,
    load_initial,
    sealed,
)

COORDINATE = ObservedCoordinate(kind="angle", cos=0, sin=1, velocity=2)
READING = Reading(environment="a pendulum", coordinates=(COORDINATE,), dt=0.05)
POLICY = Contract(
    what="policy",
    format="npz",
    file="policy.npz",
    precision="float64",
    inputs=(Port(name="observation", shape=(3,)),),
    outputs=(Port(name="action", shape=(1,), low=(-2.0,), high=(2.0,)),),
    dt=0.05,
    reading=READING,
    network=NetworkFacts(activation="tanh", layers=2),
)
UPDATE = Contract(
    what="filter-update",
    format="npz",
    file="policy.npz",
    precision="float64",
    inputs=(Port(name="weights", shape=(3,)), Port(name="q", shape=(1,))),
    outputs=(Port(name="weights", shape=(3,)),),
    initial="initial.npz",
)
WEIGHTS = {
    "linear": np.zeros((0, 1)),
    "angles": np.ones((1, 1)),
    "position_scale": np.ones(1),
    "velocity_scale": np.ones(1),
    "weight0": np.ones((4, 3)),
    "bias0": np.zeros(4),
    "weight1": np.ones((1, 4)),
    "bias1": np.zeros(1),
}


def packed(arrays: dict[str, Any]) -> bytes:
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def written(out: Path, contract: Contract, *content: bytes) -> Path:
    """Write a program with the right checksum."""
    out.mkdir()
    names = filter(None, (contract.file, contract.initial))
    for name, each in zip(names, content, strict=True):
        (out / name).write_bytes(each)
    (out / CONTRACT_FILE).write_bytes(msgspec.json.encode(sealed(contract, *content)))
    return out


def test_the_policy_itself_is_whole(tmp_path: Path) -> None:
    policy = load_exported_policy(written(tmp_path / "out", POLICY, packed(WEIGHTS)))
    assert policy.predict(np.array([1.0, 0.0, 0.3]))[0].shape == (1,)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("linear", np.zeros((7, 7))),
        ("angles", np.array(["a"])),
        ("weight0", np.ones((4, 2))),
        ("weight1", np.ones((2, 4))),
        ("bias1", np.zeros((7, 7))),
        ("bias0", np.zeros(4) * 1j),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, name: str, value: Any) -> None:
    out = written(tmp_path / "out", POLICY, packed({**WEIGHTS, name: value}))
    with pytest.raises(UserError, match="policy.npz' is damaged: "):
        load_exported_policy(out)


@pytest.mark.parametrize(
    "changes",
    [
        {"network": NetworkFacts(activation="tanh", layers=0)},
        {"network": NetworkFacts(activation="tanh", layers=1)},
        {"inputs": ()},
        {"outputs": POLICY.outputs * 2},
        {"inputs": (Port(name="observation", shape=()),)},
        {"inputs": (Port(name="observation", shape=(10**12,)),)},
        {"outputs": (Port(name="action", shape=(1,)),)},
        {"outputs": (Port(name="action", shape=(2,), low=(0.0,) * 2, high=(1.0,)),)},
        {"reading": Reading(environment="a", coordinates=(), dt=0.1)},
        {
            "reading": Reading(
                environment="a",
                coordinates=(ObservedCoordinate(kind="linear", position=0, velocity=99),),
                dt=0.1,
            )
        },
    ],
)
def test_contracts_that_do_not_fit_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    contract = msgspec.structs.replace(POLICY, **changes)
    with pytest.raises(UserError, match="is damaged: "):
        load_exported_policy(written(tmp_path / "out", contract, packed(WEIGHTS)))


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"other": np.zeros(3)},
        {"weights": np.zeros(3), "other": np.zeros(3)},
        {"weights": np.zeros(4)},
        {"weights": np.zeros(3, int)},
        {"weights": np.array(["a"] * 3)},
    ],
)
def test_initial_values_that_do_not_fit_are_refused(
    tmp_path: Path, arrays: dict[str, Any]
) -> None:
    program, good = packed(WEIGHTS), packed({"weights": np.zeros(3)})
    assert load_initial(written(tmp_path / "good", UPDATE, program, good))[0].shape == (3,)
    with pytest.raises(UserError, match="initial.npz' is damaged: "):
        load_initial(written(tmp_path / "out", UPDATE, program, packed(arrays)))


def test_arrays_that_unpack_to_too_much_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("weights.npy", b"\0" * 2**20)
    assert len(content.getvalue()) < 2**12
    out = written(tmp_path / "out", UPDATE, packed(WEIGHTS), content.getvalue())
    monkeypatch.setattr("lagdyna.runtime._exported._LIMIT_BYTES", 2**16)
    with pytest.raises(UserError, match="is damaged: its arrays are too large"):
        load_initial(out)


@pytest.mark.parametrize("name", ["..", "../out/initial.npz", "/etc/hostname", "."])
def test_files_elsewhere_are_not_read(tmp_path: Path, name: str) -> None:
    contents = packed(WEIGHTS), packed({"weights": np.zeros(3)})
    out = written(tmp_path / "out", UPDATE, *contents)
    contract = sealed(msgspec.structs.replace(UPDATE, initial=name), *contents)
    (out / CONTRACT_FILE).write_bytes(msgspec.json.encode(contract))
    with pytest.raises(UserError, match="is not beside its contract|is no regular file"):
        load_initial(out)
