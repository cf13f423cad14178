"""The first layer of a file that does not compute what another network's layer computes.

Every layer is judged by itself: it gets the values that the reference has at its inputs, and what
it makes of them is compared with the reference's own output. So an error is not carried on, layers
behind a broken one agree again, and 8-bit rounding does not add up. The layers are walked in the
order of computation, all branches, a few at a time: one forward of each network, and in memory are
only values that are still to be read. A bisection would take a forward per halving, and would be
led astray by an error that a later layer hides, as a ReLU or a saturated code does.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..models.errors import BadInput
from .layer_error import judge
from .onnx_steps import OnnxSteps
from .step_pairs import INPUT, OWN, ROUNDING, Pair, Step, between, pair_steps

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

    Values = Mapping[str, NDArray[Any]]

TOGETHER = 8
"""Layers that are run in one call."""


@dataclass(frozen=True, kw_only=True)
class Divergence:
    """The first layer that differs, given the reference's values at its inputs."""

    layer: str
    """Name of the node in the candidate, or of the reference's that the candidate lacks."""
    op: str
    value: str
    """Name of the candidate's value that differs."""
    found: float
    """Its error, relative to the reference's value; inf if it cannot be said."""
    limit: float
    agreed_before: str
    """The last layer before it that agreed; "" if none did."""
    layers: int
    """Layers that can be compared in all."""
    why: str = ""
    """What else is seen there."""

    def __str__(self) -> str:
        found = f"error {self.found:.2g}, {self.limit:.2g} allowed"
        if math.isinf(self.found):
            found = "not finite, or of another shape"
        told = f"{self.layer} ({self.op}) is the first that differs: {found}"
        if self.agreed_before:
            told += f"; {self.agreed_before} before it agrees"
        return told + (f"; {self.why}" if self.why else "")


class Network(Protocol):
    """What has steps, and computes values from values."""

    @property
    def steps(self) -> list[Step]: ...

    def node(self, step: Step) -> NodeProto | None: ...

    def needs(self, value: str, cuts: set[str]) -> set[str]: ...

    def run(self, wanted: Sequence[str], given: Values) -> dict[str, NDArray[Any]]: ...


def first_divergence(
    reference: Path | ModelProto,
    candidate: Path | ModelProto,
    feeds: Values,
    *,
    candidate_feeds: Values | None = None,
    limit: float | None = None,
) -> Divergence | None:
    """The first layer of `candidate` that differs from `reference`, both ONNX; None if none does.

    `feeds` holds every input whole, as one call takes it, and so does `candidate_feeds` where the
    candidate takes something else. `limit` is the largest error of a layer, by default what
    rounding in the candidate's number types may do (`layer_error`). Raises `BadInput` if a file
    cannot be run or the two have too little in common to tell.
    """
    ours, theirs = OnnxSteps(reference), OnnxSteps(candidate)
    other = feeds if candidate_feeds is None else candidate_feeds
    return search(ours, theirs, feeds, other, limit=limit)


def search(
    reference: Network,
    candidate: OnnxSteps,
    feeds: Values,
    candidate_feeds: Values,
    *,
    limit: float | None = None,
    same: Mapping[str, str] | None = None,
    every_product: bool = False,
) -> Divergence | None:
    """`first_divergence` of any network; `same` names values that are known to be the same.

    `every_product`: `BadInput` also if one product with weights of the reference is not found.
    """
    pairs = _with_roundings(
        pair_steps(reference.steps, candidate.steps, same=same or {}), candidate.steps
    )
    compared = [pair for pair in pairs if pair[1].op != INPUT]
    if not any(step.op != ROUNDING for step, _ in compared):
        raise BadInput("where they differ cannot be told: no layer of one is found in the other")
    known = {left.value for left, _ in compared}
    lost = [step for step in reference.steps if step.weight is not None and step.value not in known]
    if every_product and lost:
        raise BadInput(
            f"where they differ cannot be told: {lost[0].name} ({lost[0].kind}) is not found in the"
            " file"
        )
    walk = _Walk(reference, candidate, pairs, feeds, candidate_feeds)
    judged = judge(reference.steps, candidate, limit=limit)
    before, equal, doubts = "", set[tuple[str, ...]](), list[Divergence]()
    for left, right, expected, found in walk.values(compared):
        ours = between(left, reference.steps, (one.value for one, _ in pairs))
        theirs = between(right, candidate.steps, (other.value for _, other in pairs))
        fault = judged(right, expected, found, not ours and not theirs)
        written = (*(step.op for step in ours), "as", *(step.op for step in theirs))
        if fault is not None:
            if written in equal:  # the same layers in other words, as was seen before
                ours = theirs = []
            named, why = _named((left, right), ours, theirs, reference, candidate)
            told = Divergence(
                layer=named.name,
                op=named.kind,
                value=right.value,
                found=fault.error,
                limit=fault.limit,
                agreed_before=before,
                layers=len(compared),
                why="; ".join(each for each in (why, fault.why) if each),
            )
            if not fault.doubtful:
                return told
            doubts.append(told)
            continue
        before = right.name
        equal.add(written)
    return max(doubts, key=lambda each: each.found / each.limit, default=None)


def _with_roundings(pairs: Sequence[Pair], steps: Sequence[Step]) -> list[Pair]:
    """`pairs`, and what the candidate alone rounds beside the value that it rounds."""
    paired = {right.value for _, right in pairs}
    alone = {step.inputs[0]: step for step in steps if step.op == ROUNDING}
    found = list[Pair]()
    for left, right in pairs:
        found.append((left, right))
        rounding = alone.get(right.value)
        if rounding is not None and rounding.value not in paired:
            found.append((left, rounding))
    return found


class _Walk:
    """The values of paired steps, side by side, a few layers at a time."""

    def __init__(
        self,
        reference: Network,
        candidate: OnnxSteps,
        pairs: Sequence[Pair],
        feeds: Values,
        candidate_feeds: Values,
    ) -> None:
        self.reference, self.candidate = reference, candidate
        self.held, self.fed = dict(feeds), dict(candidate_feeds)
        self.inputs = set(feeds)
        self.paired = {right.value: left.value for left, right in pairs}
        self.types = candidate.types([right.value for _, right in pairs if right.op != INPUT])
        self.shapes = dict[str, tuple[int, ...]]()
        # What the reference rounds and the candidate does not: its readers there read it rounded.
        rounded = {step.inputs[0]: step.value for step in reference.steps if step.op == ROUNDING}
        own = {step.inputs[0] for step in candidate.steps if step.op == ROUNDING}
        self.stands_for = {
            right: left if right in own else rounded.get(left, left)
            for right, left in self.paired.items()
        }

    def values(
        self, pairs: Sequence[Pair]
    ) -> Iterator[tuple[Step, Step, NDArray[Any], NDArray[Any] | str]]:
        """(left, right, the reference's value, the candidate's or why it has none)."""
        cuts = {*self.paired.values(), *self.stands_for.values()}
        reads = [self._reads(left, right, cuts) for left, right in pairs]
        last = {value: place for place, values in enumerate(reads) for value in values}
        for start in range(0, len(pairs), TOGETHER):
            group = pairs[start : start + TOGETHER]
            wanted = [left.value for left, _ in group]
            wanted += [self.stands_for[right.value] for _, right in group]
            self._hold(wanted)
            found = self._candidate([right.value for _, right in group])
            for left, right in group:
                yield left, right, self.held[left.value], found[right.value]
            still = start + len(group)
            self.held = {
                name: values
                for name, values in self.held.items()
                if last.get(name, 0) >= still or name in self.inputs
            }

    def _hold(self, wanted: Iterable[str]) -> None:
        """Has the reference compute what is not held; an input is always held."""
        if missing := [value for value in dict.fromkeys(wanted) if value not in self.held]:
            self.held |= self.reference.run(missing, self.held)

    def _reads(self, left: Step, right: Step, cuts: set[str]) -> set[str]:
        """The reference's values that this pair, or any of its values, is computed from."""
        theirs = self.candidate.needs(right.value, set(self.paired))
        ours = self.reference.needs(left.value, cuts)
        ours |= self.reference.needs(self.stands_for[right.value], cuts)
        return ours | {self.stands_for[value] for value in theirs if value in self.stands_for}

    def _candidate(self, values: Sequence[str]) -> dict[str, NDArray[Any] | str]:
        found: dict[str, NDArray[Any] | str] = {}
        try:
            found |= self._run(values)
        except BadInput:  # one of them cannot be run; which one?
            for value in values:
                try:
                    found |= self._run([value])
                except BadInput as error:
                    found[value] = str(error)
        return found

    def _run(self, values: Sequence[str]) -> dict[str, NDArray[Any]]:
        needed = {
            name for value in values for name in self.candidate.needs(value, set(self.paired))
        }
        # What the two compute in another order may not be there yet.
        self._hold(self.stands_for[name] for name in needed if name not in self.fed)
        found = self.candidate.run(values, {name: self._given(name) for name in needed})
        self.shapes |= {name: value.shape for name, value in found.items()}
        return found

    def _given(self, value: str) -> NDArray[Any]:
        """What the candidate's layers read for `value`: its input, or the reference's value."""
        if value in self.fed:
            return self.fed[value].astype(self.types[value], copy=False)
        given = self.held[self.stands_for[value]].astype(self.types[value], copy=False)
        shape = self.shapes.get(value, given.shape)
        # As for means with and without the axes that they are taken over.
        return given.reshape(shape) if math.prod(shape) == given.size else given


def _named(
    pair: Pair,
    ours: Sequence[Step],
    theirs: Sequence[Step],
    reference: Network,
    candidate: OnnxSteps,
) -> tuple[Step, str]:
    """The step to blame for a pair that differs, and what is seen there.

    `ours` and `theirs` stand unpaired before it: layers that one side has and the other has not.
    """
    left, right = pair
    missing, extra = _more(ours, theirs), _more(theirs, ours)
    if left.op == INPUT or any(step.op.startswith(OWN) for step in ours):
        return right, ""  # normalised in the file, or written in other words than torch's
    if extra and missing:
        return extra[0], f"the reference has {missing[0].name} ({missing[0].kind}) there"
    if missing:
        return missing[0], f"the reference has it, and {right.name} reads what was before it"
    if extra:
        return extra[0], f"the reference has nothing there before {left.name}"
    if theirs and ours:
        return theirs[0], f"the reference's {ours[0].name} reads something else"
    return right, candidate.unlike(right, reference.node(left))


def _more(these: Sequence[Step], those: Sequence[Step]) -> list[Step]:
    """The steps of an operator that `these` have oftener than `those`."""
    surplus = Counter(step.op for step in these) - Counter(step.op for step in those)
    return [step for step in these if step.op in surplus and step.op not in (INPUT, ROUNDING)]
