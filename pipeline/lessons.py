"""A student and its teacher, brought together to train: once to the end, or briefly to compare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..models.taps import Tapped
from .evaluate import top1
from .fit import EpochRecord, fit
from .inputs import Inputs
from .networks import blocks_of, build_network, load_network, read_json
from .recipe import Distill
from .teaching import Teaching, frozen_teacher, matched, terms_of, virtual_view

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .batches import Batches


@dataclass(frozen=True, kw_only=True)
class Instructor:
    """A trained teacher, frozen, and the names of the features that it teaches."""

    network: nn.Module
    blocks: tuple[str, ...]

    @classmethod
    def of_stage(cls, inputs: Inputs) -> Instructor:
        """The one that stage teacher left."""
        folder, device = inputs["teacher"], inputs.data.device
        told = folder / "teacher.json"
        network = load_network(told, folder / "teacher.safetensors", device)
        blocks = blocks_of(read_json(told), network)
        return cls(network=frozen_teacher(network, blocks, device), blocks=blocks)


class Lessons:
    """An untrained student, as its JSON describes it, with what the recipe has it taught."""

    def __init__(
        self,
        description: Mapping[str, Any],
        instructor: Instructor,
        settings: Distill,
        inputs: Inputs,
        *,
        seed: int,
    ) -> None:
        self._inputs, self._seed = inputs, seed
        data = inputs.data
        self.student = build_network(description, seed=seed).to(data.device)
        self.blocks = blocks_of(description, self.student)
        matched(instructor.blocks, self.blocks)
        self.losses = terms_of(settings.losses)
        self._teaching = Teaching(
            instructor.network,
            Tapped(self.student, self.blocks),
            self.losses,
            virtual_view=virtual_view(self.losses, data),
            processes=inputs.processes,
        )
        self._teaching.fit_shapes(data.train, seed=seed)

    def train(
        self, settings: Distill, *, state: str, label: str, after: int = 0
    ) -> list[EpochRecord]:
        """The records of `settings.epochs` epochs, of which `after` others went before.

        The position is kept in the scratch file `state`. Views and warm-ups of terms go on where
        the epochs before ended; optimizer and learning rate start afresh.
        """
        data, processes = self._inputs.data, self._inputs.processes
        batches = data.train.seeded(self._seed).shared(processes)
        return fit(
            self.student,
            _Later(batches, after) if after else batches,
            self._teaching,
            settings,
            state=self._inputs.scratch / state,
            seed=self._seed,
            device=data.device,
            label=label,
            evaluate=lambda net: top1(net, data.validation, processes),
            before_epoch=lambda epoch: self._teaching.starts(epoch + after),
            beside=self.losses,
            processes=processes,
        )

    def reached(self) -> float:
        """Top-1 of the student as it is, on the validation split."""
        return top1(self.student, self._inputs.data.validation, self._inputs.processes)


@dataclass(frozen=True)
class _Later:
    """The same batches with the first `skipped` epochs left out."""

    batches: Batches
    skipped: int

    def epoch(self, epoch: int, /) -> Iterator[tuple[Tensor, Tensor]]:
        return self.batches.epoch(epoch + self.skipped)

    def __len__(self) -> int:
        return len(self.batches)

    @property
    def images(self) -> int:
        return self.batches.images
