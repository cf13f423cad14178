"""Families by name, specs to JSON and back, and starting without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from edgestill.models.errors import BadInput
from edgestill.models.families import family_named, spec_from_json, spec_to_json
from edgestill.models.wideresnet import WideResNet


def test_a_spec_survives_json() -> None:
    spec = WideResNet(blocks=(3, 3, 3), widths=(8, 24, 40), stem=8, num_classes=3, image_size=20)

    text = json.dumps(spec_to_json(spec))

    assert spec_from_json(json.loads(text)) == spec


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, '"family"'),
        ([], '"family"'),
        ({"family": 3}, '"family"'),
        ({"family": "wideresnt"}, "did you mean 'wideresnet'"),
        ({"family": "wideresnet", "depth": 16}, "unknown key 'depth'"),
        ({"family": "wideresnet", "stem": "16"}, "'stem': expected a whole number"),
        ({"family": "wideresnet", "stem": True}, "'stem': expected a whole number"),
        ({"family": "wideresnet", "widths": [8, 16]}, "expected 3 whole numbers"),
        ({"family": "wideresnet", "widths": [8, 16, 1.5]}, "'widths': expected a whole number"),
        ({"family": "wideresnet", "blocks": [1, 0, 1]}, "must be 1 or more"),
    ],
)
def test_nonsense_is_refused_in_one_line(data: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said) as refused:
        spec_from_json(data)

    assert "\n" not in str(refused.value)


def test_an_unknown_family_names_the_known_ones() -> None:
    with pytest.raises(BadInput, match="known: mobilenetv2, repvgg, resnet, wideresnet"):
        family_named("zzz")


def test_specs_budget_cost_and_search_load_without_torch() -> None:
    names = ("wideresnet", "families", "cost", "budget", "search")
    imports = ", ".join(f"edgestill.models.{name}" for name in names)
    models = "edgestill.models"
    search = (
        f"{models}.search.search('wideresnet', {models}.budget.Budget(macs=10**8),"
        " num_classes=10, image_size=32)"
    )

    code = f"import sys, {imports}; {search}; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True).split()

    assert "edgestill.models.search" in loaded
    assert not {"torch", "fvcore"} & set(loaded)
