"""Which value of one network is the same as which of another: by names, by structure, by order.

A network is a list of steps, in the order of computation. What only moves numbers or changes their
type is no step; nor is a BatchNorm or a bias right behind a product, which belong to it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

INPUT, ROUNDING = "Input", "Rounding"
OWN = "torch."
"""Before the name of an operator that an export may write in another way, or in several nodes."""
COMMUTATIVE = ("Add", "Mul", "Max", "Min", "Sum")
MOST_BY_NAME = 200
"""Steps other than products that are paired by name alone: each costs a pass over all steps."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One value of a network, and where it comes from."""

    name: str
    """Of the node, or the path of the module."""
    op: str
    """In ONNX's words; `INPUT`, or `ROUNDING` for QuantizeLinear with DequantizeLinear."""
    value: str
    kind: str = ""
    """The operator as its own network calls it."""
    inputs: tuple[str, ...] = ()
    """Values of the steps that it reads, roundings left out; of a rounding: what it rounds."""
    weight: tuple[int, ...] | None = None
    """Sizes of a product's weight in ascending order; None for all else."""
    also: str = ""
    """Another name it may be known by: the path in its weight's name."""
    output: bool = False
    """Whether it is what the network gives."""


Pair = tuple[Step, Step]


def pair_steps(
    left: Sequence[Step], right: Sequence[Step], *, same: Mapping[str, str] | None = None
) -> list[Pair]:
    """The steps that compute the same value, in the order of `left`.

    Products pair by name, those left over by order and the sizes of their weights. Everything else
    pairs if it does the same to paired values; then by operator and name; at last the outputs.
    `same` names values on both sides that are known to be the same.
    """
    both = dict(same or {})  # a value on the left -> the same on the right
    for one, other in (*_inputs(left, right), *_products(left, right)):
        both.setdefault(one.value, other.value)
    for _ in range(MOST_BY_NAME):
        _by_structure(left, right, both)
        found = _by_name(left, right, both)
        if found is None:
            break
        both[found[0].value] = found[1].value
    _outputs(left, right, both)
    by_value = {step.value: step for step in right}
    return [(step, by_value[both[step.value]]) for step in left if step.value in both]


def between(step: Step, steps: Sequence[Step], paired: Iterable[str]) -> list[Step]:
    """The unpaired steps whose values `step` is computed from, back to the nearest paired ones."""
    by_value, known = {each.value: each for each in steps}, set(paired)
    found, open_ = dict[str, Step](), list(step.inputs)
    while open_:
        value = open_.pop()
        if value in known or value in found or value not in by_value:
            continue
        found[value] = by_value[value]
        open_ += by_value[value].inputs
    return [each for each in steps if each.value in found]


def _inputs(left: Sequence[Step], right: Sequence[Step]) -> list[Pair]:
    ours, theirs = ([step for step in side if step.op == INPUT] for side in (left, right))
    if len(ours) == len(theirs) == 1:
        return [(ours[0], theirs[0])]
    named = {step.name: step for step in theirs}
    return [(step, named[step.name]) for step in ours if step.name in named]


def _products(left: Sequence[Step], right: Sequence[Step]) -> list[Pair]:
    ours, theirs = ([step for step in side if step.weight is not None] for side in (left, right))
    named = _same_name(ours, theirs)
    # Counted names (`Conv_7`) of two exporters may be equal by chance; the weights then differ.
    if sum(ours_.weight == its.weight for ours_, its in named) * 2 < len(named):
        named = []
    rest, others = (
        _without(ours, (one for one, _ in named)),
        _without(theirs, (o for _, o in named)),
    )
    # As they stand in the order of computation: a product that is missing shifts nothing.
    one, other = ([(step.op, step.weight) for step in side] for side in (rest, others))
    blocks = SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks()
    ordered = [
        (rest[block.a + place], others[block.b + place])
        for block in blocks
        for place in range(block.size)
    ]
    return named + (ordered if named else _enough(ordered, ours))


def _enough(ordered: list[Pair], ours: Sequence[Step]) -> list[Pair]:
    """Products paired by order alone, unless so few match that they are other networks'."""
    return ordered if len(ordered) * 2 >= len(ours) else []


def _same_name(ours: Sequence[Step], theirs: Sequence[Step]) -> list[Pair]:
    names = Counter(step.name for step in theirs)
    by_name = {step.name: step for step in theirs if names[step.name] == 1}
    also = Counter(step.also for step in theirs)
    by_weight = {step.also: step for step in theirs if step.also and also[step.also] == 1}
    seen, found = set[str](), list[Pair]()
    for step in ours:
        other = by_name.get(step.name) or by_weight.get(step.also or step.name)
        if other and other.value not in seen and other.op == step.op:
            seen.add(other.value)
            found.append((step, other))
    return found


def _without(steps: Sequence[Step], taken: Iterable[Step]) -> list[Step]:
    values = {step.value for step in taken}
    return [step for step in steps if step.value not in values]


def _by_structure(left: Sequence[Step], right: Sequence[Step], both: dict[str, str]) -> None:
    """Adds to `both` the steps that do the same to values that are the same."""
    keys = dict[tuple[object, ...], int]()
    ours = _keyed(left, {value: value for value in both}, keys)
    theirs = _keyed(right, {other: value for value, other in both.items()}, keys)
    for key, value in ours.items():
        if key in theirs and value not in both:
            both[value] = theirs[key]


def _keyed(
    steps: Sequence[Step], paired: dict[str, str], keys: dict[tuple[object, ...], int]
) -> dict[int, str]:
    """Key -> value, where equal keys on both sides (`keys` is shared) mean the same computation."""
    known, found, seen = dict[str, int](), dict[int, str](), Counter[tuple[object, ...]]()
    for step in steps:
        if step.value in paired:
            key: tuple[object, ...] = ("paired", paired[step.value])
        elif step.weight is not None or step.op == INPUT:
            key = ("alone", id(steps), step.value)
        else:
            reads = [known.get(value, -1) for value in step.inputs]
            key = (step.op, *(sorted(reads) if step.op in COMMUTATIVE else reads))
            if -1 in reads:
                key = ("alone", id(steps), step.value)
            seen[key] += 1
            key += (seen[key],)
        known[step.value] = keys.setdefault(key, len(keys))
        found[known[step.value]] = step.value
    return found


def _by_name(left: Sequence[Step], right: Sequence[Step], both: dict[str, str]) -> Pair | None:
    """The first steps of one name, operator and input that are not paired yet."""
    taken = set(both.values())
    free = {(step.name, step.op): step for step in right if step.value not in taken}
    for step in left:
        other = free.get((step.name, step.op))
        if step.value in both or not other or step.weight is not None or step.op == INPUT:
            continue
        # Counted names (`Mul_0`) may stand for something else: both must read one same value.
        if {both[value] for value in step.inputs if value in both} & set(other.inputs):
            return step, other
    return None


def _outputs(left: Sequence[Step], right: Sequence[Step], both: dict[str, str]) -> None:
    taken = set(both.values())
    ours = [step for step in left if step.output and step.value not in both]
    theirs = [step for step in right if step.output and step.value not in taken]
    if len(ours) == len(theirs) == 1:
        both[ours[0].value] = theirs[0].value
