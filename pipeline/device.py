"""Where training runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..models.errors import MissingPackage

if TYPE_CHECKING:
    import torch


def torch_device(name: str) -> torch.device:
    """The device of a recipe's `device`: auto takes CUDA if there is one.

    Raises:
        MissingPackage: "cuda" was asked for and PyTorch sees none.
    """
    import torch

    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise MissingPackage(
            f"device = 'cuda', but PyTorch {torch.__version__} sees no CUDA device here;"
            " use device = 'auto' or 'cpu'"
        )
    return torch.device("cuda" if found and name != "cpu" else "cpu")
