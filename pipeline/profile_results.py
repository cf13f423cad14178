"""Everything that one `edgestill profile` measured, power mode by power mode."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .comparison import Comparison, across_modes, compared
from .profile_cases import baseline_of

if TYPE_CHECKING:
    from ..deploy.measurement import Measurement, Profile


@dataclass(frozen=True, kw_only=True)
class Results:
    """One profile for each power mode; in each, every case in the same order, models outermost."""

    profiles: tuple[Profile, ...]
    models: tuple[Path, ...]
    """Of each case."""
    accuracy: tuple[float | None, ...]
    """Top-1 of each case's file from 0 to 1, where a run of ours knows it."""
    precisions: int = 1
    batches: int = 1
    """How many of each are crossed."""

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """Of all modes, one after the other."""
        return tuple(each for profile in self.profiles for each in profile.measurements)

    def model_of(self, index: int) -> int:
        """Which of the models, counted from 0, case `index` is of."""
        return index // (self.precisions * self.batches)

    def variant_of(self, index: int) -> int:
        """Which precision and batch of its model, counted from 0, case `index` is."""
        return index % (self.precisions * self.batches)

    def comparisons(self) -> tuple[Comparison, ...]:
        """Each case with its baseline in every mode, then each with itself in the first mode."""
        return (*self._within_modes(), *self._across_modes())

    def _within_modes(self) -> Iterator[Comparison]:
        for profile in self.profiles:
            for index, subject in enumerate(profile.measurements):
                other = baseline_of(index, precisions=self.precisions, batches=self.batches)
                if other is not None:
                    yield from compared(subject, profile.measurements[other])

    def _across_modes(self) -> Iterator[Comparison]:
        for profile in self.profiles[1:]:
            first = self.profiles[0].measurements
            for subject, baseline in zip(profile.measurements, first, strict=True):
                yield from across_modes(subject, baseline)
