"""Lines of `tegrastats` as boards of every release print them, and what each field says.

Recorded: Nano to AGX Thor, JetPack 4 to 7. Composed: fields that are documented or known from
boards, in the surroundings of a recorded line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Sample:
    """A line, and the whole of what `parse_line` gives for it."""

    name: str
    line: str
    fields: dict[str, Any]


def _cores(*loads_and_clocks: tuple[int, int]) -> list[dict[str, int]]:
    return [{"load_percent": load, "mhz": mhz} for load, mhz in loads_and_clocks]


def _rails(**now_and_mean: tuple[int, ...]) -> list[dict[str, Any]]:
    keys = ("now_mw", "mean_mw", "peak_mw")
    return [{"rail": rail, **dict(zip(keys, mw))} for rail, mw in now_and_mean.items()]  # noqa: B905


RECORDED = (
    Sample(
        "Nano, JetPack 4.6",
        "RAM 1923/3964MB (lfb 2x2MB) SWAP 191/1982MB (cached 6MB) IRAM 0/252kB(lfb 252kB)"
        " CPU [5%@1224,4%@1224,3%@1224,6%@1224] EMC_FREQ 0%@1600 GR3D_FREQ 0%@76 APE 25 PLL@37C"
        " CPU@40C PMIC@50C GPU@40C AO@45C thermal@40C POM_5V_IN 1750/1628 POM_5V_GPU 0/0"
        " POM_5V_CPU 366/406",
        {
            "ram": {"used_mb": 1923, "total_mb": 3964, "lfb_blocks": 2, "lfb_mb": 2},
            "swap": {"used_mb": 191, "total_mb": 1982, "cached_mb": 6},
            "iram": {"used_kb": 0, "total_kb": 252, "lfb_kb": 252},
            "cpus": _cores((5, 1224), (4, 1224), (3, 1224), (6, 1224)),
            "emc": {"load_percent": 0, "mhz": 1600},
            "gpu": {"load_percent": 0, "mhz": [76]},
            "engines": {"APE": {"mhz": 25}},
            "celsius": {"PLL": 37, "CPU": 40, "PMIC": 50, "GPU": 40, "AO": 45, "thermal": 40},
            "power_mw": _rails(POM_5V_IN=(1750, 1628), POM_5V_GPU=(0, 0), POM_5V_CPU=(366, 406)),
        },
    ),
    Sample(
        "TX2, JetPack 4",
        "RAM 3276/7859MB (lfb 5x4MB) SWAP 1626/12122MB (cached 181MB)"
        " CPU [44%@1421,49%@2031,67%@2034,17%@1420,25%@1419,8%@1420] EMC_FREQ 1%@1866"
        " GR3D_FREQ 0%@114 APE 150 MTS fg 1% bg 1% PLL@42.5C MCPU@42.5C PMIC@50C Tboard@38C"
        " GPU@39.5C BCPU@42.5C thermal@41.3C Tdiode@39.25C VDD_SYS_GPU 182/182"
        " VDD_SYS_SOC 730/730 VDD_4V0_WIFI 0/0 VDD_IN 5297/5297 VDD_SYS_CPU 1917/1917"
        " VDD_SYS_DDR 1241/1241",
        {
            "ram": {"used_mb": 3276, "total_mb": 7859, "lfb_blocks": 5, "lfb_mb": 4},
            "swap": {"used_mb": 1626, "total_mb": 12122, "cached_mb": 181},
            "cpus": _cores((44, 1421), (49, 2031), (67, 2034), (17, 1420), (25, 1419), (8, 1420)),
            "emc": {"load_percent": 1, "mhz": 1866},
            "gpu": {"load_percent": 0, "mhz": [114]},
            "engines": {"APE": {"mhz": 150}, "MTS": {"fg_percent": 1, "bg_percent": 1}},
            "celsius": {
                "PLL": 42.5,
                "MCPU": 42.5,
                "PMIC": 50,
                "Tboard": 38,
                "GPU": 39.5,
                "BCPU": 42.5,
                "thermal": 41.3,
                "Tdiode": 39.25,
            },
            "power_mw": _rails(
                VDD_SYS_GPU=(182, 182),
                VDD_SYS_SOC=(730, 730),
                VDD_4V0_WIFI=(0, 0),
                VDD_IN=(5297, 5297),
                VDD_SYS_CPU=(1917, 1917),
                VDD_SYS_DDR=(1241, 1241),
            ),
        },
    ),
    Sample(
        "TX2 without root's rights, a part",
        "EMC_FREQ 0% GR3D_FREQ 0% PLL@42.5C VDD_IN 3140/3208",
        {
            "emc": {"load_percent": 0},
            "gpu": {"load_percent": 0},
            "celsius": {"PLL": 42.5},
            "power_mw": _rails(VDD_IN=(3140, 3208)),
        },
    ),
    Sample(
        "AGX Xavier, JetPack 4: GPU and CPU are rails and sensors",
        "RAM 10881/31919MB (lfb 4230x4MB) SWAP 0/15959MB (cached 0MB)"
        " CPU [17%@1190,17%@1190,18%@1190,25%@1190,17%@1336,15%@1340,23%@1543,15%@1574]"
        " EMC_FREQ 55%@2133 GR3D_FREQ 95%@1377 APE 150 MTS fg 0% bg 10% AO@48C GPU@54.5C"
        " Tdiode@53.25C PMIC@100C AUX@46C CPU@49C thermal@49.45C Tboard@47C GPU 18401/18525"
        " CPU 2301/2330 SOC 4602/4602 CV 0/0 VDDRQ 2914/2911 SYS5V 4632/4620",
        {
            "ram": {"used_mb": 10881, "total_mb": 31919, "lfb_blocks": 4230, "lfb_mb": 4},
            "swap": {"used_mb": 0, "total_mb": 15959, "cached_mb": 0},
            "cpus": _cores(
                (17, 1190),
                (17, 1190),
                (18, 1190),
                (25, 1190),
                (17, 1336),
                (15, 1340),
                (23, 1543),
                (15, 1574),
            ),
            "emc": {"load_percent": 55, "mhz": 2133},
            "gpu": {"load_percent": 95, "mhz": [1377]},
            "engines": {"APE": {"mhz": 150}, "MTS": {"fg_percent": 0, "bg_percent": 10}},
            "celsius": {
                "AO": 48,
                "GPU": 54.5,
                "Tdiode": 53.25,
                "PMIC": 100,
                "AUX": 46,
                "CPU": 49,
                "thermal": 49.45,
                "Tboard": 47,
            },
            "power_mw": _rails(
                GPU=(18401, 18525),
                CPU=(2301, 2330),
                SOC=(4602, 4602),
                CV=(0, 0),
                VDDRQ=(2914, 2911),
                SYS5V=(4632, 4620),
            ),
        },
    ),
    Sample(
        "Xavier NX, JetPack 5.1.2",
        "07-09-2024 13:31:31 RAM 3168/6851MB (lfb 2x4MB) SWAP 161/3426MB (cached 0MB)"
        " CPU [23%@1397,17%@1192,16%@1190,13%@1190,23%@1190,10%@1190] EMC_FREQ 2%@204"
        " GR3D_FREQ 0%@[114] VIC_FREQ 115 APE 150 AUX@45C CPU@46.5C thermal@45.6C AO@45C GPU@45.5C"
        " PMIC@50C VDD_IN 2763mW/2846mW VDD_CPU_GPU_CV 650mW/670mW VDD_SOC 650mW/711mW",
        {
            "time": "07-09-2024 13:31:31",
            "ram": {"used_mb": 3168, "total_mb": 6851, "lfb_blocks": 2, "lfb_mb": 4},
            "swap": {"used_mb": 161, "total_mb": 3426, "cached_mb": 0},
            "cpus": _cores((23, 1397), (17, 1192), (16, 1190), (13, 1190), (23, 1190), (10, 1190)),
            "emc": {"load_percent": 2, "mhz": 204},
            "gpu": {"load_percent": 0, "mhz": [114]},
            "engines": {"VIC": {"mhz": 115}, "APE": {"mhz": 150}},
            "celsius": {
                "AUX": 45,
                "CPU": 46.5,
                "thermal": 45.6,
                "AO": 45,
                "GPU": 45.5,
                "PMIC": 50,
            },
            "power_mw": _rails(VDD_IN=(2763, 2846), VDD_CPU_GPU_CV=(650, 670), VDD_SOC=(650, 711)),
        },
    ),
    Sample(
        "AGX Orin, JetPack 6: two GPU clusters, engines on and off",
        "05-09-2026 18:42:06 RAM 18207/62841MB (lfb 466x4MB) SWAP 86/31420MB (cached 0MB)"
        " CPU [14%@2188,5%@2112,8%@2035,14%@2201,46%@1267,47%@1267,2%@1267,10%@1267,4%@1036,"
        "5%@1036,6%@1036,10%@1036] EMC_FREQ 3%@2133 GR3D_FREQ 0%@[0,0] NVENC 79%@166 NVDEC off"
        " NVJPG off NVJPG1 off VIC 36%@115 OFA off NVDLA0 off NVDLA1 off PVA0_FREQ off APE 174"
        " cpu@52.562C soc2@48.437C soc0@49.093C tj@52.562C soc1@49.656C"
        " VDD_GPU_SOC 2412mW/2412mW VDD_CPU_CV 1607mW/1607mW VIN_SYS_5V0 4707mW/4707mW",
        {
            "time": "05-09-2026 18:42:06",
            "ram": {"used_mb": 18207, "total_mb": 62841, "lfb_blocks": 466, "lfb_mb": 4},
            "swap": {"used_mb": 86, "total_mb": 31420, "cached_mb": 0},
            "cpus": _cores(
                (14, 2188),
                (5, 2112),
                (8, 2035),
                (14, 2201),
                (46, 1267),
                (47, 1267),
                (2, 1267),
                (10, 1267),
                (4, 1036),
                (5, 1036),
                (6, 1036),
                (10, 1036),
            ),
            "emc": {"load_percent": 3, "mhz": 2133},
            "gpu": {"load_percent": 0, "mhz": [0, 0]},
            "engines": {
                "NVENC": {"load_percent": 79, "mhz": 166},
                "NVDEC": "off",
                "NVJPG": "off",
                "NVJPG1": "off",
                "VIC": {"load_percent": 36, "mhz": 115},
                "OFA": "off",
                "NVDLA0": "off",
                "NVDLA1": "off",
                "PVA0": "off",
                "APE": {"mhz": 174},
            },
            "celsius": {
                "cpu": 52.562,
                "soc2": 48.437,
                "soc0": 49.093,
                "tj": 52.562,
                "soc1": 49.656,
            },
            "power_mw": _rails(
                VDD_GPU_SOC=(2412, 2412), VDD_CPU_CV=(1607, 1607), VIN_SYS_5V0=(4707, 4707)
            ),
        },
    ),
    Sample(
        "Orin Nano, JetPack 6.2: no swap",
        "04-19-2026 01:31:54 RAM 4231/7607MB (lfb 1x4MB)"
        " CPU [0%@1728,0%@1728,0%@1728,0%@1728,0%@1728,0%@1728] EMC_FREQ 81%@3199"
        " GR3D_FREQ 99%@[1005] NVDEC off NVJPG off NVJPG1 off VIC off OFA off APE 200"
        " cpu@52.437C soc2@51.562C soc0@50.812C gpu@55.281C tj@55.281C soc1@49.281C"
        " VDD_IN 21546mW/8268mW VDD_CPU_GPU_CV 9261mW/2663mW VDD_SOC 6129mW/2838mW",
        {
            "time": "04-19-2026 01:31:54",
            "ram": {"used_mb": 4231, "total_mb": 7607, "lfb_blocks": 1, "lfb_mb": 4},
            "cpus": _cores(*[(0, 1728)] * 6),
            "emc": {"load_percent": 81, "mhz": 3199},
            "gpu": {"load_percent": 99, "mhz": [1005]},
            "engines": {
                "NVDEC": "off",
                "NVJPG": "off",
                "NVJPG1": "off",
                "VIC": "off",
                "OFA": "off",
                "APE": {"mhz": 200},
            },
            "celsius": {
                "cpu": 52.437,
                "soc2": 51.562,
                "soc0": 50.812,
                "gpu": 55.281,
                "tj": 55.281,
                "soc1": 49.281,
            },
            "power_mw": _rails(
                VDD_IN=(21546, 8268), VDD_CPU_GPU_CV=(9261, 2663), VDD_SOC=(6129, 2838)
            ),
        },
    ),
    Sample(
        "Orin NX, JetPack 6.2, without root's rights: no EMC, a GPU without clock",
        "07-16-2026 13:03:45 RAM 1224/15656MB (lfb 8x4MB) SWAP 0/7828MB (cached 0MB)"
        " CPU [1%@729,0%@729,0%@729,0%@729,0%@729,0%@729,0%@729,0%@729] GR3D_FREQ 0%"
        " cv0@41.156C cpu@45.843C soc2@39.593C soc0@42.562C cv1@42.156C gpu@43.406C tj@45.843C"
        " soc1@40.25C cv2@38.593C VDD_IN 4304mW/4304mW VDD_CPU_GPU_CV 573mW/573mW"
        " VDD_SOC 1218mW/1218mW",
        {
            "time": "07-16-2026 13:03:45",
            "ram": {"used_mb": 1224, "total_mb": 15656, "lfb_blocks": 8, "lfb_mb": 4},
            "swap": {"used_mb": 0, "total_mb": 7828, "cached_mb": 0},
            "cpus": _cores((1, 729), *[(0, 729)] * 7),
            "gpu": {"load_percent": 0},
            "celsius": {
                "cv0": 41.156,
                "cpu": 45.843,
                "soc2": 39.593,
                "soc0": 42.562,
                "cv1": 42.156,
                "gpu": 43.406,
                "tj": 45.843,
                "soc1": 40.25,
                "cv2": 38.593,
            },
            "power_mw": _rails(
                VDD_IN=(4304, 4304), VDD_CPU_GPU_CV=(573, 573), VDD_SOC=(1218, 1218)
            ),
        },
    ),
    Sample(
        "AGX Orin, JetPack 7.2: peaks of power and temperature",
        "07-25-2026 09:08:28 RAM 20642/62817MB (lfb 1x2MB)"
        " CPU [23%@2201,10%@2201,4%@2201,14%@2201,30%@2201,18%@2201,10%@2201,10%@2201,33%@2201,"
        "7%@2201,5%@2201,27%@2201] EMC_FREQ 3%@3199 GR3D_FREQ 12%@[1300,1300] NVENC0 off"
        " NVDEC0 off NVJPG0 off NVJPG1 off VIC off OFA off NVDLA0 off NVDLA1 off PVA0_FREQ off"
        " APE 174 cpu@52.968C/52.968C soc2@48.406C/48.406C soc0@49.531C/49.531C"
        " gpu@47.625C/47.625C VDD_GPU_SOC 5139mW/5139mW/5139mW VDD_CPU_CV 3268mW/3268mW/3268mW"
        " VIN_SYS_5V0 5500mW/5500mW/5500mW",
        {
            "time": "07-25-2026 09:08:28",
            "ram": {"used_mb": 20642, "total_mb": 62817, "lfb_blocks": 1, "lfb_mb": 2},
            "cpus": _cores(
                (23, 2201),
                (10, 2201),
                (4, 2201),
                (14, 2201),
                (30, 2201),
                (18, 2201),
                (10, 2201),
                (10, 2201),
                (33, 2201),
                (7, 2201),
                (5, 2201),
                (27, 2201),
            ),
            "emc": {"load_percent": 3, "mhz": 3199},
            "gpu": {"load_percent": 12, "mhz": [1300, 1300]},
            "engines": {
                "NVENC0": "off",
                "NVDEC0": "off",
                "NVJPG0": "off",
                "NVJPG1": "off",
                "VIC": "off",
                "OFA": "off",
                "NVDLA0": "off",
                "NVDLA1": "off",
                "PVA0": "off",
                "APE": {"mhz": 174},
            },
            "celsius": {"cpu": 52.968, "soc2": 48.406, "soc0": 49.531, "gpu": 47.625},
            "celsius_peak": {"cpu": 52.968, "soc2": 48.406, "soc0": 49.531, "gpu": 47.625},
            "power_mw": _rails(
                VDD_GPU_SOC=(5139, 5139, 5139),
                VDD_CPU_CV=(3268, 3268, 3268),
                VIN_SYS_5V0=(5500, 5500, 5500),
            ),
        },
    ),
    Sample(
        "AGX Thor, JetPack 7: three GPU clusters without load, engines by clock",
        "04-21-2026 15:50:52 RAM 105265/125772MB (lfb 34x4MB)"
        " CPU [0%@972,0%@972,0%@972,0%@972,0%@972,0%@972,1%@972,0%@972,0%@972,0%@972,0%@972,"
        "8%@972,0%@972,0%@972] EMC_FREQ 0%@2750 GR3D_FREQ @[314,314,314] NVENC0_FREQ @314"
        " NVENC1_FREQ @314 NVDEC0_FREQ @314 NVDEC1_FREQ @314 NVJPG0_FREQ @314 VIC off"
        " OFA_FREQ @315 PVA0_FREQ off APE 300 cpu@37.343C tj@38.875C soc012@37.468C gpu@38.875C"
        " soc345@37.406C VDD_GPU 1962mW/1962mW VDD_CPU_SOC_MSS 5887mW/5887mW"
        " VIN_SYS_5V0 5635mW/5635mW VIN 19780mW/19780mW",
        {
            "time": "04-21-2026 15:50:52",
            "ram": {"used_mb": 105265, "total_mb": 125772, "lfb_blocks": 34, "lfb_mb": 4},
            "cpus": _cores(
                *[(0, 972)] * 6, (1, 972), *[(0, 972)] * 4, (8, 972), (0, 972), (0, 972)
            ),
            "emc": {"load_percent": 0, "mhz": 2750},
            "gpu": {"mhz": [314, 314, 314]},
            "engines": {
                "NVENC0": {"mhz": 314},
                "NVENC1": {"mhz": 314},
                "NVDEC0": {"mhz": 314},
                "NVDEC1": {"mhz": 314},
                "NVJPG0": {"mhz": 314},
                "VIC": "off",
                "OFA": {"mhz": 315},
                "PVA0": "off",
                "APE": {"mhz": 300},
            },
            "celsius": {
                "cpu": 37.343,
                "tj": 38.875,
                "soc012": 37.468,
                "gpu": 38.875,
                "soc345": 37.406,
            },
            "power_mw": _rails(
                VDD_GPU=(1962, 1962),
                VDD_CPU_SOC_MSS=(5887, 5887),
                VIN_SYS_5V0=(5635, 5635),
                VIN=(19780, 19780),
            ),
        },
    ),
)
COMPOSED = (
    Sample(
        "cores and sensors that are off",
        "CPU [12%@1190,off,off,7%@1190] GR3D_FREQ 0%@[114] CV0@-256C CPU@44.562C GPU@-256C",
        {
            "cpus": [
                {"load_percent": 12, "mhz": 1190},
                None,
                None,
                {"load_percent": 7, "mhz": 1190},
            ],
            "gpu": {"load_percent": 0, "mhz": [114]},
            "celsius": {"CPU": 44.562},
        },
    ),
    Sample(
        "channels not connected, twice, and a rail below nought",
        "cpu@50C VDD_GPU_SOC 2412mW/2412mW NC 0mW/0mW VDDQ_VDD2_1V8AO -8mW/-3mW NC 0mW/0mW",
        {
            "celsius": {"cpu": 50},
            "power_mw": _rails(VDD_GPU_SOC=(2412, 2412), VDDQ_VDD2_1V8AO=(-8, -3)),
        },
    ),
    Sample(
        "frost, memory in small pieces, and cores without clocks",
        "RAM 3900/3964MB (lfb 12x512kB) SWAP 4/1982MB CPU [100%,0%] EMC_FREQ 100% Tboard@-12.5C",
        {
            "ram": {"used_mb": 3900, "total_mb": 3964, "lfb_blocks": 12, "lfb_kb": 512},
            "swap": {"used_mb": 4, "total_mb": 1982},
            "cpus": [{"load_percent": 100}, {"load_percent": 0}],
            "emc": {"load_percent": 100},
            "celsius": {"Tboard": -12.5},
        },
    ),
    Sample(
        "a Nano's video engines at work, JetPack 4",
        "GR3D_FREQ 14%@921 NVENC 716 NVDEC 716 MSENC 480 APE 25 PLL@37C",
        {
            "gpu": {"load_percent": 14, "mhz": [921]},
            "engines": {
                "NVENC": {"mhz": 716},
                "NVDEC": {"mhz": 716},
                "MSENC": {"mhz": 480},
                "APE": {"mhz": 25},
            },
            "celsius": {"PLL": 37},
        },
    ),
)
SAMPLES = RECORDED + COMPOSED
