"""What `edgestill profile` measures: models x precisions x batches as cases, refused before a byte
is sent where one of them could not be measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from ..models.errors import BadInput

if TYPE_CHECKING:
    from ..deploy.session import Case

ENGINES = ("onnxruntime", "tensorrt", "trtexec")
PRECISIONS = ("as-file", "fp32", "fp16", "int8")
PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}


def cases_of(
    models: Sequence[Path],
    *,
    engine: str = "onnxruntime",
    provider: str | None = None,
    precisions: Sequence[str] = ("as-file",),
    batches: Sequence[int] = (1,),
    threads: int | None = None,
    dla_core: int | None = None,
) -> list[Case]:
    """Every model in every precision at every batch, models outermost, each under its own label.

    Raises:
        BadInput: one line that names what cannot be measured, and what to do.
    """
    from ..deploy.session import Case

    _refuse_settings(engine, provider, precisions, threads)
    for model in models:
        _refuse_model(model, precisions, batches)
    labels = case_labels(models, precisions, batches)
    return [
        Case(
            model=model,
            label=label,
            engine=engine,
            provider=provider_name(engine, provider),
            batch=batch,
            threads=threads_of(engine, provider, threads),
            precision=precision,
            dla_core=dla_core,
        )
        for label, (model, precision, batch) in zip(
            labels, product(models, precisions, batches), strict=True
        )
    ]


def case_labels(
    models: Sequence[Path], precisions: Sequence[str], batches: Sequence[int]
) -> list[str]:
    """In the order of the cases: the file's name, then precision and batch where they vary.

    >>> case_labels([Path("a.onnx"), Path("b.onnx")], ["as-file"], [1, 8])
    ['a batch 1', 'a batch 8', 'b batch 1', 'b batch 8']
    """
    return [
        " ".join(
            [name] + [precision] * (len(precisions) > 1) + [f"batch {batch}"] * (len(batches) > 1)
        )
        for name, precision, batch in product(_names(models), precisions, batches)
    ]


def baseline_of(index: int, *, precisions: int, batches: int) -> int | None:
    """The case that case `index` is compared with; None for those that others are compared with.

    Another model: the first one, in the same precision at the same batch. Another precision of the
    first model: its first precision.

    >>> [baseline_of(index, precisions=2, batches=2) for index in range(8)]
    [None, None, 0, 1, 0, 1, 2, 3]
    """
    if index >= precisions * batches:
        return index % (precisions * batches)
    return index % batches if index >= batches else None


def provider_name(engine: str, provider: str | None) -> str:
    """ONNX Runtime's own name of a provider; empty for engines that have none."""
    return PROVIDERS[provider or "cpu"] if engine == "onnxruntime" else ""


def threads_of(engine: str, provider: str | None, threads: int | None) -> int | None:
    """Threads inside an operator: one unless told otherwise on a CPU, None on an accelerator."""
    on_cpu = engine == "onnxruntime" and provider in (None, "cpu")
    return threads or 1 if on_cpu else threads


def _names(models: Sequence[Path]) -> list[str]:
    """Short names, no two alike; a file given twice, for a measurement against itself, is "#2"."""
    stems = Counter(model.stem for model in {model.absolute() for model in models})
    names = [
        model.stem if stems[model.stem] == 1 else f"{model.absolute().parent.name}/{model.stem}"
        for model in models
    ]
    seen: Counter[str] = Counter()
    for index, name in enumerate(names):
        seen[name] += 1
        if seen[name] > 1:
            names[index] = f"{name} #{seen[name]}"
    return names


def _refuse_settings(
    engine: str, provider: str | None, precisions: Sequence[str], threads: int | None
) -> None:
    if engine not in ENGINES:
        raise BadInput(f"--engine {engine}: expected one of {', '.join(ENGINES)}")
    if provider is not None and provider not in PROVIDERS:
        raise BadInput(f"--provider {provider}: expected one of {', '.join(PROVIDERS)}")
    for precision in precisions:
        if precision not in PRECISIONS:
            raise BadInput(f"--precision {precision}: expected some of {', '.join(PRECISIONS)}")
    if engine != "onnxruntime" and provider is not None:
        raise BadInput(f"--provider has no meaning for {engine}: it is ONNX Runtime's")
    if engine != "onnxruntime" and threads is not None:
        raise BadInput(f"--threads has no meaning for {engine}: it runs on the GPU")
    if engine == "onnxruntime" and tuple(precisions) != ("as-file",):
        raise BadInput(
            f"--precision {','.join(precisions)}: ONNX Runtime runs a file as it is written;"
            " give the INT8 or float16 file itself, as edgestill export writes it"
        )


def _refuse_model(model: Path, precisions: Sequence[str], batches: Sequence[int]) -> None:
    from .onnx_facts import onnx_facts

    facts = onnx_facts(model)
    if "int8" in precisions and not facts.quantized:
        raise BadInput(
            f"{model}: --precision int8 of a file without Q/DQ nodes would be timed with made-up"
            " ranges; edgestill export --target tensorrt --precision int8 writes one with them"
        )
    wrong = [batch for batch in batches if facts.batch not in (None, batch)]
    if wrong:
        raise BadInput(
            f"{model}: its batch is fixed at {facts.batch}, asked for {wrong[0]}; give --batch"
            f" {facts.batch}, or export it with a free first axis, as edgestill export does"
            ' (torch.onnx.export: dynamic_shapes={"x": {0: "batch"}})'
        )
