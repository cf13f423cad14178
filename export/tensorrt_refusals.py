"""What TensorRT cannot express, refused while writing: the first error of the lint, by node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..models.errors import BadInput
from .runtimes import OLDEST
from .tensorrt_lint import VERSIONS, lint_every_version

if TYPE_CHECKING:
    from onnx import ModelProto


def refuse_what_tensorrt_refuses(model: ModelProto) -> None:
    """Raises `BadInput` for the first node that a release would stop at which has to read the file.

    Those are TensorRT 10.3 and later; 8.6 reads opset 17, and is asked for by name.
    """
    found = lint_every_version(model)
    for version in VERSIONS[VERSIONS.index(OLDEST["tensorrt"]) :]:
        for finding in found[version]:
            if finding.severity == "error":
                raise BadInput(f"TensorRT cannot take {finding} (asked of {version})")
