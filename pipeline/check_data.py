"""Images of a data source as the model under check takes them, with their labels."""

# N images

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models.errors import BadInput
from .events import emit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..export.contract import Contract
    from .batches import Batches

MOST_IMAGES = 1000
MOST_BYTES = 512 << 20
"""Of all images as float32. The model file says how large an image is, and is not trusted."""
MOST_PORTS = 5
"""Inputs that a message names."""


def facts_contract(contract: Contract) -> Contract:
    """A contract that asks for nothing but what `check_facts` tells."""
    from ..export.contract import Contract

    off = {"finite": False, "deterministic": False, "batch_invariant": False, "single_file": False}
    return Contract.model_validate({**off, "sizes": contract.sizes})


def images_for(
    source: str, facts: Mapping[str, Any]
) -> tuple[dict[str, NDArray[Any]], NDArray[Any]]:
    """Held-out images of `source` for the model of `facts`, and their labels.

    At most MOST_IMAGES and MOST_BYTES, drawn by a fixed seed. A float model gets them normalised as
    its metadata says, else by the images' own mean and deviation, and a note says so; a uint8 model
    gets pixels, in the order of axes that it declares.

    Raises:
        BadInput: the source cannot be opened, or the model takes no images.
    """
    import torch

    from .data import open_data

    port, size, last = _image_port(facts)
    pixels = port["dtype"] == "uint8"
    # Left as they are, uint8 images in 0 .. 1 are pixels times 1 / 255.
    plain = {"mean": [0.0] * 3, "std": [1.0] * 3}
    told = plain if pixels else _normalisation(facts["metadata"])
    data = open_data(
        _settings(source, size, told),
        device=torch.device("cpu"),
        base=Path(),
        resident_bytes=MOST_BYTES,
    )
    if not told:
        shown_mean = ", ".join(f"{each:.3f}" for each in data.mean)
        emit(
            "note", text=f"the file names no normalisation: images by their own mean ({shown_mean})"
        )
    images, labels = _some(data.validation, size)
    if pixels:
        images = _pixels(images)
    if last:
        images = images.transpose(0, 2, 3, 1)
    return {port["name"]: images}, labels


def _some(held_out: Batches, size: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Images (N, 3, size, size), as many as there may be; only those are read."""
    import numpy as np

    from .splits import seeded_order

    total = len(held_out.labels)
    count = min(total, MOST_IMAGES, max(1, MOST_BYTES // (4 * 3 * size**2)))
    if count < total:
        emit("note", text=f"{count} of {total} held-out images of {size}x{size} are used")
    images, labels = held_out.some(np.sort(seeded_order(total, seed=(0,))[:count]))
    return images.numpy(), labels.numpy()


def _image_port(facts: Mapping[str, Any]) -> tuple[Mapping[str, Any], int, bool]:
    """The only input, its height, and whether channels are its last axis."""
    from ..export.model_parts import shown

    ports = facts.get("inputs", [])
    shapes = facts.get("samples", {})
    if len(ports) == 1 and len(shape := shapes[ports[0]["name"]]) == 3:
        if shape[0] == 3 and shape[1] == shape[2]:
            return ports[0], shape[1], False
        if shape[2] == 3 and shape[0] == shape[1]:
            return ports[0], shape[0], True
    told = ", ".join(f"{shown(p['name'])} {shown(p['shape'])}" for p in ports[:MOST_PORTS])
    told += f" and {len(ports) - MOST_PORTS} more" * (len(ports) > MOST_PORTS)
    raise BadInput(
        f"the model takes {told or 'nothing that can be loaded'}; a data source gives square images"
        " of three channels: give samples as an .npz with an array for each input"
    )


def _normalisation(metadata: Mapping[str, str]) -> dict[str, list[float]]:
    """{"mean", "std"} of the file's metadata, three each, or {}; `BadInput`: no such numbers."""
    from onnx import ModelProto

    from ..export.metadata import PREFIX, read_metadata

    names = ("mean", "std")
    model = ModelProto()
    for name in names:
        if (key := f"{PREFIX}{name}") in metadata:
            model.metadata_props.add(key=key, value=metadata[key])
    told = {name: list(values) for name, values in read_metadata(model).items()}
    if told and [len(told.get(name, ())) for name in names] != [3, 3]:
        found = ", ".join(f"{PREFIX}{name} {told.get(name)}" for name in names)
        raise BadInput(f"the file's metadata: {found[:120]}; expected three numbers each")
    return told


def _settings(source: str, size: int, told: Mapping[str, list[float]]) -> Any:
    from pydantic import ValidationError

    from .recipe import SOURCES, DataSettings

    place = {"source": source, "image_size": size, "resize": True, "batch_size": 64}
    try:
        return DataSettings.model_validate({**place, **{k: tuple(v) for k, v in told.items()}})
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        if problem["loc"][:1] == ("source",):
            raise BadInput(f"--data {source}: expected {SOURCES}, or an .npz file") from None
        where = ".".join(map(str, problem["loc"]))
        raise BadInput(f"--data {source}: {where}: {problem['msg']}") from None


def _pixels(images: NDArray[Any]) -> NDArray[Any]:
    """The uint8 pixels that `images` (N, 3, H, W) in 0 .. 1 were made of; exact, by rounding."""
    import numpy as np

    pixels: NDArray[Any] = np.rint(images * 255).astype(np.uint8)
    return pixels
