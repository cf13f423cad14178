"""Images of a data source as the model under check takes them, with their labels."""

# N images

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models.errors import BadInput
from .events import emit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..export.contract import Contract

MOST_IMAGES = 1000


def facts_contract(contract: Contract) -> Contract:
    """A contract that asks for nothing but what `check_facts` tells."""
    from ..export.contract import Contract

    off = {"finite": False, "deterministic": False, "batch_invariant": False, "single_file": False}
    return Contract.model_validate({**off, "sizes": contract.sizes})


def images_for(
    source: str, facts: Mapping[str, Any]
) -> tuple[dict[str, NDArray[Any]], NDArray[Any]]:
    """Held-out images of `source`, at most MOST_IMAGES, for the model of `facts`; their labels.

    A float model gets them normalised as its metadata says, else by the images' own mean and
    deviation, and a note says so; a uint8 model gets pixels, in the order of axes that it declares.

    Raises:
        BadInput: the source cannot be opened, or the model takes no images.
    """
    import torch

    from .data import open_data
    from .evaluate import as_arrays

    port, size, last = _image_port(facts)
    told = _normalisation(facts["metadata"])
    data = open_data(_settings(source, size, told), device=torch.device("cpu"), base=Path())
    if not told and port["dtype"] != "uint8":
        shown = ", ".join(f"{each:.3f}" for each in data.mean)
        emit("note", text=f"the file names no normalisation: images by their own mean ({shown})")
    images, labels = as_arrays(data.validation)
    images, labels = images[:MOST_IMAGES], labels[:MOST_IMAGES]
    if port["dtype"] == "uint8":
        images = _pixels(images, data.mean, data.std)
    if last:
        images = images.transpose(0, 2, 3, 1)
    return {port["name"]: images}, labels


def _image_port(facts: Mapping[str, Any]) -> tuple[Mapping[str, Any], int, bool]:
    """The only input, its height, and whether channels are its last axis."""
    ports = facts.get("inputs", [])
    shapes = facts.get("samples", {})
    if len(ports) == 1 and len(shape := shapes[ports[0]["name"]]) == 3:
        if shape[0] == 3 and shape[1] == shape[2]:
            return ports[0], shape[1], False
        if shape[2] == 3 and shape[0] == shape[1]:
            return ports[0], shape[0], True
    told = ", ".join(f"{p['name']} {p['shape']}" for p in ports) or "nothing that can be loaded"
    raise BadInput(
        f"the model takes {told}; a data source gives square images of three channels:"
        " give samples as an .npz with an array for each input"
    )


def _normalisation(metadata: Mapping[str, str]) -> dict[str, list[float]]:
    """{"mean", "std"} of the file's metadata, {} without; `BadInput`: not three numbers."""
    if "edgestill.mean" not in metadata or "edgestill.std" not in metadata:
        return {}
    told = {}
    for name in ("mean", "std"):
        text = metadata[f"edgestill.{name}"]
        try:
            values = json.loads(text)
            told[name] = [float(value) for value in values]
        except (ValueError, TypeError):
            raise BadInput(
                f"metadata edgestill.{name} is {text[:60]!r}; expected three numbers"
            ) from None
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


def _pixels(images: NDArray[Any], mean: Any, std: Any) -> NDArray[Any]:
    """The uint8 pixels that normalisation made `images` (N, 3, H, W) of; exact, by rounding."""
    import numpy as np

    scale = np.asarray(std, np.float32)[:, None, None]
    shift = np.asarray(mean, np.float32)[:, None, None]
    return np.rint((images * scale + shift) * 255).clip(0, 255).astype(np.uint8)
