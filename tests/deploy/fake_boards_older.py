"""The boards before Orin: Nano, TX2, Xavier NX and AGX Xavier; see fake_boards.py."""

from __future__ import annotations

from .fake_board import FakeBoard, Mode, Monitor, Rail

MHZ = 1_000_000
JP4 = "# R32 (release), REVISION: {}, GCID: 29689809, BOARD: {}, EABI: aarch64, DATE: Wed Feb  2"
JP5 = (
    "# R35 (release), REVISION: {}, GCID: 33958178, BOARD: t186ref, EABI: aarch64, DATE: Tue Aug  1"
)

NANO = FakeBoard(
    name="nano",
    module="Nano",
    part="p3448-0000",
    carrier="p3449-0000",
    soc="tegra210",
    l4t="32.7.1",
    jetpack="4.6.1",
    sm_count=1,
    compute_capability="5.3",
    dla_cores=0,
    tensorrt="8.2.1",
    cuda="10.2",
    total=("POM_5V_IN",),
    model="NVIDIA Jetson Nano Developer Kit",
    compatible=("nvidia,p3449-0000-b00+p3448-0000-b00", "nvidia,jetson-nano", "nvidia,tegra210"),
    release=JP4.format("7.1", "t210ref"),
    memory_kib=3964 * 1024,
    cores=4,
    cpu_min_khz=102_000,
    gpu_device="sys/devices/gpu.0",
    gpu_min_hz=76_800_000,
    monitors=(
        Monitor(
            kind="iio",
            address="6-0040",
            rails=(
                Rail("POM_5V_IN", 5000, 350),
                Rail("POM_5V_GPU", 5000, 0),
                Rail("POM_5V_CPU", 5000, 73),
            ),
        ),
    ),
    modes=(
        Mode(id=0, name="MAXN", gpu_hz=921_600_000, emc_hz=1600 * MHZ, cores=4, cpu_khz=1_479_000),
        Mode(id=1, name="5W", gpu_hz=640_000_000, emc_hz=1600 * MHZ, cores=2, cpu_khz=918_000),
    ),
    mode=0,
    zones={"AO-therm": 45_000, "CPU-therm": 40_000, "GPU-therm": 40_000, "PMIC-Die": 50_000},
    oc_events=(),
    tegrastats="RAM 1923/3964MB (lfb 2x2MB) SWAP 191/1982MB (cached 6MB) IRAM 0/252kB(lfb 252kB)"
    " CPU [5%@1224,4%@1224,3%@1224,6%@1224] EMC_FREQ 0%@1600 GR3D_FREQ 0%@76 APE 25 PLL@37C CPU@40C"
    " PMIC@50C GPU@40C AO@45C thermal@40C POM_5V_IN 1750/1628 POM_5V_GPU 0/0 POM_5V_CPU 366/406",
    packages={"libcudnn8": "8.2.1.32-1+cuda10.2"},
)

TX2 = FakeBoard(
    name="tx2",
    module="TX2",
    part=None,
    carrier=None,
    soc="tegra186",
    l4t="32.7.1",
    jetpack="4.6.1",
    sm_count=2,
    compute_capability="6.2",
    dla_cores=0,
    tensorrt="8.2.1",
    cuda="10.2",
    total=("VDD_IN",),
    model="quill",
    compatible=("nvidia,quill", "nvidia,tegra186"),
    release=JP4.format("7.1", "t186ref"),
    memory_kib=7859 * 1024,
    cores=6,
    cpu_min_khz=345_600,
    gpu_device="sys/devices/gpu.0",
    gpu_min_hz=114_750_000,
    monitors=(
        Monitor(
            kind="iio",
            address="0-0040",
            rails=(
                Rail("VDD_SYS_GPU", 19_200, 10),
                Rail("VDD_SYS_SOC", 19_200, 38),
                Rail("VDD_4V0_WIFI", 19_200, 0),
            ),
        ),
        Monitor(
            kind="iio",
            address="0-0041",
            rails=(
                Rail("VDD_IN", 19_200, 276),
                Rail("VDD_SYS_CPU", 19_200, 100),
                Rail("VDD_SYS_DDR", 19_200, 65),
            ),
        ),
    ),
    modes=(
        Mode(
            id=0, name="MAXN", gpu_hz=1_300_500_000, emc_hz=1866 * MHZ, cores=6, cpu_khz=2_035_200
        ),
        Mode(id=1, name="MAXQ", gpu_hz=850_000_000, emc_hz=1331 * MHZ, cores=4, cpu_khz=1_190_400),
        Mode(
            id=2,
            name="MAXP_CORE_ALL",
            gpu_hz=1_122_000_000,
            emc_hz=1600 * MHZ,
            cores=6,
            cpu_khz=1_420_800,
        ),
        Mode(
            id=3,
            name="MAXP_CORE_ARM",
            gpu_hz=1_122_000_000,
            emc_hz=1600 * MHZ,
            cores=4,
            cpu_khz=2_035_200,
        ),
        Mode(
            id=4,
            name="MAXP_CORE_DENVER",
            gpu_hz=1_122_000_000,
            emc_hz=1600 * MHZ,
            cores=2,
            cpu_khz=2_035_200,
        ),
    ),
    mode=3,
    zones={"BCPU-therm": 42_500, "MCPU-therm": 42_500, "GPU-therm": 39_500, "Tdiode_tegra": 39_250},
    oc_events=(),
    tegrastats="RAM 3276/7859MB (lfb 5x4MB) SWAP 1626/12122MB (cached 181MB) CPU"
    " [44%@1421,49%@2031,"
    "67%@2034,17%@1420,25%@1419,8%@1420] EMC_FREQ 1%@1866 GR3D_FREQ 0%@114 APE 150 MTS fg 1% bg 1%"
    " PLL@42.5C MCPU@42.5C PMIC@50C Tboard@38C GPU@39.5C BCPU@42.5C thermal@41.3C Tdiode@39.25C"
    " VDD_SYS_GPU 182/182 VDD_SYS_SOC 730/730 VDD_4V0_WIFI 0/0 VDD_IN 5297/5297"
    " VDD_SYS_CPU 1917/1917 VDD_SYS_DDR 1241/1241",
    packages={"libcudnn8": "8.2.1.32-1+cuda10.2"},
)

XAVIER_NX = FakeBoard(
    name="xavier-nx",
    module="Xavier NX",
    part="p3668-0000",
    carrier="p3509-0000",
    soc="tegra194",
    l4t="35.4.1",
    jetpack="5.1.2",
    sm_count=6,
    compute_capability="7.2",
    dla_cores=2,
    tensorrt="8.5.2",
    cuda="11.4",
    total=("VDD_IN",),
    model="NVIDIA Jetson Xavier NX Developer Kit",
    compatible=("nvidia,p3509-0000+p3668-0000", "nvidia,tegra194"),
    release=JP5.format("4.1"),
    memory_kib=6851 * 1024,
    cores=6,
    cpu_min_khz=115_200,
    gpu_device="sys/devices/gpu.0",
    gpu_min_hz=114_750_000,
    monitors=(
        Monitor(
            kind="hwmon",
            address="7-0040",
            rails=(
                Rail("VDD_IN", 5000, 552),
                Rail("VDD_CPU_GPU_CV", 5000, 130),
                Rail("VDD_SOC", 5000, 130),
            ),
        ),
    ),
    modes=(
        Mode(
            id=0,
            name="MODE_15W_2CORE",
            gpu_hz=1_109_250_000,
            emc_hz=1600 * MHZ,
            cores=2,
            cpu_khz=1_907_200,
        ),
        Mode(
            id=2,
            name="MODE_15W_6CORE",
            gpu_hz=1_109_250_000,
            emc_hz=1600 * MHZ,
            cores=6,
            cpu_khz=1_420_800,
        ),
        Mode(
            id=4,
            name="MODE_10W_4CORE",
            gpu_hz=803_250_000,
            emc_hz=1600 * MHZ,
            cores=4,
            cpu_khz=1_190_400,
        ),
        Mode(
            id=8,
            name="MODE_20W_6CORE",
            gpu_hz=1_109_250_000,
            emc_hz=1866 * MHZ,
            cores=6,
            cpu_khz=1_420_800,
        ),
    ),
    mode=8,
    zones={"AUX-therm": 45_000, "CPU-therm": 46_500, "GPU-therm": 45_500, "PMIC-Die": -256_000},
    oc_events=(),
    tegrastats="07-09-2024 13:31:31 RAM 3168/6851MB (lfb 2x4MB) SWAP 161/3426MB (cached 0MB) CPU"
    " [23%@1397,17%@1192,16%@1190,13%@1190,23%@1190,10%@1190] EMC_FREQ 2%@204 GR3D_FREQ 0%@[114]"
    " VIC_FREQ 115 APE 150 AUX@45C CPU@46.5C thermal@45.6C AO@45C GPU@45.5C PMIC@50C"
    " VDD_IN 2763mW/2846mW VDD_CPU_GPU_CV 650mW/670mW VDD_SOC 650mW/711mW",
    packages={"libcudnn8": "8.6.0.166-1+cuda11.4"},
    query_noise="NVPM WARN: fan mode is not set!",
)

AGX_XAVIER_RAILS = (
    (Rail("GPU", 19_200, 958), Rail("CPU", 19_200, 120), Rail("SOC", 19_200, 240)),
    (Rail("CV", 19_200, 0), Rail("VDDRQ", 19_200, 152), Rail("SYS5V", 5_000, 926)),
)
AGX_XAVIER_MODES = (
    Mode(id=0, name="MAXN", gpu_hz=1_377_000_000, emc_hz=2133 * MHZ, cores=8, cpu_khz=2_265_600),
    Mode(id=1, name="MODE_10W", gpu_hz=520_200_000, emc_hz=1066 * MHZ, cores=2, cpu_khz=1_200_000),
    Mode(id=2, name="MODE_15W", gpu_hz=670_500_000, emc_hz=1333 * MHZ, cores=4, cpu_khz=1_200_000),
    Mode(
        id=3, name="MODE_30W_ALL", gpu_hz=905_250_000, emc_hz=1600 * MHZ, cores=8, cpu_khz=1_200_000
    ),
)

AGX_XAVIER = FakeBoard(
    name="agx-xavier",
    module="AGX Xavier",
    part=None,
    carrier="p2972-0000",
    soc="tegra194",
    l4t="32.7.2",
    jetpack="4.6.2",
    sm_count=8,
    compute_capability="7.2",
    dla_cores=2,
    tensorrt="8.2.1",
    cuda="10.2",
    total=("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),
    model="Jetson-AGX",
    compatible=("nvidia,p2972-0000", "nvidia,tegra194"),
    release=JP4.format("7.2", "t186ref"),
    memory_kib=31_919 * 1024,
    cores=8,
    cpu_min_khz=115_200,
    gpu_device="sys/devices/gpu.0",
    gpu_min_hz=114_750_000,
    monitors=(
        Monitor(kind="iio", address="1-0040", rails=AGX_XAVIER_RAILS[0]),
        Monitor(kind="iio", address="1-0041", rails=AGX_XAVIER_RAILS[1]),
    ),
    modes=AGX_XAVIER_MODES,
    mode=2,
    zones={"AO-therm": 48_000, "CPU-therm": 49_000, "GPU-therm": 54_500, "Tdiode_tegra": 53_250},
    oc_events=(),
    tegrastats="RAM 10881/31919MB (lfb 4230x4MB) SWAP 0/15959MB (cached 0MB) CPU"
    " [17%@1190,17%@1190,"
    "18%@1190,25%@1190,17%@1336,15%@1340,23%@1543,15%@1574] EMC_FREQ 55%@2133 GR3D_FREQ 95%@1377"
    " APE 150 MTS fg 0% bg 10% AO@48C GPU@54.5C Tdiode@53.25C PMIC@100C AUX@46C CPU@49C"
    " thermal@49.45C Tboard@47C GPU 18401/18525 CPU 2301/2330 SOC 4602/4602 CV 0/0 VDDRQ 2914/2911"
    " SYS5V 4632/4620",
    packages={"libcudnn8": "8.2.1.32-1+cuda10.2"},
)

AGX_XAVIER_JP5 = FakeBoard(
    name="agx-xavier-jp5",
    module="AGX Xavier",
    part="p2888-0001",
    carrier="p2822-0000",
    soc="tegra194",
    l4t="35.5.0",
    jetpack="5.1.3",
    sm_count=8,
    compute_capability="7.2",
    dla_cores=2,
    tensorrt="8.5.2",
    cuda="11.4",
    total=AGX_XAVIER.total,
    model="Jetson-AGX",
    compatible=(
        "nvidia,galen",
        "nvidia,jetson-xavier",
        "nvidia,p2822-0000+p2888-0001",
        "nvidia,tegra194",
    ),
    release=JP5.format("5.0"),
    memory_kib=AGX_XAVIER.memory_kib,
    cores=8,
    cpu_min_khz=115_200,
    gpu_device="sys/devices/gpu.0",
    gpu_min_hz=114_750_000,
    monitors=(
        Monitor(kind="hwmon", address="1-0040", rails=AGX_XAVIER_RAILS[0]),
        Monitor(kind="hwmon", address="1-0041", rails=AGX_XAVIER_RAILS[1]),
    ),
    modes=AGX_XAVIER_MODES,
    mode=0,
    zones={"AO-therm": 48_000, "CPU-therm": 49_000, "GPU-therm": 54_500, "Tdiode_tegra": 53_250},
    oc_events=(),
    tegrastats="01-01-2024 10:00:00 RAM 10881/31919MB (lfb 4230x4MB) CPU [17%@1190,"
    "17%@1190,18%@1190,"
    "25%@1190,17%@1336,15%@1340,23%@1543,15%@1574] EMC_FREQ 55%@2133 GR3D_FREQ 95%@[1377]"
    " VIC_FREQ 115 APE 150 AO@48C GPU@54.5C Tdiode@53.25C AUX@46C CPU@49C PMIC@-256C"
    " GPU 18401mW/18525mW CPU 2301mW/2330mW SOC 4602mW/4602mW CV 0mW/0mW VDDRQ 2914mW/2911mW"
    " SYS5V 4632mW/4620mW",
    packages={"libcudnn8": "8.6.0.166-1+cuda11.4"},
)
