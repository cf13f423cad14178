"""A torch network in steps, under the names and in the words that its ONNX export has."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .step_pairs import INPUT, OWN, ROUNDING, Step

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import NodeProto
    from torch import Tensor, fx, nn

# Modules and functions by their names in lower case, without a trailing "_"; "" only moves numbers.
WORDS = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), "Conv"),
    **dict.fromkeys(("quantizedconv1d", "quantizedconv2d"), "Conv"),
    **dict.fromkeys(("convtranspose2d", "quantizedconvtranspose2d"), "ConvTranspose"),
    **dict.fromkeys(("linear", "quantizedlinear", "matmul"), "MatMul"),
    **dict.fromkeys(("add", "iadd"), "Add"),
    **dict.fromkeys(("mul", "imul", "product"), "Mul"),
    **dict.fromkeys(("sub", "isub"), "Sub"),
    **dict.fromkeys(("relu6", "hardtanh", "clamp"), "Clip"),
    **dict.fromkeys(("adaptiveavgpool2d", "adaptive_avg_pool2d", "mean"), "Mean"),
    **dict.fromkeys(("avgpool2d", "avg_pool2d"), "Mean"),
    **dict.fromkeys(("maxpool2d", "max_pool2d", "boolean_dispatch"), "MaxPool"),
    **dict.fromkeys(("batchnorm1d", "batchnorm2d", "batchnorm3d"), "BatchNormalization"),
    **dict.fromkeys(("layernorm", "layer_norm"), "LayerNormalization"),
    **dict.fromkeys(("permute", "transpose"), "Transpose"),
    **dict.fromkeys(("identity", "dropout", "flatten", "reshape", "view", "contiguous"), ""),
    **dict.fromkeys(("squeeze", "unsqueeze", "clone", "detach"), ""),
    **{each.lower(): each for each in ("Relu", "LeakyRelu", "PRelu", "Sigmoid", "Tanh", "Softmax")},
    **{each.lower(): each for each in ("HardSwish", "HardSigmoid", "Elu", "Softplus", "Sqrt")},
    "cat": "Concat",
}


class TorchSteps:
    """The steps of a network that torch.fx can trace, and their values for given inputs."""

    def __init__(self, network: nn.Module) -> None:
        from torch import fx

        from ..models.canonical import canonical
        from ..models.tracing import trace

        # Traced, not folded: a BatchNorm that is folded wrongly must not be the reference.
        whole = isinstance(network, fx.GraphModule)
        traced = copy.deepcopy(network) if whole else canonical(trace(network)[0])
        assert isinstance(traced, fx.GraphModule)
        self.network = traced
        self.network.cpu().float().eval()
        self.graph: fx.Graph = traced.graph
        self.modules = dict(self.network.named_modules())
        self.nodes = {node.name: node for node in self.graph.nodes}
        self.fixed = {node.name for node in self.graph.nodes if node.op == "get_attr"}

    @cached_property
    def steps(self) -> list[Step]:
        """In the order of computation."""
        made, calls, absorbed = dict[str, str](), Counter[str](), set[str]()
        steps: list[Step] = []
        given: set[str] = set()
        for node in self.graph.nodes:
            reads = [each.name for each in node.all_input_nodes if each.name not in self.fixed]
            inputs = tuple(made.get(name, name) for name in reads)
            if node.op == "output":
                given = set(inputs)
            if node.op in ("output", "get_attr") or node.name in absorbed:
                continue
            word, value, weight = self._word(node), node.name, self._weight(node)
            if word == "" or (word == ROUNDING and reads[0] != inputs[0]):
                made[value] = inputs[0]
                continue
            if weight is not None and self._normed(node):
                value = next(iter(node.users)).name
                absorbed.add(value)
            name = self._name(node, calls)
            steps.append(
                Step(
                    name=name,
                    op=word,
                    kind=word,
                    value=value,
                    inputs=inputs,
                    weight=weight,
                    also=name,
                )
            )
            made |= {node.name: value, value: inputs[0] if word == ROUNDING else value}
        return [replace(step, output=step.value in given) for step in steps]

    def node(self, step: Step) -> NodeProto | None:
        """No ONNX node."""
        return None

    def needs(self, value: str, cuts: set[str]) -> set[str]:
        """The inputs and those of `cuts` that `value` is computed from."""
        return self._piece([value], cuts)[1]

    def run(
        self, wanted: Sequence[str], given: Mapping[str, NDArray[Any]]
    ) -> dict[str, NDArray[Any]]:
        """`wanted`, computed from the values `given` that are nearest to them."""
        import torch
        from torch import fx

        nodes, needed = self._piece(wanted, set(given))
        interpreter = fx.Interpreter(self.network, garbage_collect_values=False)
        found: dict[str, NDArray[Any]] = {}
        with torch.inference_mode():
            for name in needed:  # cloned: a layer may compute in place
                interpreter.env[self.nodes[name]] = torch.from_numpy(given[name]).clone()
            for node in nodes:
                result: Tensor = interpreter.run_node(node)
                interpreter.env[node] = result
                if node.name in wanted:
                    found[node.name] = result.numpy().copy()
        return found

    def _piece(self, wanted: Iterable[str], cuts: set[str]) -> tuple[list[fx.Node], set[str]]:
        inputs = {name for name, node in self.nodes.items() if node.op == "placeholder"}
        picked, needed = set[str](), {value for value in wanted if value in inputs}
        open_ = [self.nodes[value] for value in wanted if value not in inputs]
        while open_:
            node = open_.pop()
            if node.name in picked:
                continue
            picked.add(node.name)
            for each in node.all_input_nodes:
                if each.name in cuts or each.name in inputs:
                    needed.add(each.name)
                else:
                    open_.append(each)
        return [node for node in self.graph.nodes if node.name in picked], needed

    def _word(self, node: fx.Node) -> str:
        from ..models.quantized_layers import FakeQuantize

        if node.op == "placeholder":
            return INPUT
        name = getattr(node.target, "__name__", str(node.target))
        if node.op == "call_module":
            module = self.modules[str(node.target)]
            if isinstance(module, FakeQuantize):
                passes = not module.enabled or (module.grid == "tensorrt" and not module.tensorrt)
                return "" if passes else ROUNDING
            name = type(module).__name__
        return WORDS.get(name.lower().rstrip("_"), OWN + name)

    def _weight(self, node: fx.Node) -> tuple[int, ...] | None:
        if node.op != "call_module" or self._word(node) not in ("Conv", "ConvTranspose", "MatMul"):
            return None
        weight: Any = self.modules[str(node.target)].weight
        return tuple(sorted(weight.shape))

    def _normed(self, node: fx.Node) -> bool:
        """Whether a BatchNorm alone reads it."""
        return len(node.users) == 1 and self._word(next(iter(node.users))) == "BatchNormalization"

    def _name(self, node: fx.Node, calls: Counter[str]) -> str:
        """The path of a module, counted from the second call on, as `tidy` counts them."""
        if node.op != "call_module":
            return node.name
        path, count = str(node.target), calls[str(node.target)]
        calls[path] += 1
        return f"{path}_{count}" if count else path
