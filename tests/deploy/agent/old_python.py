"""Run by each Python found, with the agent's zip on the path: its core, without any package.

Not collected by pytest: an old Python has none. Prints `core ok` at the end.
"""

import doctest
import importlib
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "edgestill_agent"


def main() -> None:
    names = [
        Path(name).stem
        for name in zipfile.ZipFile(sys.path[0]).namelist()
        if name.startswith(PACKAGE + "/") and "__init__" not in name
    ]
    assert "meter_rapl" in names, names
    modules = {name: importlib.import_module(PACKAGE + "." + name) for name in names}
    tried = 0
    for name, module in modules.items():
        found = doctest.testmod(module)
        assert found.failed == 0, name
        tried += found.attempted
    assert tried > 10, tried

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        files = {
            "sys/class/powercap/intel-rapl:0/name": "package-0",
            "sys/class/powercap/intel-rapl:0/energy_uj": "900000",
            "sys/class/powercap/intel-rapl:0/max_energy_range_uj": "1000000",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance",
            "proc/cpuinfo": "flags : avx2 avx512_vnni",
            "model.onnx": "weights",
        }
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        measure(modules, root)
    print("core ok")


def measure(modules: dict, root: Path) -> None:  # type: ignore[type-arg]
    counter = root / "sys/class/powercap/intel-rapl:0/energy_uj"

    class Simulated(modules["engine"].Engine):  # type: ignore[misc]
        name, version, provider, now_ns = "simulated", "1", "CPU", 0

        def load(self) -> None:
            self.now_ns += 1000000

        def feed(self) -> None:
            pass

        def run(self) -> None:
            self.spend(10000000, 5000)

        def sleep(self, seconds: float) -> None:
            self.spend(round(seconds * 1e9), round(seconds * 1e5))

        def spend(self, nanoseconds: int, microjoules: int) -> None:
            self.now_ns += nanoseconds
            counter.write_text(str((int(counter.read_text()) + microjoules) % 1000000))

    engine = Simulated()
    case = {"model": str(root / "model.onnx")}
    result, journal = modules["bench"].bench(
        modules["protocol"].checked(
            {"cases": [case, case], "rounds": 2, "job": "0" * 8, "state_dir": str(root / "state")}
        ),
        lambda *said: None,
        root=root,
        open_engine=lambda *asked: engine,
        clock_ns=lambda: engine.now_ns,
        sleep=engine.sleep,
    )
    journal.remove()
    measured = result["cases"][1]
    assert measured["latency_ms"]["p99"] == 10.0, result
    assert abs(measured["energy"]["energy_mj"] - 5.0) < 1e-9, result
    assert result["board"]["cpu"]["features"] == ["avx2", "avx512_vnni"], result
    assert modules["protocol"].event_line("result", result).endswith("}\n")


main()
