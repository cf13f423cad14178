"""`edgestill devices`: modules and power modes by name, and what the estimate has of them."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from ..deploy.latency_estimate import fitted
from ..deploy.measured_rows import fitted_rows
from ..deploy.power_mode_rows import MODES_WITHOUT_CLOCKS
from ..deploy.power_modes import Device, devices, slug
from .table import figures_table, tables_console
from .wording import number

COLUMNS = (
    "module",
    "mode",
    "SMs",
    "GPU MHz",
    "GB/s",
    "INT8 TOPS",
    "FP16 TFLOPS",
    "rows",
    "unverified",
)
WORDS = {
    "sm_count": "SMs",
    "gpu_mhz": "clock",
    "bandwidth_gb_s": "memory",
    "int8_tops": "INT8",
    "fp16_tflops": "FP16",
    "fp32_tflops": "FP32",
}


def devices_command(as_json: bool) -> None:
    """Print the list, for people or as one JSON object."""
    told = devices_told()
    if as_json:
        print(json.dumps(told, indent=2))
        return
    console = tables_console()
    console.print(figures_table(COLUMNS, [_cells(each) for each in told["devices"]]))
    for line in _notes(told):
        console.print(line, markup=False)


def devices_told() -> dict[str, Any]:
    """{"devices": [one object each], "modes_without_clocks", "estimate"}."""
    rows = Counter(row.device.name for row in fitted_rows())
    fit = fitted()
    return {
        "devices": [_told(device, rows[device.name]) for device in devices()],
        "modes_without_clocks": {
            slug(module): list(modes) for module, modes in MODES_WITHOUT_CLOCKS.items()
        },
        "estimate": {
            name: fit[name]
            for name in ("source", "factor_68", "factor_90", "count", "measured", "energy")
        },
    }


def _told(device: Device, measured_rows: int) -> dict[str, Any]:
    """One device; peaks are dense, null where INT8 is not faster than FP32."""
    mode = device.mode
    return {
        "name": device.name,
        "module": mode.module,
        "power_mode": mode.name,
        "default": mode.default,
        "generation": device.generation,
        "tensor_cores": device.tensor_cores,
        "sm_count": mode.sm_count,
        "gpu_mhz": mode.gpu_mhz,
        "emc_mhz": mode.emc_mhz,
        "bandwidth_gb_s": mode.bandwidth_gb_s,
        "cpu_cores": mode.cpu_cores,
        "int8_tops": device.int8_tops,
        "fp16_tflops": device.fp16_tflops,
        "fp32_tflops": device.fp32_tflops,
        "measured_rows": measured_rows,
        "unverified": list(device.unverified),
        "source": mode.source,
    }


def _cells(told: dict[str, Any]) -> tuple[str, ...]:
    return (
        slug(told["module"]),
        told["power_mode"] + (" *" if told["default"] else ""),
        str(told["sm_count"]),
        f"{told['gpu_mhz']:g}",
        f"{told['bandwidth_gb_s']:g}",
        "-" if told["int8_tops"] is None else number(told["int8_tops"]),
        number(told["fp16_tflops"]),
        str(told["measured_rows"] or "-"),
        ", ".join(WORDS[name] for name in told["unverified"]) or "-",
    )


def _notes(told: dict[str, Any]) -> list[str]:
    estimate = told["estimate"]
    missing = (
        f"{module} {', '.join(modes)}" for module, modes in told["modes_without_clocks"].items()
    )
    return [
        "A device's name is module@mode; *: the mode it starts in, which the module alone stands"
        " for. INT8 and FP16: dense peaks of the GPU; -: INT8 is not faster than FP32. rows:"
        " published latencies behind the estimate. unverified: confirmed by no data sheet here.",
        f"Estimated latency: {estimate['source']}; 68 % of rows on modules and families that the"
        f" fit had not seen were within x/÷ {estimate['factor_68']:.1f}, 90 % within"
        f" x/÷ {estimate['factor_90']:.1f}. {estimate['energy'].capitalize()}.",
        f"Modes whose clocks are not documented here: {'; '.join(missing)}.",
    ]
