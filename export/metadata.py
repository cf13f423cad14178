"""What an exported file says of itself: `edgestill.*` keys in its metadata, one JSON value each.

Written sorted, without times and paths, so that the same network gives the same bytes. What is read
comes from whoever made the file: every value is checked before it is handed on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..models.errors import BadInput

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import Tensor

PREFIX = "edgestill."
LARGEST_VALUE = 1 << 20
"""Characters of one value; what is longer is none of ours."""

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Unit = Annotated[float, Field(ge=-1, le=1)]
Deviation = Annotated[float, Field(gt=0, le=1)]


class Told(BaseModel):
    """What all parts share; keys of a later edgestill are no reason to fail."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class Input(Told):
    """The images that the file takes."""

    dtype: Literal["float32", "uint8"]
    layout: Literal["chw", "hwc"]
    range: tuple[float, float] | None = None
    """Least and largest pixel of a raw input; None where the caller normalises."""
    normalised: Literal["inside", "outside"]
    """Whether the file or its caller does (x / 255 - mean) / std."""


class Quantization(Told):
    """How the INT8 numbers came about."""

    method: str
    """What set the ranges, as mse or minmax, and whether training went on."""
    weights: Literal["per-channel", "per-tensor"]
    ranges_sha256: Sha256
    """Of the ranges as JSON: files of one network for several targets have it in common."""
    keep_float: tuple[str, ...] = ()
    """Layers that were left in float."""
    float_type: Literal["float32", "float16"] = "float32"


class Metadata(Told):
    """All keys; each may be absent."""

    source: str | None = None
    """The network, as torchvision:resnet18 or wideresnet."""
    weights_sha256: Sha256 | None = None
    """Of the weights that were exported, see `state_sha256`."""
    recipe: dict[str, Any] | None = None
    """What the network was made with; without the places of data."""
    classes: tuple[str, ...] | None = None
    """Names, in the order of the logits."""
    mean: tuple[Unit, ...] | None = None
    """Per channel, of pixels in 0 .. 1."""
    std: tuple[Deviation, ...] | None = None
    """Per channel, of pixels in 0 .. 1."""
    input: Input | None = None
    head: str | None = None
    """logits, softmax or topK."""
    precision: Literal["fp32", "fp16", "int8"] | None = None
    target: str | None = None
    runtime: str | None = None
    """The oldest runtime that the file is meant for, as tensorrt-10.3."""
    quantization: Quantization | None = None
    external_data: str | None = None
    """Name of the file beside this one that holds the weights."""
    versions: dict[str, str | int] | None = None
    """Of edgestill, torch, onnx; opset and IR version of the file."""


def write_metadata(model: ModelProto, facts: Mapping[str, Any]) -> None:
    """Makes `facts` the metadata of `model`, in place; a fact of None is left out."""
    del model.metadata_props[:]
    for name in sorted(facts):
        value = facts[name]
        if value is not None:
            text = value if isinstance(value, str) else _canonical(value)
            model.metadata_props.add(key=f"{PREFIX}{name}", value=text)


def read_metadata(model: ModelProto) -> dict[str, Any]:
    """What `model` says of itself, by the names of `Metadata`; {} for a file of others.

    Raises `BadInput` if one of our keys stands twice or has a value that cannot be what it says.
    """
    found: dict[str, Any] = {}
    for item in model.metadata_props:
        name = item.key.removeprefix(PREFIX)
        if name == item.key or name not in Metadata.model_fields:
            continue
        if name in found:
            raise BadInput(f"the file's metadata has {item.key} twice")
        found[name] = _value(name, item.value)
    try:
        # JSON's rules: a list is a tuple, but "5" is no number.
        told = Metadata.model_validate_json(json.dumps(found))
    except ValidationError as error:
        first = error.errors()[0]
        key = PREFIX + ".".join(map(str, first["loc"]))
        raise BadInput(f"the file's metadata: {key}: {first['msg']}") from None
    return {name: value for name, value in told.model_dump().items() if value is not None}


def state_sha256(state: Mapping[str, Tensor]) -> str:
    """Hash of a network's tensors: names, types, sizes and bytes, in the order of the names."""
    hashed = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        sizes = "x".join(map(str, tensor.shape))
        hashed.update(f"{name}\n{tensor.dtype}\n{sizes}\n".encode())
        hashed.update(_bytes(tensor))
    return hashed.hexdigest()


def text_sha256(text: str) -> str:
    """Hash of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def versions(model: ModelProto, packages: Sequence[str] = ("edgestill", "torch", "onnx")) -> Any:
    """Versions of what wrote `model`, its opset and its IR version."""
    from importlib.metadata import version

    from .fit_opset import opset_of

    told: dict[str, str | int] = {name: version(name) for name in packages}
    return {**told, "opset": opset_of(model), "ir_version": int(model.ir_version)}


def _value(name: str, text: str) -> Any:
    if len(text) > LARGEST_VALUE:
        raise BadInput(f"the file's metadata: {PREFIX}{name} has {len(text):,} characters")
    kind = Metadata.model_fields[name].annotation
    if kind == str | None or name == "precision" or name == "weights_sha256":
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise BadInput(f"the file's metadata: {PREFIX}{name} is not JSON") from None


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))


def _bytes(tensor: Tensor) -> bytes:
    import torch

    # bfloat16 is no type of numpy's; the same bytes are.
    whole = tensor.reshape(-1).view(torch.uint8) if tensor.numel() else tensor.reshape(-1)
    data: bytes = whole.numpy().tobytes()
    return data
