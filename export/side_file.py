"""Where a tensor's values lie in a file beside the model, if that is a place one may read."""

from __future__ import annotations

import stat
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, NamedTuple

from .model_parts import shown
from .tensor_data import expected_bytes

if TYPE_CHECKING:
    from onnx import TensorProto


class Span(NamedTuple):
    """A piece of a file."""

    file: Path
    offset: int
    length: int


def span(tensor: TensorProto, model: Path) -> Span | str:
    """The piece of a side file that an external tensor of `model` names, or what is wrong with it.

    Asked of it: a relative path that stays in the folder of the model, links followed; a regular
    file; a piece that lies in it and is as long as dims and type need. That is what onnx.proto
    says of `external_data` and more: there a path may lead to any file of the machine.
    """
    told = {entry.key: entry.value for entry in tensor.external_data}
    if tensor.raw_data:
        return "holds its values twice, in raw_data and in a side file"
    file = _inside(told.get("location", ""), model)
    if isinstance(file, str):
        return file
    wanted = expected_bytes(tensor)
    if isinstance(wanted, str):
        return wanted
    size = file.stat().st_size
    offset = _number(told.get("offset", "0"))
    # Without a length the values reach to the end of the file.
    length = _number(told["length"]) if "length" in told else size - (offset or 0)
    if offset is None or length is None:
        return f"has offset {shown(told.get('offset'))}, length {shown(told.get('length'))}"
    if offset + max(length, wanted) > size:
        return (
            f"needs bytes {offset:,} to {offset + max(length, wanted):,} of {shown(file.name)},"
            f" which has {size:,}"
        )
    if "length" in told and length != wanted:
        return f"has {length:,} bytes in its side file; its dims and type need {wanted:,}"
    return Span(file, offset, wanted)


def _inside(location: object, model: Path) -> Path | str:
    """The regular file at `location`, which must not leave the folder of `model`."""
    if not isinstance(location, str) or not location or "\0" in location:
        return f"lies in a side file of the name {shown(location)}"
    for kind in (PurePosixPath, PureWindowsPath):  # the file may go to either
        path = kind(location)
        if path.is_absolute() or path.drive or path.root or ".." in path.parts:
            return f"points out of the model's folder: {shown(location)}"
    try:
        file = (model.parent / location).resolve(strict=True)
        # Caches keep a model as links into one folder: its own home counts as well.
        homes = {model.parent.resolve(), model.resolve().parent}
        if not any(file.is_relative_to(home) for home in homes):
            return f"points out of the model's folder, by a link: {shown(location)}"
        if not stat.S_ISREG(file.stat().st_mode):
            return f"lies in {shown(location)}, which is no regular file"
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: links in a circle
        reason = getattr(error, "strerror", None) or type(error).__name__
        return f"lies in {shown(location)}, which cannot be read: {reason}"
    return file


def _number(text: object) -> int | None:
    """A count of bytes in decimal digits, as onnx.proto writes them."""
    if not isinstance(text, str) or not (text.isascii() and text.isdigit() and len(text) < 20):
        return None
    return int(text)
