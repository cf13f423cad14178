"""An ONNX graph in steps: the values that can be compared with another network's.

Roundings are steps, but no other step reads them: it reads what was rounded. So an INT8 file and
the float network that it was made from have the same structure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from .onnx_pieces import OnnxPieces, key_of, reads_of
from .step_pairs import INPUT, ROUNDING, Step
from .tidy import module_path

if TYPE_CHECKING:
    from onnx import NodeProto

PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
# What moves numbers or changes their type alone: no step of its own.
PLAIN = (
    "Identity",
    "Cast",
    "Dropout",
    "Flatten",
    "Reshape",
    "Squeeze",
    "Unsqueeze",
    "QuantizeLinear",
    "DequantizeLinear",
)
WORDS = {"GlobalAveragePool": "Mean", "ReduceMean": "Mean", "AveragePool": "Mean", "Gemm": "MatMul"}
FLOATS = ("float16", "float32", "float64")


@dataclass(frozen=True, kw_only=True)
class Quantizer:
    """x --> step * round(x / step), with codes between two numbers (zero point taken off)."""

    step: float
    lowest: int
    highest: int


class OnnxSteps(OnnxPieces):
    """The steps of a model, and their values for given inputs."""

    @cached_property
    def steps(self) -> list[Step]:
        """In the order of computation; floats alone, and whatever the model gives."""
        made = {name: name for name in self.inputs}  # value -> the step's value it is made of
        steps = [Step(name=name, op=INPUT, value=name) for name in self.inputs]
        absorbed = set[str]()
        for node in self.nodes:
            value = key_of(node)
            if value in self.fixed or value in absorbed:
                continue
            if node.op_type in PLAIN and not self._rescaled(node):
                rounded = self._rounded(node)
                source = rounded or node.input[0]
                if rounded and made.get(rounded) == rounded:
                    named = node.name or value
                    steps.append(
                        Step(
                            name=named,
                            op=ROUNDING,
                            kind="QuantizeLinear",
                            value=value,
                            inputs=(rounded,),
                        )
                    )
                made[value] = made.get(source, source)
                continue
            reads = tuple(made.get(name, name) for name in reads_of(node) if name not in self.fixed)
            sizes = self._weight(node)
            if sizes is not None and (last := self._with_bias(node, absorbed)) != value:
                made[last] = value = last
            for count, output in enumerate(node.output):
                if output:
                    steps.append(
                        self._step(node, value if not count else output, count, reads, sizes)
                    )
                    made[output] = steps[-1].value
        given = {made.get(name, name) for name in self.gives}
        self._made = made
        typed = self.types([step.value for step in steps if step.op != INPUT])
        kept = {
            step.value
            for step in steps
            if step.op == INPUT or step.value in given or typed.get(step.value) in FLOATS
        }
        return [
            replace(
                step,
                inputs=tuple(value for value in step.inputs if value in kept),
                output=step.value in given,
            )
            for step in steps
            if step.value in kept
        ]

    def _step(
        self,
        node: NodeProto,
        value: str,
        count: int,
        reads: tuple[str, ...],
        sizes: tuple[int, ...] | None,
    ) -> Step:
        kind = node.op_type
        op, name = WORDS.get(kind, kind), node.name or key_of(node)
        if count:  # as the second part of a Split
            op, name, sizes = f"{op}/{count}", f"{name}/{count}", None
        return Step(
            name=name,
            op=op,
            kind=kind,
            value=value,
            inputs=reads,
            weight=sizes,
            also=module_path(node),
        )

    def quantizer(self, rounding: Step) -> Quantizer | None:
        """What `rounding` rounds with; None if that is no single constant step."""
        import numpy as np
        from onnx import numpy_helper

        first = self.made_by[self.made_by[rounding.value].input[0]]
        known = [self.constants.get(name) for name in first.input[1:3]]
        if None in known or len(known) < 2:
            return None
        step, zero = (numpy_helper.to_array(each) for each in known if each is not None)
        if step.size != 1 or not np.issubdtype(zero.dtype, np.integer) or float(step.item()) <= 0:
            return None
        type_, offset = np.iinfo(zero.dtype), int(zero.item())
        return Quantizer(
            step=float(step.item()), lowest=type_.min - offset, highest=type_.max - offset
        )

    def made_of(self, value: str) -> str | None:
        """The value of the step that `value` is, in other places or of another type."""
        return self._made.get(value) if self.steps else None

    def node(self, step: Step) -> NodeProto | None:
        """The node that `step` is; of a product the product itself, not its bias."""
        named = [each for each in self.nodes if (each.name or key_of(each)) == step.name]
        return next((each for each in named if each.op_type == step.kind), None)

    def unlike(self, step: Step, other: NodeProto | None) -> str:
        """The attributes in which the node of `step` differs from `other`; "" if none is seen."""
        from onnx import helper

        node = self.node(step)
        if node is None or other is None or node.op_type != other.op_type:
            return ""
        own, theirs = (
            {item.name: helper.get_attribute_value(item) for item in each.attribute}
            for each in (node, other)
        )
        return ", ".join(
            f"{name} = {own[name]}, in the reference {theirs[name]}"
            for name in own
            if name in theirs and own[name] != theirs[name] and not hasattr(own[name], "node")
        )

    def _weight(self, node: NodeProto) -> tuple[int, ...] | None:
        """The sizes of a product's weight, ascending; None for a node that is no such product."""
        if node.op_type not in PRODUCTS or len(node.input) < 2 or node.input[1] not in self.fixed:
            return None
        name = node.input[1]
        while name not in self.constants:  # DequantizeLinear, Transpose, Cast of a constant
            maker = self.made_by[name]
            if not maker.input:
                return tuple(
                    sorted(next((a.t.dims for a in maker.attribute if a.HasField("t")), ()))
                )
            name = maker.input[0]
        return tuple(sorted(self.constants[name].dims))

    def _with_bias(self, node: NodeProto, absorbed: set[str]) -> str:
        """The value behind the bias or the BatchNorm that alone reads product `node`."""
        value = str(node.output[0])
        while value not in self.gives and len(read_by := self.read_by.get(value, [])) == 1:
            after = read_by[0]
            others = [name for name in after.input if name != value]
            bias = after.op_type == "Add" and len(node.input) < 3 and self._vector(others)
            if not bias and not (after.op_type == "BatchNormalization" and after.input[0] == value):
                break
            value = str(after.output[0])
            absorbed.add(value)
        return value

    def _vector(self, names: Sequence[str]) -> bool:
        """Whether they are one constant of several elements: a bias, not a number added."""
        if len(names) != 1 or names[0] not in self.fixed:
            return False
        tensor = self.constants.get(names[0])
        return tensor is None or any(size > 1 for size in tensor.dims)

    def _rounded(self, node: NodeProto) -> str:
        """x of x -> QuantizeLinear -> DequantizeLinear `node`, of one step; "" for other nodes."""
        maker = self._quantized(node)
        if maker is None or self._rescaled(node):
            return ""
        return str(maker.input[0])

    def _rescaled(self, node: NodeProto) -> bool:
        """Whether it gives codes another step than they were made with: a product, no rounding."""
        maker = self._quantized(node)
        if maker is None or list(maker.input[1:]) == list(node.input[1:]):
            return False
        first, second = ([self._number(name) for name in each.input[1:]] for each in (maker, node))
        return first != second

    def _quantized(self, node: NodeProto) -> NodeProto | None:
        maker = self.made_by.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        return maker if maker is not None and maker.op_type == "QuantizeLinear" else None

    def _number(self, name: str) -> object:
        from onnx import numpy_helper

        known = self.constants.get(name)
        return name if known is None else numpy_helper.to_array(known).tolist()
