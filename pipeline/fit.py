"""The one training loop: teacher, student and quantization are all trained here.

Nothing is read from the device between the steps of an epoch; losses stay there and are looked at
once, after its last step. The position is saved after every epoch, and all chance of an epoch comes
from the seed and its number, so a run that is killed and started again ends with the same bytes.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from ..models.errors import BadInput
from .acceleration import accelerated, or_uncompiled, precision
from .divergence import Diverged, stop_if_diverged
from .events import emit
from .fit_state import EpochRecord, Position, Unusable, digest, load_state, save_state
from .optim import optimizer, schedule
from .processes import ONE, Processes
from .recipe import Training

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from torch.optim import Optimizer

__all__ = ["Batches", "Diverged", "EpochRecord", "fit"]

PROGRESS_EVERY_S = 0.2


class Batches(Protocol):
    """The training images, in an order and with views that depend on the epoch's number alone."""

    def epoch(self, epoch: int, /) -> Iterator[tuple[Tensor, Tensor]]:
        """len(self) pairs of images (B, C, H, W) and labels (B,), on the device."""

    def __len__(self) -> int:
        """Steps of an epoch."""

    @property
    def images(self) -> int:
        """Images of an epoch."""


Terms = Callable[["Tensor", "Tensor"], Mapping[str, "Tensor"]]


def fit(
    model: nn.Module,
    batches: Batches,
    terms: Terms,
    settings: Training,
    *,
    state: Path,
    seed: int,
    device: torch.device,
    label: str,
    evaluate: Callable[[nn.Module], float] | None = None,
    before_epoch: Callable[[int], None] | None = None,
    beside: nn.Module | None = None,
    processes: Processes = ONE,
) -> list[EpochRecord]:
    """One record per epoch; `model`, on `device` already, is trained in place.

    terms(images, labels) gives the weighted terms of the loss, which is their sum; it calls `model`
    itself, under autocast where the precision asks for it. evaluate(model) gives the top-1 fraction
    after each epoch; the model is in eval mode then. before_epoch(epoch), counted from 0, runs when
    the model is in train mode and the epoch is seeded; it may change the model or the terms, but
    must give the same for the same epoch: a resumed run does not call it for the epochs done. The
    parameters of `beside`, such as those that a loss learns, are trained and saved with the
    model's. In the end the model is in eval mode.

    Several `processes` train together, each with its part of every batch (`batches` and `terms` see
    to that): batch statistics and gradients are those of the joined batch, and all that is random
    in the network differs by process.

    `state` is the file of the position. One of the same run is continued from, up to and including
    a finished one; any other is reported in a note and replaced.

    Emits `progress` (images of the whole run, some five times a second), `epoch` and `note` events.
    Raises Diverged, and BadInput where there is nothing to train or no image to train on.
    """
    import torch

    if settings.epochs == 0:
        model.eval()
        return []
    if len(batches) < 1:
        raise BadInput(f"{label}: there is no batch to train on")
    if settings.channels_last:
        model.to(memory_format=torch.channels_last)
    trained = model if beside is None else torch.nn.ModuleList([model, beside])
    stepper = optimizer(trained.parameters(), settings)
    identity = _identity(trained, batches, settings, seed, device)
    position = _resumed(state, identity, trained, stepper, label)
    processes.agree(trained, position.history, state)
    run = _Run(model, batches, terms, settings, stepper, device, label, processes)
    alone = processes.count == 1

    with (
        torch.random.fork_rng(_generators(device)),
        accelerated(model, settings, device, label, alone=alone),
        processes.joined(model),
    ):
        for epoch in range(len(position.history), settings.epochs):
            model.train()
            torch.manual_seed(_seed(seed, epoch))
            if before_epoch is not None:
                before_epoch(epoch)
            if processes.rank > 0:
                torch.manual_seed(_seed(seed, epoch, processes.rank))
            started = monotonic()
            record, first_loss = run.epoch(epoch, position)
            seconds = monotonic() - started
            if evaluate is not None:
                model.eval()
                with torch.no_grad():
                    record["top1"] = float(evaluate(model))
            position = Position(history=[*position.history, record], first_loss=first_loss)
            if processes.rank == 0:
                save_state(state, position, identity, trained, stepper)
            emit(
                "epoch",
                label=label,
                epochs=settings.epochs,
                seconds=seconds,
                images_per_s=batches.images / max(seconds, 1e-9),
                epoch=record["epoch"],
                loss=record["loss"],
                terms={**record["terms"]},
                top1=record["top1"],
                lr=record["lr"],
            )
    model.eval()
    return position.history


class _Run:
    """What the epochs of a run share."""

    def __init__(
        self,
        model: nn.Module,
        batches: Batches,
        terms: Terms,
        settings: Training,
        stepper: Optimizer,
        device: torch.device,
        label: str,
        processes: Processes,
    ) -> None:
        self.model, self.batches, self.terms = model, batches, terms
        self.settings, self.stepper = settings, stepper
        self.device, self.label, self.processes = device, label, processes
        self.parameters = [p for group in stepper.param_groups for p in group["params"]]
        self.mixed = precision(settings, device) == "bfloat16"
        self.last_told = -math.inf

    def epoch(self, epoch: int, position: Position) -> tuple[EpochRecord, float]:
        """The record of one epoch, without top1, and the loss of the first step of the run."""
        import torch

        steps, total_steps = len(self.batches), len(self.batches) * self.settings.epochs
        names: list[str] = []
        values: list[Tensor] = []
        sizes: list[int] = []
        lr, seen = 0.0, epoch * self.batches.images
        for step, (images, labels) in enumerate(self.batches.epoch(epoch), start=epoch * steps):
            lr = self.settings.lr * schedule(step, total_steps, steps, self.settings)
            names, terms = self._step(images, labels, lr)
            values.append(terms)
            sizes.append(len(labels))
            seen += len(labels) * self.processes.count
            self._tell(seen)
        if len(sizes) != steps:
            raise BadInput(f"{self.label}: {len(sizes)} batches came in an epoch of {steps}")

        # The one look at the device: the terms of all steps, and whether the weights are numbers.
        norm = torch.nn.utils.get_total_norm([p.detach() for p in self.parameters])
        table = torch.cat([*values, norm.float()[None]]).cpu().double()
        losses = table[:-1].reshape(steps, len(names))
        self._tell((epoch + 1) * self.batches.images, always=True)
        first_loss = position.first_loss if position.history else float(losses[0].sum())
        stop_if_diverged(
            self.label, self.settings, epoch, names, losses, float(table[-1]), first_loss
        )

        share = torch.tensor(sizes, dtype=torch.float64) / sum(sizes)
        means = (losses * share[:, None]).sum(dim=0).tolist()
        record = EpochRecord(
            epoch=epoch + 1,
            loss=math.fsum(means),
            terms=dict(zip(names, means, strict=True)),
            top1=None,
            lr=lr,
        )
        return record, first_loss

    def _step(self, images: Tensor, labels: Tensor, lr: float) -> tuple[list[str], Tensor]:
        """One step of the optimizer; the terms' names and, still on the device, their values."""
        import torch

        if self.settings.channels_last and images.dim() == 4:
            images = images.contiguous(memory_format=torch.channels_last)
        for group in self.stepper.param_groups:
            group["lr"] = lr

        def gradients() -> tuple[list[str], Tensor]:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
                terms = self.terms(images, labels)
            values = torch.stack([term.float() for term in terms.values()])
            self.stepper.zero_grad(set_to_none=True)
            torch.autograd.backward(values.sum())
            return list(terms), values.detach()

        taken = or_uncompiled(self.model, self.settings, self.label, gradients)
        self.processes.average_gradients(self.parameters)
        if self.settings.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.settings.clip_norm)
        self.stepper.step()
        return taken

    def _tell(self, done: int, *, always: bool = False) -> None:
        # Counted on the host, which may be ahead of the device: asking the device would stop both.
        if always or monotonic() - self.last_told >= PROGRESS_EVERY_S:
            self.last_told = monotonic()
            total = self.batches.images * self.settings.epochs
            emit("progress", label=self.label, done=done, total=total, unit="images")


def _resumed(
    state: Path, identity: Mapping[str, Any], model: nn.Module, stepper: Optimizer, label: str
) -> Position:
    try:
        position = load_state(state, identity, model, stepper)
    except Unusable as reason:
        emit(
            "note", text=f"{label}: starts afresh; {state.name} cannot be continued from: {reason}"
        )
        position = None
    if position is None:
        return Position(history=[], first_loss=math.nan)
    emit("note", text=f"{label}: continues after epoch {len(position.history)}")
    return position


def _identity(
    model: nn.Module, batches: Batches, settings: Training, seed: int, device: torch.device
) -> dict[str, Any]:
    """What must be equal for a saved position to be one of this run."""
    return {
        **settings.model_dump(mode="json"),
        "precision": precision(settings, device),  # what "auto" takes on this machine
        "seed": seed,
        "steps": len(batches),
        "images": batches.images,
        "device": device.type,
        "initial weights": digest(model.state_dict())[:12],
    }


def _seed(*parts: int) -> int:
    text = " ".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def _generators(device: torch.device) -> list[int]:
    """The CUDA devices whose random state the caller gets back unchanged."""
    import torch

    if device.type != "cuda":
        return []
    return [torch.cuda.current_device() if device.index is None else device.index]
