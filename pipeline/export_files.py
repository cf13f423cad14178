"""The files of one network: written plain and compared with it, then put into the form asked for.

Plain is float images in, logits out, as the network itself. The form (raw pixels, a head) is put
round a file that was compared already, and what it then gives is compared with the plain one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..export.file_form import FileForm
from ..models.errors import BadInput, GateFailed
from .export_source import Network, Quantized

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto

    from ..export.runtimes import Runtime
    from .exporting import Agreement

Precision = Literal["fp32", "fp16", "int8"]
FloatType = Literal["float32", "float16"]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """How the files of a network are to be."""

    form: FileForm = field(default_factory=FileForm)
    """Of every file, but for its runtime."""
    runtimes: tuple[Runtime, ...] = ()
    """The oldest releases that have to read the files; of others, the oldest supported."""
    float_type: FloatType = "float32"
    """Of what stays float beside INT8 in the file for TensorRT."""
    external_data: bool = False
    """Weights in a file beside the model."""
    stem: str = "model"
    """Files are called STEM.<precision or target>.onnx."""

    def form_of(self, name: str) -> FileForm:
        """The form of the file `name`: fp32, fp16 or a target."""
        programs = {"tensorrt": ("tensorrt",), "fp16": ("tensorrt", "onnxruntime")}
        for program in programs.get(name, ("onnxruntime", "tensorrt")):
            for runtime in self.runtimes:
                if runtime.name == program:
                    return replace(self.form, runtime=runtime)
        return self.form


@dataclass(frozen=True, kw_only=True)
class Written:
    """One file, and where it stands against the network it came from."""

    name: str
    """fp32, fp16, or the target."""
    path: Path
    plain: Path
    """The same file with float images and logits; `path` itself if that is its form."""
    agreement: Agreement
    """How far the plain file is from the network."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where files are written."""

    out: Path
    scratch: Path
    """On the same disk: files are written here and moved when they are found right."""
    images: NDArray[Any] | None = None
    """Held-out images (N, C, H, W), normalised, to compare on; None: seeded noise."""


def write_fp32(network: Network, wanted: Wanted, place: Place) -> Written:
    """STEM.fp32.onnx; `GateFailed` if it does not compute what the network does."""
    from .exporting import agreement

    return _written(
        _float_graph(network, wanted),
        "fp32",
        network,
        wanted,
        place,
        {"precision": "fp32"},
        lambda path: agreement(network.model, path, network.shape, images=place.images),
    )


def write_fp16(network: Network, wanted: Wanted, place: Place) -> Written:
    """STEM.fp16.onnx: float32 images and logits, float16 inside, by types alone."""
    from ..export.half import half_precision
    from .export_limits import HALF
    from .exporting import agreement

    return _written(
        half_precision(_fitting(_float_graph(network, wanted))),
        "fp16",
        network,
        wanted,
        place,
        {"precision": "fp16"},
        lambda path: agreement(network.model, path, network.shape, HALF, images=place.images),
    )


def write_int8(
    network: Network, quantized: Quantized, targets: Sequence[str], wanted: Wanted, place: Place
) -> Iterator[Written]:
    """STEM.<target>.onnx for every target, each told when it is written."""
    from ..export.dialects import write_dialect
    from ..export.to_onnx import onnx_from_model
    from .exporting import int8_agreement

    marked = onnx_from_model(
        quantized.network, network.shape, batch=wanted.form.batch, single_file=False
    )
    _fitting(marked)
    for target in targets:
        float_type = wanted.float_type if target == "tensorrt" else "float32"
        model = write_dialect(marked, quantized.ranges, target, float_type=float_type)
        facts = {
            "precision": "int8",
            "target": target,
            "quantization": _quantization(quantized, float_type),
        }
        compare = partial(
            int8_agreement,
            quantized.network,
            shape=network.shape,
            target=target,
            images=place.images,
            half=float_type == "float16",
        )
        yield _written(model, target, network, wanted, place, facts, compare)


def _written(
    core: ModelProto,
    name: str,
    network: Network,
    wanted: Wanted,
    place: Place,
    facts: Mapping[str, Any],
    compare: Callable[..., Agreement],
) -> Written:
    """`core` (float images -> logits) as a file, after `compare` has judged the plain one.

    One that is found wrong is kept as STEM.NAME.FAILED.onnx, for whoever looks into it.
    """
    from ..export.file_form import in_form
    from .exporting import failed_name
    from .form_parity import agrees_with_plain

    form, known = wanted.form_of(name), {"mean": network.mean, "std": network.std}
    target = None if name in ("fp32", "fp16") else name
    path = place.scratch / f"{wanted.stem}.{name}.onnx"
    model = in_form(core, form.as_plain(), target=target)
    _save(model, path, network, wanted, form.as_plain(), facts)
    plain = path
    try:
        found = compare(path=path)
        if not form.plain:
            plain = _moved(path, place.scratch / "plain")
            model = in_form(model, form, target=target, **known)
            _save(model, path, network, wanted, form, facts)
            agrees_with_plain(plain, path, form, network.mean, network.std, target)
    except GateFailed as error:
        kept = _moved(path, place.out, failed_name(path.name))
        raise GateFailed(f"{error}; kept as {kept}") from error
    made = _moved(path, place.out)
    return Written(name=name, path=made, plain=made if form.plain else plain, agreement=found)


def _moved(path: Path, folder: Path, name: str = "") -> Path:
    """Where the file and its weights now lie."""
    from ..export.onnx_writing import move_onnx

    folder.mkdir(exist_ok=True)
    to = folder / (name or path.name)
    move_onnx(path, to)
    return to


def _save(
    model: ModelProto,
    path: Path,
    network: Network,
    wanted: Wanted,
    form: FileForm,
    facts: Mapping[str, Any],
) -> None:
    from ..export.metadata import versions, write_metadata
    from ..export.onnx_writing import side_path, write_onnx

    raw = form.input == "uint8"
    told = {
        **network.facts,
        **facts,
        "input": {
            "dtype": form.input,
            "layout": form.layout if raw else "chw",
            "range": [0, 255] if raw else None,
            "normalised": "inside" if raw else "outside",
        },
        "head": form.head,
        "runtime": str(form.runtime) if form.runtime else None,
        "external_data": side_path(path).name if wanted.external_data else None,
        "versions": versions(model),
    }
    write_metadata(model, told)
    write_onnx(model, path, external_data=wanted.external_data)


def _float_graph(network: Network, wanted: Wanted) -> ModelProto:
    from ..export.to_onnx import onnx_from_model

    return onnx_from_model(
        network.model,
        network.shape,
        batch=wanted.form.batch,
        single_file=False,
    )


def _fitting(model: ModelProto) -> ModelProto:
    """`model`, or `BadInput` if it is too large to be rewritten."""
    from ..export.onnx_writing import LARGEST_BYTES, bytes_of

    if (size := bytes_of(model)) > LARGEST_BYTES:
        raise BadInput(
            f"the network takes {size:,} bytes; beyond 2 GiB only --precision fp32 with"
            " --external-data can be written"
        )
    return model


def _quantization(quantized: Quantized, float_type: FloatType) -> dict[str, Any]:
    from ..export.metadata import text_sha256

    return {
        "method": quantized.method,
        "weights": "per-channel",
        "ranges_sha256": text_sha256(quantized.ranges.to_json()),
        "keep_float": list(quantized.keep_float),
        "float_type": float_type,
    }
