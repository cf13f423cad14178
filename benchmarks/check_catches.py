"""What `edgestill check` catches of seeded export faults, beside onnx.checker and Polygraphy.

    python benchmarks/check_catches.py --polygraphy PATH [--only WORD]... [--work DIR] [--jobs 2]
                                       [--json FILE] [--markdown FILE]
    python benchmarks/check_catches.py --speed [--json FILE]

PATH is the command of an environment of its own: pip install polygraphy onnx onnxruntime
onnx-graphsurgeon. Without it its columns stay empty.

Every fault of benchmarks/faults is planted in a known-good export and judged by onnx.checker with
full_check, by `polygraphy check lint` (a failure, or a remark that the good file does not get), by
`polygraphy run --onnxrt` against golden outputs of the good file on the same samples, at its
default tolerance and once more at the least one, of 1, 2, 5, 10 ..., at which it passes all good
builds of that network, and by `edgestill check` under the contract that `edgestill check --init`
writes of the good file, not a word changed. Good builds are other exports of the same networks and
INT8 files calibrated on other images; there an alarm is false.

Promises: edgestill catches every fault and passes every good build; with --speed, the default check
of a ResNet-50 in INT8 (3 x 224 x 224), with a contract and without, takes less than 20 s on 2
cores (the slowest of 3). Exit code 1 if one is broken.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from faults import all_faults
from faults.bases import Base, Bases
from faults.comparison import Comparison, Row
from faults.good_builds import good_builds
from faults.judges import OURS, TOOLS, Judges
from faults.registry import Fault
from surroundings import environment

TORCHVISION = (
    "resnet18",
    "resnet50",
    "resnext50_32x4d",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "efficientnet_b0",
    "squeezenet1_1",
    "shufflenet_v2_x1_0",
    "densenet121",
    "googlenet",
    "inception_v3",
    "regnet_y_400mf",
    "mnasnet0_5",
    "convnext_tiny",
    "swin_t",
    "vgg11_bn",
    "lraspp_mobilenet_v3_large",
    "deeplabv3_mobilenet_v3_large",
)
# Random weights survive 8 bits in ResNet-18 and SqueezeNet (worst cosine with float 0.98 and more);
# MobileNetV2's hardly do (0.44), but it is where one scale for all channels hurts, so it stays.
INT8 = (
    "resnet18 static",
    "resnet18 tensorrt",
    "resnet18 ort-arm64",
    "resnet50 tensorrt",
    "squeezenet1_1 static",
    "mobilenet_v2 static",
    "mobilenet_v2 ort-x86",
)
SECONDS_PROMISED = 20.0


def main() -> int:
    """Make the files, judge, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--polygraphy", type=Path, help="its executable")
    parser.add_argument("--only", action="append", default=[], help="a fault, a base, a group")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    wanted = parser.parse_args()

    with tempfile.TemporaryDirectory() as place:
        work = (wanted.work or Path(place)).resolve()
        if wanted.speed:
            from faults.speed import seconds_of_a_check

            content = seconds_of_a_check(work, SECONDS_PROMISED)
            broken = content["broken"]
        else:
            found = compared(work, wanted.polygraphy, wanted.only, wanted.jobs)
            content, broken = found.content(), found.broken()
            text = found.markdown()
            print(text)
            if wanted.markdown:
                wanted.markdown.write_text(text + "\n")
    for line in broken:
        print(f"broken: {line}")
    if wanted.json:
        wanted.json.write_text(json.dumps({**content, **environment()}, indent=2) + "\n")
    return 1 if broken else 0


def compared(work: Path, polygraphy: Path | None, only: list[str], jobs: int) -> Comparison:
    """Every fault and every good build, judged; of the bases in `only` just the builds."""
    bases, judges = Bases(work / "bases"), Judges(polygraphy)
    faults = [each for each in all_faults() if _is_wanted(each, only)]
    names = [fault.on for fault in faults]
    names += [name for name in (*TORCHVISION, *INT8) if not only or name in only or "good" in only]
    found = Comparison(versions=judges.versions())
    with ThreadPoolExecutor(jobs) as pool:
        for name in dict.fromkeys(names):
            base = bases[name]
            try:
                judges.prepare(base)
            except RuntimeError as error:
                found.unwritten[name] = str(error)
                print(f"{name}: {error}", file=sys.stderr)
                continue
            builds = list(_written_builds(bases, name, work))
            paths = [path for _, path in builds]
            found.tolerances[name] = judges.fit(base, pool.map(partial(judges.apart, base), paths))
            planted = _written_faults(base, [f for f in faults if f.on == name], work)
            judge = partial(_judged, base, judges)
            found.good += pool.map(judge, builds)
            found.faults += pool.map(judge, list(planted))
            bases.forget(name)
    return found


def _judged(base: Base, judges: Judges, file: tuple[Row, Path]) -> Row:
    row, path = file
    row.told = judges.judge(path, base)
    shown = ", ".join(tool for tool in TOOLS if row.alarm(tool)) or "nobody"
    ours = row.told[OURS].why or "passes"
    print(f"{row.on}: {row.name}: {shown} ({ours})", file=sys.stderr, flush=True)
    return row


def _written_builds(bases: Bases, name: str, work: Path) -> Iterable[tuple[Row, Path]]:
    for build in good_builds(bases, name):
        base = bases[name]
        row = Row(name=build.name, on=name, group="good")
        model = build.make()
        if model is None:
            yield row, base.good
            continue
        short = "".join(c if c.isalnum() else "-" for c in build.name)
        place = work / "good" / base.folder.name / short
        place.mkdir(parents=True, exist_ok=True)
        path = place / "model.onnx"
        path.write_bytes(model.SerializeToString(deterministic=True))
        yield row, path


def _written_faults(base: Base, faults: Iterable[Fault], work: Path) -> Iterable[tuple[Row, Path]]:
    for fault in faults:
        place = work / "faulty" / base.folder.name / fault.name
        place.mkdir(parents=True, exist_ok=True)
        files = fault.files(base)
        for name, data in files.items():
            (place / name).write_bytes(data)
        row = Row(name=fault.name, on=fault.on, group=fault.group, what=fault.what, seen=fault.seen)
        yield row, place / next(iter(files))


def _is_wanted(fault: Fault, only: list[str]) -> bool:
    return not only or bool({fault.name, fault.on, fault.group} & set(only))


if __name__ == "__main__":
    sys.exit(main())
