"""Programs of a fake board, for /bin/sh alone: nvpmodel, jetson_clocks, tegrastats, sudo, trtexec.

Each finds the tree it acts on from its own path, and notes what it changed in var/log/board-calls.
"""

from __future__ import annotations

from .fake_board import FakeBoard, Mode

CPU = "sys/devices/system/cpu"
EMC_CAP = "sys/kernel/nvpmodel_clk_cap/emc"

COMMON = """#!/bin/sh
root=${0%/usr/*}
put() { printf '%s\\n' "$2" >"$root/$1"; }
get() { IFS= read -r got <"$root/$1" || got=; }
note() { printf '%s\\n' "$*" >>"$root/var/log/board-calls"; }
"""


def gpu_devfreq(board: FakeBoard) -> str:
    """The folder of the GPU's clock."""
    last = board.gpu_device.rpartition("/")[2]
    known = {"tegra210": "57000000.gpu", "tegra186": "17000000.gp10b", "tegra194": "17000000.gv11b"}
    return f"{board.gpu_device}/devfreq/{known.get(board.soc, last)}"


def emc_nodes(board: FakeBoard) -> dict[str, str]:
    """Files of the memory clock: rate, min, max and the override that locks it."""
    if board.soc == "tegra210":
        return {
            "rate": "sys/kernel/debug/clk/override.emc/clk_rate",
            "min": "sys/kernel/debug/tegra_bwmgr/emc_min_rate",
            "max": "sys/kernel/debug/tegra_bwmgr/emc_max_rate",
            "override": "sys/kernel/debug/clk/override.emc/clk_state",
        }
    folder = "sys/kernel/debug/bpmp/debug/clk/emc"
    return {
        "rate": f"{folder}/rate",
        "min": f"{folder}/min_rate",
        "max": f"{folder}/max_rate",
        "override": f"{folder}/mrq_rate_locked",
    }


def programs(board: FakeBoard, sudo: str) -> dict[str, str]:
    """Path -> text of every program; sudo: grants, refuses or absent."""
    scripts = {
        "usr/sbin/nvpmodel": nvpmodel(board),
        "usr/bin/jetson_clocks": jetson_clocks(board),
        "usr/bin/tegrastats": TEGRASTATS,
        "usr/src/tensorrt/bin/trtexec": "#!/bin/sh\necho 'no GPU on a fake board' >&2\nexit 1\n",
    }
    if sudo != "absent":
        scripts["usr/bin/sudo"] = SUDO_GRANTS if sudo == "grants" else SUDO_REFUSES
    return scripts


SUDO_GRANTS = '#!/bin/sh\n[ "$1" = -n ] && shift\nexec "$@"\n'
SUDO_REFUSES = "#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n"

TEGRASTATS = (
    COMMON
    + """interval=1000
while [ $# -gt 0 ]; do
  case $1 in --interval) interval=$2; shift;; esac
  shift
done
pause=$((interval / 1000)).$(printf %03d $((interval % 1000)))
while [ -f "$root/var/lib/fake/tegrastats" ]; do
  while IFS= read -r line; do
    printf '%s\\n' "$line" || exit 0
    sleep "$pause"
  done <"$root/var/lib/fake/tegrastats"
done
"""
)


def nvpmodel(board: FakeBoard) -> str:
    """-q, -p --verbose and -m ID, which sets the clocks of the mode or asks for a reboot."""
    names = "\n".join(
        f"  {mode.id}) name='{mode.name}' mask={mode.tpc_mask or 0};;" for mode in board.modes
    )
    listing = "\n".join(
        f"    echo 'NVPM VERB: POWER_MODEL: ID={mode.id} NAME={mode.name}'" for mode in board.modes
    )
    noise = "".join(f"    echo '{line}'\n" for line in board.query_noise.splitlines())
    applied = "\n".join(f"  {mode.id})\n{_applied(board, mode)}\n    ;;" for mode in board.modes)
    return (
        COMMON
        + f"""lookup() {{ case $1 in
{names}
  *) return 1;;
esac; }}
apply() {{ case $1 in
{applied}
esac; }}
get var/lib/nvpmodel/status
now=${{got#pmode:}}
while [ ${{#now}} -gt 1 ] && [ "${{now#0}}" != "$now" ]; do now=${{now#0}}; done
case $1 in
  -q)
{noise}    lookup "$now" && printf 'NV Power Mode: %s\\n%s\\n' "$name" "$now"
    ;;
  -p)
{listing}
    ;;
  -m)
    lookup "$now"; before=$mask
    lookup "$2" || {{ echo "NVPM ERROR: invalid power mode $2" >&2; exit 255; }}
    if [ "$mask" != "$before" ]; then
      echo "NVPM WARN: Reboot required for changing to this power mode: $2"
      echo "NVPM WARN: DO YOU WANT TO REBOOT NOW? enter YES/yes to confirm:"
      read -r answer || answer=
      case $answer in
        YES|yes) note reboot;;
        *) echo "NVPM ERROR: mode not changed" >&2; exit 255;;
      esac
    fi
    note "nvpmodel -m $2"
    put var/lib/nvpmodel/status "pmode:$(printf %04d "$2")"
    apply "$2"
    ;;
  *) echo "usage: nvpmodel -q | -p | -m ID" >&2; exit 1;;
esac
"""
    )


def _applied(board: FakeBoard, mode: Mode) -> str:
    gpu = gpu_devfreq(board)
    puts = [
        (f"{gpu}/min_freq", board.gpu_min_hz),
        (f"{gpu}/max_freq", mode.gpu_hz),
        (f"{gpu}/cur_freq", board.gpu_min_hz),
        (EMC_CAP, mode.emc_hz),
        (f"{CPU}/online", f"0-{mode.cores - 1}"),
    ]
    for core in range(board.cores):
        cpufreq = f"{CPU}/cpu{core}/cpufreq"
        puts += [
            (f"{cpufreq}/scaling_min_freq", board.cpu_min_khz),
            (f"{cpufreq}/scaling_max_freq", mode.cpu_khz),
            (f"{cpufreq}/scaling_cur_freq", board.cpu_min_khz),
        ]
    return "\n".join(f"    put {path} {value}" for path, value in puts)


def jetson_clocks(board: FakeBoard) -> str:
    """--show, --store F, --restore F, or no argument: every minimum becomes the maximum."""
    gpu, emc = gpu_devfreq(board), emc_nodes(board)
    cpus = " ".join(f"cpu{core}" for core in range(board.cores))
    return (
        COMMON
        + f"""cpu={CPU}
gpu={gpu}
nodes="$gpu/min_freq $gpu/max_freq {emc["override"]} {emc["rate"]}"
for core in {cpus}; do
  nodes="$nodes $cpu/$core/cpufreq/scaling_min_freq $cpu/$core/cpufreq/scaling_max_freq"
done
case $1 in
  --show)
    echo "SOC family:{board.soc}  Machine:{board.model}"
    get $cpu/online; echo "Online CPUs: $got"
    for core in {cpus}; do
      get $cpu/$core/cpufreq/scaling_min_freq; low=$got
      get $cpu/$core/cpufreq/scaling_max_freq; high=$got
      get $cpu/$core/cpufreq/scaling_cur_freq; at=$got
      rates="MinFreq=$low MaxFreq=$high CurrentFreq=$at"
      echo "$core: Online=1 Governor=schedutil $rates IdleStates: C1=1 c7=1"
    done
    get $gpu/min_freq; low=$got; get $gpu/max_freq; high=$got; get $gpu/cur_freq
    echo "GPU MinFreq=$low MaxFreq=$high CurrentFreq=$got"
    get {emc["min"]}; low=$got; get {emc["max"]}; high=$got; get {emc["rate"]}; at=$got
    get {emc["override"]}
    echo "EMC MinFreq=$low MaxFreq=$high CurrentFreq=$at FreqOverride=$got"
    ;;
  --store)
    note "jetson_clocks --store"
    : >"$2" || exit 1
    for node in $nodes; do get "$node"; printf '/%s:%s\\n' "$node" "$got" >>"$2"; done
    ;;
  --restore)
    [ -r "$2" ] || {{ echo "Error: $2 file does not exist!" >&2; exit 1; }}
    note "jetson_clocks --restore"
    while IFS=: read -r node value; do put "${{node#/}}" "$value"; done <"$2"
    ;;
  '')
    note "jetson_clocks"
    for core in {cpus}; do
      get $cpu/$core/cpufreq/scaling_max_freq
      put $cpu/$core/cpufreq/scaling_min_freq "$got"
      put $cpu/$core/cpufreq/scaling_cur_freq "$got"
    done
    get $gpu/max_freq; put $gpu/min_freq "$got"; put $gpu/cur_freq "$got"
    get {EMC_CAP}; put {emc["rate"]} "$got"; put {emc["override"]} 1
    ;;
  *) echo "Unknown option $1" >&2; exit 1;;
esac
"""
    )
