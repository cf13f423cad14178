"""The training loop: it learns, says what happens, reads nothing between steps, stops in time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from edgestill.models.errors import BadInput
from edgestill.pipeline.events import listening
from edgestill.pipeline.fit import Diverged, EpochRecord, fit
from edgestill.pipeline.fit_state import digest
from edgestill.pipeline.recipe import Training

CPU = torch.device("cpu")
SETTINGS = Training(epochs=3, lr=0.05)
Event = tuple[str, dict[str, Any]]


class Stripes:
    """Images with bright rows (class 0) or bright columns (class 1), drawn anew every epoch."""

    def __init__(self, *, steps: int = 6, batch: int = 16, device: torch.device = CPU) -> None:
        self.steps, self.batch, self.device = steps, batch, device
        self.images = steps * batch

    def __len__(self) -> int:
        return self.steps

    def epoch(self, epoch: int, /) -> Iterator[tuple[Tensor, Tensor]]:
        chance = torch.Generator().manual_seed(epoch)
        for _ in range(self.steps):
            labels = torch.randint(2, (self.batch,), generator=chance)
            images = torch.randn(self.batch, 3, 8, 8, generator=chance)
            images[labels == 0, :, ::2] += 1
            images[labels == 1, :, :, ::2] += 1
            yield images.to(self.device), labels.to(self.device)


def network(device: torch.device = CPU) -> nn.Module:
    """With BatchNorm, whose buffers change, and Dropout, which takes random numbers."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 2),
        ).to(device)


def labels_of(model: nn.Module) -> Callable[[Tensor, Tensor], dict[str, Tensor]]:
    """Two terms, as a distillation has them."""

    def terms(images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        logits = model(images)
        return {
            "cross_entropy": functional.cross_entropy(logits.float(), labels),
            "small": 1e-3 * logits.float().square().mean(),
        }

    return terms


def accuracy(model: nn.Module) -> float:
    images, labels = next(Stripes(batch=200).epoch(999))
    assert not model.training
    return float((model(images).argmax(1) == labels).float().mean())


def train(
    state: Path, settings: Training = SETTINGS, *, seed: int = 0, **options: Any
) -> tuple[list[EpochRecord], str, list[Event]]:
    """The records, the sha256 of the weights, and what was emitted."""
    model = options.pop("model") if "model" in options else network()
    terms = options.pop("terms") if "terms" in options else labels_of(model)
    batches = options.pop("batches") if "batches" in options else Stripes()
    heard: list[Event] = []
    with listening(lambda kind, fields: heard.append((kind, fields))):
        history = fit(
            model,
            batches,
            terms,
            settings,
            state=state,
            seed=seed,
            device=CPU,
            label="teacher",
            **options,
        )
    return history, digest(model.state_dict()), heard


def notes(heard: list[Event]) -> list[str]:
    return [fields["text"] for kind, fields in heard if kind == "note"]


@pytest.mark.parametrize(
    "settings",
    [
        Training(epochs=6, lr=0.1, precision="float32"),
        Training(epochs=6, lr=0.1, precision="bfloat16"),
        Training(epochs=6, lr=0.1, schedule="multistep", clip_norm=1.0, channels_last=False),
        Training(epochs=6, lr=0.02, optimizer="adamw", weight_decay=0.01, schedule="constant"),
    ],
    ids=lambda settings: f"{settings.schedule}, {settings.precision}",
)
def test_training_learns(tmp_path: Path, settings: Training) -> None:
    history, _, _ = train(tmp_path / "state", settings, evaluate=accuracy)

    assert history[-1]["loss"] < 0.8 * history[0]["loss"]
    top1 = history[-1]["top1"]
    assert top1 is not None
    assert top1 > 0.9


def test_a_record_holds_the_mean_terms_and_the_rate(tmp_path: Path) -> None:
    history, _, _ = train(tmp_path / "state", Training(epochs=2, lr=0.05, warmup_epochs=0))

    assert [record["epoch"] for record in history] == [1, 2]
    assert list(history[0]["terms"]) == ["cross_entropy", "small"]
    assert history[0]["loss"] == pytest.approx(sum(history[0]["terms"].values()))
    assert [record["top1"] for record in history] == [None, None]
    # 12 steps of a cosine: the last of the first epoch is step 5, of the second step 11.
    assert history[0]["lr"] == pytest.approx(0.05 * 0.6294, rel=1e-3)
    assert history[1]["lr"] == pytest.approx(0.05 * 0.0170, rel=1e-2)


def test_a_smaller_last_batch_counts_by_its_images(tmp_path: Path) -> None:
    class Uneven(Stripes):
        def epoch(self, epoch: int, /) -> Iterator[tuple[Tensor, Tensor]]:
            yield torch.zeros(30, 3, 8, 8), torch.zeros(30, dtype=torch.int64)
            yield torch.zeros(10, 3, 8, 8), torch.zeros(10, dtype=torch.int64)

    model = network()

    def share(images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        return {"share": 0 * model(images).sum() + len(labels)}

    history, _, _ = train(
        tmp_path / "state", Training(epochs=1), model=model, terms=share, batches=Uneven(steps=2)
    )

    assert history[0]["loss"] == pytest.approx((30 * 30 + 10 * 10) / 40)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    first = train(tmp_path / "first", evaluate=accuracy)
    second = train(tmp_path / "second", evaluate=accuracy)
    other = train(tmp_path / "other", seed=1)

    assert first[:2] == second[:2]
    assert other[1] != first[1]


def test_the_callers_random_numbers_are_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)

    torch.manual_seed(5)
    train(tmp_path / "state")

    assert torch.equal(torch.rand(3), expected)


def test_before_epoch_finds_the_model_in_training_and_the_epoch_seeded(tmp_path: Path) -> None:
    model, seen = network(), []

    def before(epoch: int) -> None:
        seen.append((epoch, model.training, float(torch.rand(()))))

    train(tmp_path / "state", model=model, before_epoch=before)
    drawn = [value for _, _, value in seen]
    train(tmp_path / "again", model=network(), before_epoch=before)

    assert [(epoch, training) for epoch, training, _ in seen[:3]] == [
        (0, True),
        (1, True),
        (2, True),
    ]
    assert len(set(drawn)) == 3
    assert [value for _, _, value in seen[3:]] == drawn
    assert not model.training


def test_events_tell_every_epoch_and_count_every_image(tmp_path: Path) -> None:
    history, _, heard = train(tmp_path / "state", evaluate=accuracy)

    epochs = [fields for kind, fields in heard if kind == "epoch"]
    progress = [fields for kind, fields in heard if kind == "progress"]
    told = [{name: event[name] for name in EpochRecord.__annotations__} for event in epochs]
    assert told == history
    assert all(event["label"] == "teacher" and event["epochs"] == 3 for event in epochs)
    assert all(event["images_per_s"] > 0 and event["seconds"] > 0 for event in epochs)
    assert progress[-1] == {"label": "teacher", "done": 288, "total": 288, "unit": "images"}
    counts = [event["done"] for event in progress]
    assert counts == sorted(counts)


def test_records_carry_no_time(tmp_path: Path) -> None:
    history, _, _ = train(tmp_path / "state")

    assert set(history[0]) == {"epoch", "loss", "terms", "top1", "lr"}
    assert json.loads(json.dumps(history)) == history


class Reads(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts how often a value is taken out of a tensor, which on a device waits for it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        names = ("aten._local_scalar_dense", "aten.is_nonzero", "aten.equal")
        self.count += str(func).startswith(names)
        return func(*args, **(kwargs or {}))


def test_no_value_is_read_between_steps(tmp_path: Path) -> None:
    reads = []
    for steps in (2, 20):
        with Reads() as mode:
            train(
                tmp_path / str(steps),
                Training(epochs=1, clip_norm=1.0),
                batches=Stripes(steps=steps),
            )
        reads.append(mode.count)

    assert reads[0] == reads[1]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_cuda_is_never_waited_for_in_a_step(tmp_path: Path, name: Any) -> None:
    device = torch.device("cuda")
    model = network(device)
    batches = Stripes(device=device)
    resident = {epoch: list(batches.epoch(epoch)) for epoch in range(2)}
    settings = Training(epochs=2, lr=0.05, optimizer=name, clip_norm=1.0, compile=False)

    class Strict(Stripes):
        def epoch(self, epoch: int, /) -> Iterator[tuple[Tensor, Tensor]]:
            torch.cuda.set_sync_debug_mode("error")
            yield from resident[epoch]
            torch.cuda.set_sync_debug_mode("default")

    history = fit(
        model,
        Strict(),
        labels_of(model),
        settings,
        state=tmp_path / "state",
        seed=0,
        device=device,
        label="teacher",
    )

    assert len(history) == 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_trains_compiled_in_bfloat16(tmp_path: Path) -> None:
    device = torch.device("cuda")
    model = network(device)
    kinds = []

    def terms(images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        logits = model(images)
        kinds.append((logits.dtype, images.is_contiguous(memory_format=torch.channels_last)))
        return {"cross_entropy": functional.cross_entropy(logits.float(), labels)}

    history = fit(
        model,
        Stripes(device=device),
        terms,
        Training(epochs=6, lr=0.1),
        state=tmp_path / "state",
        seed=0,
        device=device,
        label="teacher",
    )

    assert set(kinds) == {(torch.bfloat16, True)}
    assert history[-1]["loss"] < 0.8 * history[0]["loss"]


@pytest.mark.parametrize("channels_last", [True, False])
def test_images_come_in_the_memory_order_asked_for(tmp_path: Path, channels_last: bool) -> None:
    model, orders = network(), []

    def terms(images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        orders.append(images.is_contiguous(memory_format=torch.channels_last))
        return labels_of(model)(images, labels)

    train(
        tmp_path / "state",
        Training(epochs=1, channels_last=channels_last),
        model=model,
        terms=terms,
    )

    assert set(orders) == {channels_last}


def test_clipping_limits_the_gradient(tmp_path: Path) -> None:
    def weights(model: nn.Module) -> Tensor:
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    def length_of_the_way(clip_norm: float | None) -> float:
        model = network()
        before = weights(model)
        settings = Training(
            epochs=1,
            momentum=0.0,
            weight_decay=0.0,
            schedule="constant",
            warmup_epochs=0,
            clip_norm=clip_norm,
        )
        train(tmp_path / str(clip_norm), settings, model=model, batches=Stripes(steps=1))
        return float((weights(model) - before).norm())

    # One step of lr 0.1 along a gradient of norm 0.01; float32 weights near 0.3 round at 3e-8.
    assert length_of_the_way(0.01) == pytest.approx(0.1 * 0.01, rel=1e-3)
    assert length_of_the_way(None) > 0.01


def test_divergence_stops_the_run_and_keeps_the_last_good_epoch(tmp_path: Path) -> None:
    model, calls = network(), []

    def terms(images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        calls.append(1)
        poison = float("nan") if len(calls) == 6 + 4 else 1.0
        return {"kd": poison * labels_of(model)(images, labels)["cross_entropy"]}

    with pytest.raises(Diverged, match=r"teacher diverged: .* step 4 of 6 in epoch 2 \(kd nan\)"):
        train(tmp_path / "state", model=model, terms=terms)

    _, weights, heard = train(tmp_path / "state", Training(epochs=3, lr=0.05))
    assert notes(heard) == ["teacher: continues after epoch 1"]
    assert len(weights) == 64


def test_a_huge_learning_rate_is_a_divergence_with_advice(tmp_path: Path) -> None:
    plain = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    settings = Training(epochs=5, lr=1e6, warmup_epochs=0)

    with pytest.raises(Diverged, match=r"try lr below 1e\+06, clip_norm 1.0, or warmup_epochs"):
        train(tmp_path / "state", settings, model=plain)


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    history, weights, _ = train(tmp_path / "state", evaluate=accuracy)

    def never(epoch: int) -> None:
        raise AssertionError(epoch)

    again = train(tmp_path / "state", before_epoch=never)

    assert again[:2] == (history, weights)


def test_no_epoch_leaves_the_network_as_it_is(tmp_path: Path) -> None:
    history, weights, _ = train(tmp_path / "state", Training(epochs=0))

    assert (history, weights) == ([], digest(network().state_dict()))


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ({"settings": Training(epochs=4, lr=0.05)}, "epochs 3, now 4"),
        ({"seed": 1}, "seed 0, now 1"),
        ({"batches": Stripes(steps=5)}, "images 96, now 80; steps 6, now 5"),
    ],
    ids=["settings", "seed", "data"],
)
def test_the_state_of_another_run_is_not_continued(
    tmp_path: Path, changed: dict[str, Any], difference: str
) -> None:
    train(tmp_path / "state")

    _, weights, heard = train(tmp_path / "state", **changed)

    assert difference in notes(heard)[0]
    assert weights == train(tmp_path / "elsewhere", **changed)[1]


def test_a_network_that_starts_from_other_weights_is_another_run(tmp_path: Path) -> None:
    train(tmp_path / "state")
    other = network()
    nn.init.zeros_(other[6].bias)  # type: ignore[index]

    _, _, heard = train(tmp_path / "state", model=other)

    assert "initial weights" in notes(heard)[0]


def test_a_damaged_state_is_reported_and_replaced(tmp_path: Path) -> None:
    _, weights, _ = train(tmp_path / "state")
    content = bytearray((tmp_path / "state").read_bytes())
    content[-5] ^= 1
    (tmp_path / "state").write_bytes(content)

    _, again, heard = train(tmp_path / "state")

    assert "starts afresh; state cannot be continued from: its content is not" in notes(heard)[0]
    assert again == weights


@pytest.mark.parametrize("steps", [0, 7])
def test_batches_that_do_not_come_as_announced_are_refused(tmp_path: Path, steps: int) -> None:
    class Wrong(Stripes):
        def __len__(self) -> int:
            return steps

    with pytest.raises(BadInput, match=r"no batch to train on|6 batches came in an epoch of 7"):
        train(tmp_path / "state", batches=Wrong())
