"""The lint in a check's words: what which TensorRT release refuses, the same finding once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .runtimes import OLDEST
from .tensorrt_lint import VERSIONS, lint_every_version

if TYPE_CHECKING:
    from onnx import ModelProto

QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")


@dataclass(frozen=True, kw_only=True)
class Refusals:
    """What TensorRT refuses of a model."""

    hard: tuple[str, ...]
    """By a release that every file must suit, each with the releases that refuse it."""
    old: tuple[str, ...]
    """By older releases alone: TensorRT 8.6, which JetPack 6.0 has."""


def refusals(proto: ModelProto, *, quantizers: bool) -> Refusals:
    """The errors of the lint at all its versions: of the Q/DQ nodes, or of all the others."""
    versions: dict[str, list[str]] = {}
    for version, findings in lint_every_version(proto).items():
        for finding in findings:
            if finding.severity == "error" and (finding.op in QUANTIZERS) == quantizers:
                versions.setdefault(str(finding), []).append(version)
    oldest = VERSIONS.index(OLDEST["tensorrt"])
    must = set(VERSIONS[oldest:])
    told = {
        text: text if len(found) == len(VERSIONS) else f"{text} [TensorRT {', '.join(found)}]"
        for text, found in versions.items()
    }
    return Refusals(
        hard=tuple(told[text] for text, found in versions.items() if must & set(found)),
        old=tuple(told[text] for text, found in versions.items() if not must & set(found)),
    )


def shortened(texts: tuple[str, ...], most: int = 3) -> str:
    """The first few, and how many more there are."""
    more = f"; and {len(texts) - most} more" if len(texts) > most else ""
    return "; ".join(texts[:most]) + more
