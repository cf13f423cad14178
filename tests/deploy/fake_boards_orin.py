"""Orin Nano, Orin NX, AGX Orin and AGX Thor; see fake_boards.py."""

from __future__ import annotations

from .fake_board import FakeBoard, Mode, Monitor, Rail

MHZ = 1_000_000
JP6 = (
    "# R36 (release), REVISION: {}, GCID: 41062509, BOARD: generic, EABI: aarch64, DATE: Mon Jun 16"
)
JP7 = (
    "# R{} (release), REVISION: {}, GCID: 43443517, BOARD: generic, EABI: aarch64, DATE: Wed Dec 31"
    "\n# KERNEL_VARIANT: oot"
)

ORIN_NANO_RAILS = (
    Rail("VDD_IN", 4984, 1856),
    Rail("VDD_CPU_GPU_CV", 4984, 520),
    Rail("VDD_SOC", 4984, 568),
)
ORIN_NANO_ZONES = {
    "cpu-thermal": 63_625,
    "gpu-thermal": 62_000,
    "cv0-thermal": None,
    "soc0-thermal": 60_500,
    "tj-thermal": 63_625,
}

ORIN_NANO = FakeBoard(
    name="orin-nano",
    module="Orin Nano 8GB",
    part="p3767-0005",
    carrier="p3768-0000",
    soc="tegra234",
    l4t="36.3.0",
    jetpack="6.0",
    sm_count=8,
    compute_capability="8.7",
    dla_cores=0,
    tensorrt="8.6.2",
    cuda="12.2",
    total=("VDD_IN",),
    model="NVIDIA Jetson Orin Nano Developer Kit",
    compatible=("nvidia,p3768-0000+p3767-0005", "nvidia,p3767-0005", "nvidia,tegra234"),
    release=JP6.format("3.0"),
    memory_kib=7607 * 1024,
    cores=6,
    cpu_min_khz=115_200,
    gpu_device="sys/devices/platform/17000000.gpu",
    gpu_min_hz=306_000_000,
    monitors=(Monitor(kind="hwmon", address="1-0040", rails=ORIN_NANO_RAILS),),
    modes=(
        Mode(
            id=0,
            name="15W",
            gpu_hz=624_750_000,
            emc_hz=2133 * MHZ,
            cores=6,
            cpu_khz=1_510_400,
            tpc_mask=240,
        ),
        Mode(
            id=1,
            name="7W",
            gpu_hz=408_000_000,
            emc_hz=2133 * MHZ,
            cores=4,
            cpu_khz=960_000,
            tpc_mask=252,
        ),
    ),
    mode=0,
    zones=ORIN_NANO_ZONES,
    oc_events=(0, 0, 0),
    tegrastats="07-16-2024 13:03:45 RAM 1224/7607MB (lfb 8x4MB) SWAP 0/3803MB (cached 0MB) CPU"
    " [1%@729,0%@729,0%@729,0%@729,0%@729,0%@729] EMC_FREQ 0%@2133 GR3D_FREQ 0%@[305] NVDEC off"
    " NVJPG off NVJPG1 off VIC off OFA off APE 200 cpu@45.8C soc2@39.5C soc0@42.5C gpu@43.4C"
    " tj@45.8C soc1@40.2C VDD_IN 4304mW/4304mW VDD_CPU_GPU_CV 573mW/573mW VDD_SOC 1218mW/1218mW",
    packages={"libcudnn8": "8.9.4.25-1+cuda12.2"},
)

ORIN_NANO_SUPER = FakeBoard(
    name="orin-nano-super",
    module="Orin Nano 8GB",
    part="p3767-0005",
    carrier="p3768-0000",
    super=True,
    soc="tegra234",
    l4t="36.5.0",
    jetpack="6.2.2",
    sm_count=8,
    compute_capability="8.7",
    dla_cores=0,
    tensorrt="10.3.0",
    cuda="12.6",
    total=("VDD_IN",),
    model="NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super",
    compatible=("nvidia,p3768-0000+p3767-0005-super", "nvidia,p3767-0005", "nvidia,tegra234"),
    release=JP6.format("5.0"),
    memory_kib=7607 * 1024,
    cores=6,
    cpu_min_khz=115_200,
    gpu_device="sys/devices/platform/bus@0/17000000.gpu",
    gpu_min_hz=306_000_000,
    monitors=(Monitor(kind="hwmon", address="1-0040", rails=ORIN_NANO_RAILS),),
    modes=(
        Mode(
            id=0,
            name="15W",
            gpu_hz=612_000_000,
            emc_hz=2133 * MHZ,
            cores=6,
            cpu_khz=1_497_600,
            tpc_mask=240,
        ),
        Mode(
            id=1,
            name="25W",
            gpu_hz=918_000_000,
            emc_hz=3199 * MHZ,
            cores=6,
            cpu_khz=1_344_000,
            tpc_mask=240,
        ),
        Mode(
            id=2,
            name="MAXN_SUPER",
            gpu_hz=1_020_000_000,
            emc_hz=3199 * MHZ,
            cores=6,
            cpu_khz=1_728_000,
            tpc_mask=240,
        ),
        Mode(
            id=3,
            name="7W",
            gpu_hz=408_000_000,
            emc_hz=2133 * MHZ,
            cores=4,
            cpu_khz=960_000,
            tpc_mask=252,
        ),
    ),
    mode=1,
    zones=ORIN_NANO_ZONES,
    oc_events=(0, 2, 5),
    tegrastats="04-19-2026 01:31:54 RAM 4231/7607MB (lfb 1x4MB) CPU [0%@1728,0%@1728,"
    "0%@1728,0%@1728,"
    "0%@1728,0%@1728] EMC_FREQ 81%@3199 GR3D_FREQ 99%@[1005] NVDEC off NVJPG off NVJPG1 off VIC off"
    " OFA off APE 200 cpu@52.437C soc2@51.562C soc0@50.812C gpu@55.281C tj@55.281C soc1@49.281C"
    " VDD_IN 21546mW/8268mW VDD_CPU_GPU_CV 9261mW/2663mW VDD_SOC 6129mW/2838mW",
    packages={"libcudnn9-cuda-12": "9.3.0.75-1"},
)

ORIN_NX = FakeBoard(
    name="orin-nx-16",
    module="Orin NX 16GB",
    part="p3767-0000",
    carrier="p3768-0000",
    soc="tegra234",
    l4t="36.4.4",
    jetpack="6.2.1",
    sm_count=4,  # two TPCs of four in its 15 W mode
    compute_capability="8.7",
    dla_cores=2,
    tensorrt="10.3.0",
    cuda="12.6",
    total=("VDD_IN",),
    model="NVIDIA Orin NX Developer Kit",
    compatible=("nvidia,p3768-0000+p3767-0000", "nvidia,p3767-0000", "nvidia,tegra234"),
    release=JP6.format("4.4"),
    memory_kib=15_656 * 1024,
    cores=8,
    cpu_min_khz=115_200,
    gpu_device="sys/devices/platform/bus@0/17000000.gpu",
    gpu_min_hz=306_000_000,
    monitors=(
        Monitor(
            kind="hwmon",
            address="1-0040",
            rails=(
                Rail("VDD_IN", 4976, 865),
                Rail("VDD_CPU_GPU_CV", 4976, 115),
                Rail("VDD_SOC", 4976, 245),
            ),
        ),
    ),
    modes=(
        Mode(
            id=0,
            name="MAXN",
            gpu_hz=918_000_000,
            emc_hz=3199 * MHZ,
            cores=8,
            cpu_khz=1_984_000,
            tpc_mask=240,
        ),
        Mode(
            id=1,
            name="10W",
            gpu_hz=612_000_000,
            emc_hz=2133 * MHZ,
            cores=4,
            cpu_khz=1_190_400,
            tpc_mask=252,
        ),
        Mode(
            id=2,
            name="15W",
            gpu_hz=612_000_000,
            emc_hz=3199 * MHZ,
            cores=4,
            cpu_khz=1_420_800,
            tpc_mask=252,
        ),
        Mode(
            id=3,
            name="25W",
            gpu_hz=408_000_000,
            emc_hz=3199 * MHZ,
            cores=8,
            cpu_khz=1_497_600,
            tpc_mask=240,
        ),
    ),
    mode=2,
    zones={
        "cpu-thermal": 45_843,
        "gpu-thermal": 43_406,
        "cv0-thermal": 41_156,
        "tj-thermal": 45_843,
    },
    oc_events=(0, 0, 0),
    tegrastats="07-16-2026 13:03:45 RAM 1224/15656MB (lfb 8x4MB) SWAP 0/7828MB (cached 0MB) CPU"
    " [1%@729,0%@729,0%@729,0%@729,0%@729,0%@729,0%@729,0%@729] GR3D_FREQ"
    " 0% cv0@41.156C cpu@45.843C"
    " soc2@39.593C soc0@42.562C cv1@42.156C gpu@43.406C tj@45.843C soc1@40.25C cv2@38.593C"
    " VDD_IN 4304mW/4304mW VDD_CPU_GPU_CV 573mW/573mW VDD_SOC 1218mW/1218mW",
    packages={"libcudnn9-cuda-12": "9.3.0.75-1"},
)

AGX_ORIN_MONITORS = (
    Monitor(
        kind="hwmon",
        address="1-0040",
        rails=(
            Rail("VDD_GPU_SOC", 19_064, 126),
            Rail("VDD_CPU_CV", 19_064, 84),
            Rail("VIN_SYS_5V0", 5_024, 937),
        ),
        shunt_uohm=2000,
    ),
    Monitor(
        kind="hwmon",
        address="1-0041",
        rails=(Rail("NC", 0, 0), Rail("VDDQ_VDD2_1V8AO", 4_992, 64), Rail("NC", 0, 0)),
        shunt_uohm=2000,
    ),
)
AGX_ORIN_MODES = (
    Mode(
        id=0,
        name="MAXN",
        gpu_hz=1_300_500_000,
        emc_hz=3199 * MHZ,
        cores=12,
        cpu_khz=2_201_600,
        tpc_mask=0,
    ),
    Mode(
        id=1,
        name="MODE_15W",
        gpu_hz=408_000_000,
        emc_hz=2133 * MHZ,
        cores=4,
        cpu_khz=1_113_600,
        tpc_mask=248,
    ),
    Mode(
        id=2,
        name="MODE_30W",
        gpu_hz=612_000_000,
        emc_hz=3199 * MHZ,
        cores=8,
        cpu_khz=1_728_000,
        tpc_mask=240,
    ),
    Mode(
        id=3,
        name="MODE_50W",
        gpu_hz=816_000_000,
        emc_hz=3199 * MHZ,
        cores=12,
        cpu_khz=1_497_600,
        tpc_mask=0,
    ),
)
AGX_ORIN_ZONES = {"cpu-thermal": 52_562, "gpu-thermal": None, "tj-thermal": 52_562}

AGX_ORIN = FakeBoard(
    name="agx-orin",
    module="AGX Orin 64GB",
    part="p3701-0005",
    carrier="p3737-0000",
    soc="tegra234",
    l4t="36.4.4",
    jetpack="6.2.1",
    sm_count=16,
    compute_capability="8.7",
    dla_cores=2,
    tensorrt="10.3.0",
    cuda="12.6",
    total=("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),
    model="NVIDIA Jetson AGX Orin Developer Kit",
    compatible=("nvidia,p3737-0000+p3701-0005", "nvidia,p3701-0005", "nvidia,tegra234"),
    release=JP6.format("4.4"),
    memory_kib=62_841 * 1024,
    cores=12,
    cpu_min_khz=115_200,
    gpu_device="sys/devices/platform/bus@0/17000000.gpu",
    gpu_min_hz=306_000_000,
    monitors=AGX_ORIN_MONITORS,
    modes=AGX_ORIN_MODES,
    mode=0,
    zones=AGX_ORIN_ZONES,
    oc_events=(0, 0, 0),
    tegrastats="05-09-2026 18:42:06 RAM 18207/62841MB (lfb 466x4MB) SWAP 86/31420MB"
    " (cached 0MB) CPU"
    " [14%@2188,5%@2112,8%@2035,14%@2201,46%@1267,47%@1267,2%@1267,"
    "10%@1267,4%@1036,5%@1036,6%@1036,"
    "10%@1036] EMC_FREQ 3%@2133 GR3D_FREQ 0%@[0,0] NVENC 79%@166 NVDEC off NVJPG off NVJPG1 off"
    " VIC 36%@115 OFA off NVDLA0 off NVDLA1 off PVA0_FREQ off APE 174 cpu@52.562C soc2@48.437C"
    " soc0@49.093C tj@52.562C soc1@49.656C VDD_GPU_SOC 2412mW/2412mW VDD_CPU_CV 1607mW/1607mW"
    " VIN_SYS_5V0 4707mW/4707mW",
    packages={"libcudnn9-cuda-12": "9.3.0.75-1"},
    query_noise="NVPM VERB: Config file: /etc/nvpmodel.conf\n"
    "NVPM VERB: POWER_MODEL: ID=0 NAME=MAXN\nNVPM VERB: PM_CONFIG: DEFAULT=MODE_30W(2)",
)

AGX_ORIN_JP7 = FakeBoard(
    name="agx-orin-jp7",
    module="AGX Orin 64GB",
    part="p3701-0000",
    carrier="p3737-0000",
    soc="tegra234",
    l4t="39.2.0",
    jetpack="7.2",
    sm_count=8,  # four TPCs of eight in its 30 W mode
    compute_capability="8.7",
    dla_cores=2,
    tensorrt="10.16.2",
    cuda="13.2",
    total=("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),
    model="NVIDIA Jetson AGX Orin Developer Kit",
    compatible=("nvidia,p3737-0000+p3701-0000", "nvidia,p3701-0000", "nvidia,tegra234"),
    release=JP7.format(39, "2.0"),
    memory_kib=62_817 * 1024,
    cores=12,
    cpu_min_khz=115_200,
    gpu_device="sys/devices/platform/bus@0/17000000.gpu",
    gpu_min_hz=306_000_000,
    monitors=AGX_ORIN_MONITORS,
    modes=AGX_ORIN_MODES,
    mode=2,
    zones=AGX_ORIN_ZONES,
    oc_events=(0, 0, 0),
    tegrastats="07-25-2026 09:08:28 RAM 20642/62817MB (lfb 1x2MB) CPU [23%@2201,10%@2201,4%@2201,"
    "14%@2201,30%@2201,18%@2201,10%@2201,10%@2201,33%@2201,7%@2201,5%@2201,27%@2201]"
    " EMC_FREQ 3%@3199 GR3D_FREQ 12%@[1300,1300] NVENC0 off NVDEC0 off"
    " NVJPG0 off NVJPG1 off VIC off"
    " OFA off NVDLA0 off NVDLA1 off PVA0_FREQ off APE 174 cpu@52.968C/52.968C soc2@48.406C/48.406C"
    " soc0@49.531C/49.531C gpu@47.625C/47.625C VDD_GPU_SOC 5139mW/5139mW/5139mW"
    " VDD_CPU_CV 3268mW/3268mW/3268mW VIN_SYS_5V0 5500mW/5500mW/5500mW",
    packages={"libcudnn9-cuda-13": "9.20.0.48-1"},
)

THOR = FakeBoard(
    name="agx-thor",
    module="AGX Thor T5000",
    part="p3834-0008",
    carrier="p3971-0089",
    soc="tegra264",
    l4t="38.4.0",
    jetpack="7.1",
    sm_count=20,
    compute_capability="11.0",
    dla_cores=0,
    tensorrt="10.13.3",
    cuda="13.0",
    total=("VIN",),
    model="NVIDIA Jetson AGX Thor Developer Kit",
    compatible=("nvidia,p3971-0089+p3834-0008", "nvidia,p3834-0008", "nvidia,tegra264"),
    release=JP7.format(38, "4.0"),
    memory_kib=125_772 * 1024,
    cores=14,
    cpu_min_khz=972_000,
    gpu_device="sys/devices/platform/bus@0/gpu-gpc-0",
    gpu_min_hz=315_000_000,
    monitors=(
        Monitor(
            kind="hwmon",
            address="2-0040",
            rails=(
                Rail("VDD_GPU", 19_600, 100),
                Rail("VDD_CPU_SOC_MSS", 19_600, 300),
                Rail("VIN_SYS_5V0", 5_000, 1127),
            ),
        ),
        Monitor(kind="ina238", address="2-0044", rails=(Rail("VIN", 19_780, 1000),)),
    ),
    modes=(
        Mode(
            id=0, name="MAXN", gpu_hz=1_575_000_000, emc_hz=4266 * MHZ, cores=14, cpu_khz=2_601_000
        ),
        Mode(
            id=1, name="120W", gpu_hz=1_386_000_000, emc_hz=4266 * MHZ, cores=12, cpu_khz=2_601_000
        ),
    ),
    mode=1,
    zones={
        "cpu-thermal": 37_343,
        "tj-thermal": 38_875,
        "soc012-thermal": 37_468,
        "gpu-thermal": 38_875,
    },
    oc_events=(0, 0, 0),
    tegrastats="04-21-2026 15:50:52 RAM 105265/125772MB (lfb 34x4MB) CPU [0%@972,"
    "0%@972,0%@972,0%@972,"
    "0%@972,0%@972,1%@972,0%@972,0%@972,0%@972,0%@972,8%@972,0%@972,0%@972] EMC_FREQ 0%@2750"
    " GR3D_FREQ @[314,314,314] NVENC0_FREQ @314 NVENC1_FREQ @314 NVDEC0_FREQ @314 NVDEC1_FREQ @314"
    " NVJPG0_FREQ @314 VIC off OFA_FREQ @315 PVA0_FREQ off APE 300 cpu@37.343C tj@38.875C"
    " soc012@37.468C gpu@38.875C soc345@37.406C VDD_GPU 1962mW/1962mW VDD_CPU_SOC_MSS 5887mW/5887mW"
    " VIN_SYS_5V0 5635mW/5635mW VIN 19780mW/19780mW",
    packages={"libcudnn9-cuda-13": "9.12.0.46-1"},
)
