"""The recipe: what is to be made, from what, within which budget. TOML in, frozen settings out.

Every key has its default and its meaning here and nowhere else; `edgestill schema` prints this page
as JSON Schema. Unknown keys are refused. Paths are relative to the current directory.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ..deploy.errors import TargetError
from ..deploy.power_modes import device_named, names_a_table
from ..models.budget import Budget as Limits
from ..models.families import FAMILIES
from .export_settings import Export
from .loss_settings import CrossEntropy, Gkd, Kd, Losses
from .profile_settings import Profile
from .section import (
    Count,
    Fraction,
    Name,
    Names,
    NotNegative,
    Positive,
    Quantity,
    Section,
)

SOURCES = "digits, parquet:DIR, imagefolder:DIR, torchvision:NAME or module:function"


def _a_source(text: str) -> str:
    if re.fullmatch(
        r"digits|(parquet|imagefolder|torchvision):.+|[A-Za-z_][\w.]*:[A-Za-z_]\w*", text
    ):
        return text
    raise ValueError(f"expected {SOURCES}")


MODELS = "a family of ours, torchvision:NAME, timm:NAME or module:function"


def _a_model(text: str) -> str:
    if text in FAMILIES or re.fullmatch(
        r"(torchvision|timm):[\w./-]+|[A-Za-z_][\w.]*:[A-Za-z_]\w*", text
    ):
        return text
    raise ValueError(f"expected {MODELS}")


Model = Annotated[str, AfterValidator(_a_model)]


def _a_device(text: str) -> str:
    """A known module in a known power mode; a table is looked into when the student is sought."""
    if not text.isprintable():
        raise ValueError("a device's name has printable characters alone")
    if not names_a_table(text):
        try:
            device_named(text)
        except TargetError as error:
            raise ValueError(str(error)) from None
    return text


class DataSettings(Section):
    """Where the images come from, how they are split, and what the training views look like."""

    source: Annotated[str, AfterValidator(_a_source)]
    """digits | parquet:DIR | imagefolder:DIR | torchvision:NAME | module:function"""
    image_size: Annotated[int, Field(ge=8, le=2048)] = 32
    """Height and width the networks see, in pixels."""
    resize: bool = False
    """Take images of mixed sizes (shorter side to image_size, centre crop); false: refuse them."""
    batch_size: Annotated[int, Field(ge=2)] = 128
    """Images per step; also the number of nodes of each similarity graph."""
    crop: Annotated[int, Field(ge=0)] = 4
    """Training views: pad by so many pixels, then crop at random. 0: no crop."""
    flip: bool = True
    """Training views: mirror left-right with probability 1/2."""
    mean: tuple[float, float, float] | None = None
    """Per-channel mean of [0, 1] pixels; computed on the training split when absent."""
    std: tuple[Positive, Positive, Positive] | None = None
    """Per-channel standard deviation; computed on the training split when absent."""
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the training split held out, by class, to choose and to check with."""
    test: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share kept for the final report, for sources that have no test split of their own."""
    split_seed: int = 0
    """Seed of the splits; apart from `seed`, so that runs with several seeds share them."""
    train_limit: Count | None = None
    """Use only so many training images, chosen at random with split_seed."""
    test_limit: Count | None = None
    """Use only so many test images, chosen at random with split_seed."""
    root: str | None = None
    """Folder of a torchvision set; default: data/ in the current directory."""

    version: str = ""
    """For module:function: change it when the function's data changed but its source did not."""


class Training(Section):
    """How a network is trained; shared by the stages that do."""

    epochs: Annotated[int, Field(ge=0)] = 10
    """Passes over the training split."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """SGD with momentum, or AdamW."""
    lr: Positive = 0.1
    """Peak learning rate."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """SGD's momentum."""
    nesterov: bool = True
    """SGD with Nesterov's momentum."""
    weight_decay: NotNegative = 5e-4
    """On weights of convolutions and linear layers; never on biases and BatchNorm."""
    schedule: Literal["cosine", "multistep", "constant"] = "cosine"
    """How the learning rate falls after the warm-up."""
    warmup_epochs: NotNegative = 1.0
    """Epochs over which the learning rate rises linearly."""
    milestones: Annotated[tuple[Fraction, ...], Field(strict=False)] = (0.3, 0.6, 0.8)
    """multistep: the fractions of training at which the rate is multiplied by gamma."""
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.2
    """multistep: the factor at each milestone."""
    clip_norm: Positive | None = None
    """Limit on the gradient's norm."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the forward pass. auto: bfloat16 on CUDA and on x86-64 with AVX512-BF16 or AMX."""
    compile: bool | Literal["auto"] = "auto"
    """auto: torch.compile on CUDA, not elsewhere."""
    channels_last: bool = True
    """Keep activations channels-last."""


class Teacher(Training):
    """The network to learn from: trained here, or brought with its weights."""

    model: Model = "wideresnet"
    """A family of ours, torchvision:NAME, timm:NAME, or module:function."""
    version: str = ""
    """For module:function: its own file is watched; change this when what it imports changed."""
    depth: Count | None = None
    """A family's depth."""
    width: Positive | None = None
    """A family's width factor."""
    checkpoint: str | None = None
    """Weights (.safetensors, or a state_dict in .pt); then epochs defaults to 0: used as it is."""
    blocks: Names | None = None
    """Module paths whose outputs teach; found by themselves when absent."""

    @model_validator(mode="before")
    @classmethod
    def _a_finished_teacher_is_not_trained(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("checkpoint") is not None:
            return {"epochs": 0, **values}
        return values


class Budget(Section):
    """What the student may cost; every limit given must hold."""

    macs: Quantity | None = None
    """Multiply-accumulates of one image's forward pass, as fvcore counts them."""
    params: Quantity | None = None
    """Parameters."""
    bytes: Quantity | None = None
    """Size of the INT8 weights with their float biases and scales."""
    peak_activation_bytes: Quantity | None = None
    """Largest sum of live activations, float32, batch 1."""
    latency_ms: Positive | None = None
    """Milliseconds of one inference on `device`, as predicted for it."""
    energy_mj: Positive | None = None
    """Millijoules of one inference on `device`; predicted from a table that has energy."""
    device: Annotated[str, AfterValidator(_a_device)] | None = None
    """module@mode as `edgestill devices` lists them, or a table of `edgestill calibrate` (.json)"""

    @model_validator(mode="after")
    def _limits_that_something_can_be_held_to(self) -> Budget:
        limits = self.model_dump(exclude={"device"})
        if all(value is None for value in limits.values()):
            raise ValueError(f"no limit given; give {', '.join(limits)}")
        if self.device is None and (self.latency_ms or self.energy_mj):
            raise ValueError(
                "latency_ms and energy_mj hold on some device; name it: device ="
                ' "orin-nano@15W", or a table that edgestill calibrate wrote'
            )
        if self.device is not None and not (self.latency_ms or self.energy_mj):
            raise ValueError("device says where latency_ms and energy_mj hold; give one of them")
        return self

    def limits(self) -> Limits:
        """The limits alone, as models/budget.py holds networks to them."""
        return Limits(**self.model_dump(exclude={"device"}))


class Student(Section):
    """The space that is searched, or one fixed network."""

    family: Literal[tuple(FAMILIES)] = "wideresnet"  # type: ignore[valid-type]
    """The family whose networks are weighed."""
    model: Model | None = None
    """A fixed student instead: torchvision:NAME, timm:NAME or module:function."""
    version: str = ""
    """For module:function: its own file is watched; change this when what it imports changed."""
    shortlist: Count = 4
    """Candidates trained briefly before one is chosen; 1: the largest that fits."""
    shortlist_epochs: Count = 2
    """Epochs of the first rung; half stay for the next one, which is twice as long, and so on."""
    blocks: Names | None = None
    """Module paths whose outputs are compared with the teacher's; found when absent."""


class Distill(Training):
    """The student learns from the teacher."""

    # Chosen by validation error among the weights tried; benchmarks/results/accuracy_cpu.md.
    losses: Losses = (
        CrossEntropy(name="cross_entropy"),
        Gkd(name="gkd"),
        Kd(name="kd", weight=4.0),
    )
    """The terms of the loss; cross_entropy has weight 1 unless listed."""


CalibrationMethod = Literal["mse", "percentile", "minmax"]


def _auto_or_names(value: object) -> object:
    if isinstance(value, str) and value != "auto":
        raise ValueError(f'expected "auto" or a list of layers, as ["{value}"]')
    return value


class Quantize(Training):
    """Fine-tuning with 8-bit arithmetic in the loop, the teacher still teaching."""

    epochs: Annotated[int, Field(ge=0)] = 3
    """Passes of fine-tuning; 0: calibration only."""
    lr: Positive = 0.002
    """Peak learning rate; a fiftieth of training's is usual."""
    warmup_epochs: NotNegative = 0.0
    """Epochs over which the learning rate rises linearly."""
    precision: Literal["auto", "float32", "bfloat16"] = "float32"
    """As for training. bfloat16 rounds what INT8 codes stand for as coarsely as INT8 itself."""
    clip_norm: Positive | None = 1.0
    """Limit on the gradient's norm; without BatchNorm, one bad batch can undo a small network."""
    calibration_images: Count = 1024
    """Training images that set the first ranges."""
    calibration: CalibrationMethod = "mse"
    """How they do: least squared rounding error, a percentile of the magnitudes, or the largest."""
    percentile: Annotated[float, Field(gt=50, le=100)] = 99.99
    """For calibration = "percentile": the share of magnitudes, in %, that the range covers."""
    keep_float: Annotated[Literal["auto"] | Names, BeforeValidator(_auto_or_names)] = ()
    """Layers that stay float, by module path; "auto" finds those that 8 bits hurt, if any."""
    losses: Losses | None = None
    """The terms of the loss; absent: those of [distill]."""


class Check(Section):
    """What an exported file must hold to pass; on the validation split, in the runtime itself."""

    top1_drop: Annotated[float, Field(ge=0, le=1)] = 0.01
    """INT8 may lose so much top-1 against FP32."""
    int8_fraction: Fraction = 0.9
    """Share of convolutions and matrix products that the runtime fuses into INT8 kernels."""


class Recipe(Section):
    """A recipe of edgestill: from a teacher, data and a budget to a measured INT8 student."""

    name: Name
    """Names the run's folder, runs/NAME."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of initial weights, order and views."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where training runs; auto: CUDA if there is one."""
    data: DataSettings
    teacher: Teacher = Teacher()
    budget: Budget
    student: Student = Student()
    distill: Distill = Distill()
    quantize: Quantize = Quantize()
    export: Export = Export()
    check: Check = Check()
    profile: Profile = Profile()

    def part(self, dotted: str) -> Any:
        """The plain JSON value of a table or key, as `distill` or `distill.losses`."""
        value: Any = self.model_dump(mode="json")
        for step in dotted.split("."):
            value = value[step]
        return value
