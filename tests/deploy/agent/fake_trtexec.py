"""trtexec without a GPU: takes the flags of one version, prints and writes what that one would.

Put at usr/src/tensorrt/bin/trtexec below a root by `write_trtexec`, with its settings in
trtexec.json beside it; each call is noted in trtexec.calls there, one JSON list of words a line.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
COMMON = (
    "onnx saveEngine loadEngine profilingVerbosity timingCacheFile exportLayerInfo minShapes"
    " optShapes maxShapes shapes useDLACore allowGPUFallback duration iterations warmUp avgRuns"
    " exposeDMA noDataTransfers useSpinWait useCudaGraph exportTimes exportProfile"
    " separateProfileRun help"
)
FORMS = {  # number in the header -> what else this one takes
    8201: "buildOnly workspace fp16 int8 explicitBatch",
    8502: "buildOnly workspace memPoolSize fp16 int8 explicitBatch",
    8601: "buildOnly skipInference workspace memPoolSize fp16 int8",
    100900: "skipInference memPoolSize fp16 int8 bf16 stronglyTyped",
    101600: "skipInference memPoolSize fp16 int8 bf16 stronglyTyped",
    110000: "skipInference memPoolSize int8 stronglyTyped includeDataTransfers noSpinWait"
    " noCudaGraph",
}
NOTHING_DONE = {"noDataTransfers", "useSpinWait", "useCudaGraph", "separateProfileRun"}  # in 11
WHOLE = {"iterations"}


def write_trtexec(
    root: Path, number: int = 100900, does: str = "runs", sm_count: int = 8, query_ms: float = 5.0
) -> Path:
    """Puts it below `root`, and gives the file in which its calls are noted.

    number: of FORMS; does: runs, unstable, no-graph, no-times, cut-times, cut, stuck, hang,
    bad-model, no-device, or late-start or late-report: says so when it has gone on for 150 ms.
    """
    folder = root / "usr/src/tensorrt/bin"
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"number": number, "does": does, "sm_count": sm_count, "query_ms": query_ms}
    (folder / "trtexec.json").write_text(json.dumps(settings))
    program = folder / "trtexec"
    program.write_text(f"#!{sys.executable} -IS\n{Path(__file__).read_text()}")
    program.chmod(0o755)
    return folder / "trtexec.calls"


def main() -> None:
    with open(os.path.join(HERE, "trtexec.json")) as file:
        settings = json.load(file)
    with open(os.path.join(HERE, "trtexec.calls"), "a") as file:
        file.write(json.dumps(sys.argv[1:]) + "\n")
    with open(os.path.join(HERE, "trtexec.pid"), "w") as file:
        file.write(str(os.getpid()))
    sys.exit(Trtexec(settings, sys.argv[1:]).main())


class Trtexec:
    def __init__(self, settings: dict[str, Any], words: list[str]) -> None:
        self.number, self.does = settings["number"], settings["does"]
        self.sm_count, self.query_ms = settings["sm_count"], settings["query_ms"]
        self.words: list[str] = words
        self.given: dict[str, str] = {}
        self.takes = f"{COMMON} {FORMS[self.number]}".split()

    def main(self) -> int:
        self.footer("RUNNING")
        unknown = []
        for word in self.words:
            name, _, value = word.partition("=")
            self.given[name.lstrip("-")] = value
            if not name.startswith("--") or name[2:] not in self.takes:
                unknown.append((name, value))
        for name, value in unknown:
            self.error(f"Unknown option: {name} {value}")
        for name in self.given:
            wholes = {*WHOLE, "duration", "warmUp"} if self.number < 8502 else WHOLE
            if name in wholes and not self.given[name].isdigit():
                self.error(f"Invalid value for {name}: {self.given[name]}")
                unknown.append((name, ""))
        if unknown or "help" in self.given:
            self.help()
            return self.footer("FAILED") if unknown else 0
        self.options()
        if self.does == "no-device":
            print("Cuda failure: no CUDA-capable device is detected", file=sys.stderr)
            return 1
        self.device()
        return self.build() if "onnx" in self.given else self.infer()

    def on(self, on_switch: str, off_switch: str) -> bool:
        if self.number >= 110000:
            return off_switch not in self.given
        return on_switch in self.given

    def options(self) -> None:
        transfers = (
            "includeDataTransfers" in self.given
            if self.number >= 110000
            else "noDataTransfers" not in self.given
        )
        self.graph = self.on("useCudaGraph", "noCudaGraph")
        self.info("=== Inference Options ===")
        self.info(f"Duration: {self.given.get('duration', 3)}s (+ 200ms warm up)")
        for name, is_on in (
            ("ExposeDMA", "exposeDMA" in self.given),
            ("Data transfers", transfers),
            ("Spin-wait", self.on("useSpinWait", "noSpinWait")),
            ("CUDA Graph", self.graph),
        ):
            self.info(f"{name}: {'Enabled' if is_on else 'Disabled'}")
        if self.number >= 110000:
            for name in NOTHING_DONE & set(self.given):
                self.warn(f"--{name} is deprecated.")

    def device(self) -> None:
        application = "Application " if self.number >= 100000 else ""
        self.info("=== Device Information ===")
        self.info("Selected Device: Orin")
        self.info("Compute Capability: 8.7")
        self.info(f"SMs: {self.sm_count}")
        self.info(f"{application}Compute Clock Rate: 1.02 GHz")

    def build(self) -> int:
        if self.does == "bad-model":
            self.error('[TRT] ModelImporter.cpp:771: While parsing node number 3 [Foo -> "y"]:')
            self.error("[TRT] ModelImporter.cpp:778: ERROR: No importer registered for op: Foo")
            self.error("Failed to parse onnx file")
            self.error("Engine set up failed")
            return self.footer("FAILED")
        if "saveEngine" in self.given:
            with open(self.given["saveEngine"], "w") as file:
                file.write(f"plan for {self.sm_count} SMs")
        if "exportLayerInfo" in self.given:
            told = {"Format/Datatype": "Thirty-two wide channel vectorized row major Int8 format"}
            plain = {"Format/Datatype": "Row major linear FP32"}
            layers = [
                {"Name": "conv1 + relu1", "Inputs": [plain], "Outputs": [told]},
                {"Name": "fc", "Inputs": [plain], "Outputs": [plain]},
            ]
            with open(self.given["exportLayerInfo"], "w") as file:
                json.dump({"Layers": layers, "Bindings": []}, file)
        self.info("Engine built in 12.5 sec.")
        return self.footer("PASSED")

    def infer(self) -> int:
        try:
            with open(self.given["loadEngine"]) as file:
                assert file.read().startswith("plan for")
        except OSError:
            self.error(f"Error opening engine file: {self.given['loadEngine']}")
            self.error("Failed to create engine from model or file.")
            return self.footer("FAILED")
        if self.does == "stuck":
            time.sleep(600)
        start = time.perf_counter()
        if self.does == "late-start":
            time.sleep(0.15)
        self.info("Starting inference")
        if self.graph and self.does == "no-graph":
            self.warn("The CUDA graph capture on the stream has failed.")
        if self.does == "hang":
            time.sleep(600)
        if self.does == "cut":
            os._exit(9)
        warm_ms = float(self.given.get("warmUp", 200))
        timed_ms = max(
            float(self.given.get("duration", 3)) * 1000,
            int(self.given.get("iterations", 10)) * self.query_ms,
        )
        time.sleep((warm_ms + timed_ms) / 1000)
        # Here the loop of the real one would have filled the time that really went by.
        lasted_ms = (time.perf_counter() - start) * 1000
        queries = [self.query(n) for n in range(int(lasted_ms / self.query_ms))]
        timed = [each for each in queries if each["startComputeMs"] >= warm_ms]
        if self.does == "late-report":
            time.sleep(0.15)
        self.report(timed, len(queries) - len(timed), warm_ms)
        if "exportTimes" in self.given and self.does != "no-times":
            written = queries if self.number < 8500 else timed
            text = json.dumps(written)
            with open(self.given["exportTimes"], "w") as file:
                file.write(text[: len(text) // 2] if self.does == "cut-times" else text)
        if "exportProfile" in self.given:
            layers = [
                {"name": "conv1 + relu1", "timeMs": 30.0, "averageMs": 1.5, "percentage": 75},
                {"name": "fc", "timeMs": 10.0, "averageMs": 0.5, "percentage": 25},
            ]
            with open(self.given["exportProfile"], "w") as file:
                json.dump([{"count": 20}, *layers], file)
        return self.footer("PASSED")

    def query(self, number: int) -> dict[str, float]:
        """One of query_ms: a tenth in, a tenth out, six between, and two of the host's."""
        start, ms = number * self.query_ms, self.query_ms
        found = {
            "startEnqMs": start,
            "endEnqMs": start + 0.05 * ms,
            "startH2dMs": start,
            "endH2dMs": start + 0.1 * ms,
            "startComputeMs": start + 0.1 * ms,
            "endComputeMs": start + 0.7 * ms,
            "startD2hMs": start + 0.7 * ms,
            "endD2hMs": start + 0.8 * ms,
            "h2dMs": 0.1 * ms,
            "computeMs": 0.6 * ms,
            "d2hMs": 0.1 * ms,
            "latencyMs": 0.8 * ms,
        }
        return {**found, "endToEndMs": 0.9 * ms} if self.number < 8400 else found

    def report(self, timed: list[dict[str, float]], warmups: int, warm_ms: float) -> None:
        wall_ms = timed[-1]["endD2hMs"] - timed[0]["startH2dMs"]
        self.info(f"Warmup completed {warmups} queries over {warm_ms:g} ms")
        self.info(f"Timing trace has {len(timed)} queries over {wall_ms / 1000:g} s")
        self.info("")
        self.info("=== Trace details ===")
        self.info("=== Performance summary ===")
        self.info(f"Throughput: {len(timed) / wall_ms * 1000:g} qps")
        old = self.number < 8500
        rows = [
            ("Latency", "latencyMs"),
            ("H2D Latency", "h2dMs"),
            ("GPU Compute Time", "computeMs"),
            ("D2H Latency", "d2hMs"),
        ]
        if self.number < 8400:
            rows.insert(1, ("End-to-End Host Latency", "endToEndMs"))
        for name, key in rows:
            ms = timed[0][key]
            percents = (99,) if old else (90, 95, 99)
            listed = ", ".join(f"percentile({percent}%) = {ms:g} ms" for percent in percents)
            self.info(
                f"{name}: min = {ms:g} ms, max = {ms:g} ms, mean = {ms:g} ms,"
                f" median = {ms:g} ms, {listed}"
            )
        self.info(f"Total Host Walltime: {wall_ms / 1000:g} s")
        if self.does == "unstable":
            self.warn("* GPU compute time is unstable, with coefficient of variance = 13.1794%.")

    def help(self) -> None:
        print("=== Model Options ===")
        for name in self.takes:
            print(f"  --{name:<26}What it does")

    def info(self, text: str) -> None:
        print(f"[04/07/2025-23:59:50] [I] {text}", flush=True)

    def warn(self, text: str) -> None:
        print(f"[04/07/2025-23:59:50] [W] {text}", file=sys.stderr, flush=True)

    def error(self, text: str) -> None:
        print(f"[04/07/2025-23:59:50] [E] {text}", file=sys.stderr, flush=True)

    def footer(self, how: str) -> int:
        build = " [b34]" if self.number >= 100000 else ""
        command = " ".join(["trtexec", *self.words])
        print(
            f"&&&& {how} TensorRT.trtexec [TensorRT v{self.number}]{build} # {command}", flush=True
        )
        return 0 if how == "PASSED" else 1


if __name__ == "__main__":
    main()
