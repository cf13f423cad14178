"""Where a run's images lie, kept beside its summary, so that its network can be compared on them
again.

Places are no part of an artifact's key: this file may lead nowhere on another machine, and then it
says so.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from ..models.errors import BadInput
from .events import emit
from .manifest import Manifest
from .recipe import DataSettings

if TYPE_CHECKING:
    from .data import Data
    from .export_source import Network

FILE = "data.json"


def keep_place(run: Path, settings: DataSettings) -> None:
    """Write the recipe's [data], and the folder that its relative paths begin at, into `run`."""
    run.mkdir(parents=True, exist_ok=True)
    told = {"base": os.getcwd(), "data": settings.model_dump(mode="json")}
    fresh = run / f".{FILE}.new"
    fresh.write_text(json.dumps(told, indent=2) + "\n")
    os.replace(fresh, run / FILE)


def images_of_run(run: Path, teacher: Manifest, network: Network) -> Data | None:
    """The run's data, with the splits that it was trained on; None, with a note, if they are gone.

    teacher: its artifact's manifest, which has the hash of the data.
    """
    import torch

    from .data import open_data
    from .fingerprint import fingerprint

    try:
        told = json.loads((run / FILE).read_text())
        settings = DataSettings.model_validate_json(json.dumps(told["data"]))
        base = Path(told["base"])
        found = fingerprint(settings, base=base, cache=None, split="train")
        if found != teacher.inputs.get("train data"):
            raise BadInput("they are others now")
        settings = settings.model_copy(update={"mean": network.mean, "std": network.std})
        return open_data(settings, device=torch.device("cpu"), base=base)
    except (OSError, ValueError, KeyError, TypeError, ValidationError, BadInput) as reason:
        text = f"the run's own images cannot be used: {reason}; give some with --images"
        emit("note", text=" ".join(text.split()))
        return None
