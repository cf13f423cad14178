"""Images through an ONNX classifier in ONNX Runtime on the CPU, logits out."""

# N images, C channels, H rows, W columns, K classes

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models.errors import BadInput, OutOfMemory
from .targets import session_settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnxruntime import InferenceSession

FLOATS = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64"}

_NO_MEMORY = re.compile("bad_alloc|bad allocation|Failed to allocate memory")


@dataclass(frozen=True, kw_only=True)
class Signature:
    """What a classifier takes and gives; a free axis is None."""

    input: str
    """Name of the image input."""
    output: str
    """Name of the logits output."""
    shape: tuple[int | None, ...]
    """(N, C, H, W) of the input as the file declares it."""
    gives: tuple[int | None, ...]
    """(N, K) of the output as ONNX Runtime infers it; () if it cannot say."""
    dtype: str
    """Element type of the input, in numpy's words."""


def open_session(
    source: Path | str | bytes,
    *,
    threads: int = 1,
    optimized_to: Path | None = None,
    target: str | None = None,
    fused: bool = True,
) -> InferenceSession:
    """A session on the CPU provider that says nothing on stderr.

    `optimized_to` is where ONNX Runtime writes the graph that it really runs. With a `target` it
    treats INT8 as on that target's processor. Not `fused`, it runs the file operator by operator.
    A file that is absent, broken or newer than the runtime raises `BadInput` with one line.
    """
    import onnxruntime as ort

    if not isinstance(source, bytes):
        a_file(Path(source))
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    if not fused:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    for name, value in session_settings(target).items():
        options.add_session_config_entry(name, value)
    if optimized_to is not None:
        options.optimized_model_filepath = str(optimized_to)
    try:
        # Without enable_fallback=0 a failure is printed on stdout and tried again.
        return ort.InferenceSession(
            source if isinstance(source, bytes) else str(source),
            options,
            providers=["CPUExecutionProvider"],
            enable_fallback=0,
        )
    except runtime_errors() as error:
        name = "the model" if isinstance(source, bytes) else str(source)
        raise refused(f"{name}: ONNX Runtime does not load it", error) from error


def infer(session: InferenceSession, images: NDArray[Any], batch: int = 64) -> NDArray[np.float32]:
    """Logits (N, K) in float32 of images (N, C, H, W), `batch` at a time.

    A model with a fixed batch axis gets batches of that size, the last one filled up with
    repeats whose logits are dropped. `BadInput` if the images do not fit the model, if it fails
    on them, or if it is no classifier (one image input, one output with a row per image).
    """
    import numpy as np

    model = signature(session)
    _fits(images, model)
    rows = model.shape[0] or batch
    logits: list[NDArray[np.float32]] = []
    for start in range(0, len(images), rows):
        chunk = images[start : start + rows].astype(model.dtype, copy=False)
        wanted = len(chunk)
        if model.shape[0] and wanted < rows:
            chunk = np.concatenate([chunk, np.repeat(chunk[-1:], rows - wanted, axis=0)])
        try:
            (out,) = session.run([model.output], {model.input: chunk})
        except runtime_errors() as error:
            raise refused(f"the model fails on {chunk.shape}", error) from error
        if out.ndim != 2 or len(out) != len(chunk):
            raise BadInput(
                f"the model gives {out.shape} for {len(chunk)} images;"
                f" a classifier gives one row of logits per image, (N, K)"
            )
        logits.append(out[:wanted].astype(np.float32, copy=False))
    return np.concatenate(logits)


def signature(session: InferenceSession) -> Signature:
    """Names, shapes and element type of a classifier; anything else is `BadInput`."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or len(outputs) != 1:
        raise BadInput(
            f"the model has {len(inputs)} inputs ({', '.join(i.name for i in inputs)}) and"
            f" {len(outputs)} outputs ({', '.join(o.name for o in outputs)});"
            f" a classifier has one of each"
        )
    (image,), (logits,) = inputs, outputs
    if image.type not in FLOATS or logits.type not in FLOATS:
        raise BadInput(
            f"the model takes {image.type} and gives {logits.type}; expected floating point"
        )
    if len(image.shape) != 4:
        raise BadInput(
            f"the model takes {_text(_sizes(image.shape))}; expected images (N, C, H, W)"
        )
    return Signature(
        input=image.name,
        output=logits.name,
        shape=_sizes(image.shape),
        gives=_sizes(logits.shape),
        dtype=FLOATS[image.type],
    )


def a_file(path: Path) -> Path:
    """`path` if a file is there and may be read, else `BadInput`."""
    if path.is_dir():
        raise BadInput(f"{path} is a folder; expected an ONNX file")
    if not path.is_file():
        raise BadInput(f"{path}: no such file; expected an ONNX file")
    try:
        path.open("rb").close()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
    return path


def one_line(error: BaseException) -> str:
    """An error as one line, without ONNX Runtime's codes and C++ addresses.

    >>> one_line(ValueError("[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Load model from"
    ...                     " a.onnx failed:Protobuf parsing\\nfailed."))
    'Protobuf parsing failed.'
    """
    text = " ".join(str(error).split())
    text = re.sub(r"\[ONNXRuntimeError\] : \d+ : \w+ : ", "", text)
    text = re.sub(r"(Load model from \S+ failed: ?)+", "", text)
    text = re.sub(r"/\S+\.(cc|h):\d+ .*\) (?=[A-Z(])", "", text)
    return (text if len(text) <= 300 else text[:297] + "...") or type(error).__name__


def _fits(images: NDArray[Any], model: Signature) -> None:
    if images.ndim != 4 or not len(images):
        raise BadInput(f"images have shape {images.shape}; expected (N, C, H, W) with N >= 1")
    if any(
        want not in (None, got) for want, got in zip(model.shape[1:], images.shape[1:], strict=True)
    ):
        raise BadInput(
            f"the model takes {_text(model.shape)},"
            f" the images are {_text((None, *images.shape[1:]))}"
        )


def _sizes(shape: list[int | str | None]) -> tuple[int | None, ...]:
    return tuple(size if isinstance(size, int) else None for size in shape)


def _text(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("N" if size is None else str(size) for size in shape) + ")"


def refused(what: str, error: Exception) -> BadInput:
    """An error of ONNX Runtime as one line that begins with `what`."""
    kind = OutOfMemory if _NO_MEMORY.search(str(error)) else BadInput
    return kind(f"{what}: {one_line(error)}")


def runtime_errors() -> tuple[type[Exception], ...]:
    """Every exception class of ONNX Runtime's binding; they share no base but Exception."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = [kind for kind in vars(state).values() if isinstance(kind, type)]
    return (
        RuntimeError,
        ValueError,
        *(kind for kind in own if issubclass(kind, Exception)),
    )
