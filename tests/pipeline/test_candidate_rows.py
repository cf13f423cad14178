"""What is told of a network that was chosen."""

from __future__ import annotations

from edgestill.models.families import FAMILIES
from edgestill.pipeline.candidate_rows import note_extrapolation, told
from edgestill.pipeline.events import listening
from edgestill.pipeline.predicting import predictor

SPACE = FAMILIES["wideresnet"].space(num_classes=10, image_size=32)


def test_a_prediction_that_no_measurement_stands_behind_is_noted() -> None:
    device = predictor("orin-nano@15W")
    heard: list[str] = []

    with listening(lambda kind, fields: heard.append(f"{kind}: {fields}")):
        note_extrapolation(device, told(SPACE.spec(0), device))
        note_extrapolation(None, {})

    assert len(heard) == 1
    assert "note: " in heard[0] and "latency_ms on orin-nano" in heard[0]
    assert "is extrapolated: " in heard[0]
