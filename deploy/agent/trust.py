"""What a reader must know before believing the figures: flags, a sentence each with its numbers.

A flag is {"kind", "text", "remedy", "grave"}. A grave one says that the figures are not those of
the setting they stand under: the board moved, throttled, or gave no steady time, or another part
of it did the work; `strict` refuses them. The others say what may be done better. What the board
does not tell is flagged by nothing: that a counter cannot be read is no sign that it stood still,
and is told where the board is.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Sequence

from .stats import UNSTABLE_SPREAD

Flag = Dict[str, Any]
Facts = Dict[str, Any]

GRAVE_SPREAD = 0.10
"""A third of the runs is then further than this from the mean: more than lies between the power
modes, precisions or models that are compared."""
NOTABLE_DRIFT = 0.05
HOT_CELSIUS = 90.0  # sustained, a Jetson is near its throttling
THROTTLE_CELSIUS = 99.0  # Orin's software throttles here
SLOWED = 0.99
"""Of a locked clock: a steady one reads a few permille low, a throttled Orin 1.5 %."""
BUSY = 0.5  # of the cores, at the start
# Reasons by which a GPU's clock is as low as it was asked to be, or has nothing to do.
HARMLESS = ("idle", "clocks_setting")
# PMIC and board sensors have limits of their own, and some read 100 always.
DIE = re.compile(r"^tj|^(m|b)?cpu|gpu|^soc|^cv\d|^aux|x86_pkg|coretemp|k10temp", re.IGNORECASE)


def flags(
    before: Facts,
    after: Facts,
    *,
    board: Facts,
    cases: Sequence[Facts],
    seconds: float = 0.0,
) -> list[Flag]:
    """All that is doubtful, the grave first.

    `before` and `after` are conditions, `board` the board's facts (board.py), `cases` those of the
    result (bench.py); `seconds`: the shortest time that was to be timed of each.
    """
    found = [
        _mode_moved(before, after),
        _clocks_moved(before, after),
        _slowed(before, after),
        *_throttled(before, after),
        _hot(before, after),
        *[each for case in cases for each in _case(case, seconds)],
        _not_locked(before, board),
        _busy(before, board),
    ]
    return sorted([each for each in found if each is not None], key=lambda each: not each["grave"])


def flag(kind: str, text: str, remedy: str | None = None, grave: bool = False) -> Flag:
    """One flag."""
    return {"kind": kind, "text": text, "remedy": remedy, "grave": grave}


def _mode_moved(before: Facts, after: Facts) -> Flag | None:
    was, now = before["power_mode"], after["power_mode"]
    if was is None or now is None or was == now:
        return None
    return flag(
        "power-mode-moved",
        f"the power mode moved from {was['name']} ({was['id']}) to {now['name']} ({now['id']})",
        f"sudo nvpmodel -m {was['id']}",
        grave=True,
    )


def _clocks_moved(before: Facts, after: Facts) -> Flag | None:
    """Limits that changed, and cores that went."""
    now = {clock["name"]: clock for clock in after["clocks"]}
    moves: dict[str, list[str]] = {}  # many cores make the same move
    for clock in before["clocks"]:
        name = clock["name"]
        if name not in now:
            moves.setdefault("went offline", []).append(name)
            continue
        for limit in ("min_mhz", "max_mhz"):
            was, became = clock[limit], now[name][limit]
            if was is not None and became is not None and was != became:
                move = f"{limit[:3]} {was:.6g} -> {became:.6g} MHz"
                moves.setdefault(move, []).append(name)
    if not moves:
        return None
    told = "; ".join(f"{', '.join(names)}: {move}" for move, names in moves.items())
    return flag(
        "clocks-moved",
        f"clock limits moved while it was measured: {told}",
        "see that nothing else sets clocks: jetson_clocks, nvpmodel, a cpufreq daemon",
        grave=True,
    )


def _slowed(before: Facts, after: Facts) -> Flag | None:
    """Locked clocks that run slower than they are locked to.

    Not those of CPU cores: an idle core's is an estimate. A clock of 0 is switched off.
    """
    slow = []
    for when, conditions in (("before", before), ("after", after)):
        for clock in conditions["clocks"]:
            now, locked_to = clock["current_mhz"], clock["max_mhz"]
            locked = clock["name"] in ("gpu", "emc") and clock["locked"]
            if locked and now and locked_to and now < SLOWED * locked_to:
                slow.append(f"{clock['name']} at {now:.6g} of {locked_to:.6g} MHz {when} it")
    if not slow:
        return None
    return flag(
        "clocks-moved",
        f"locked clocks ran slower than they were locked to: {', '.join(slow)}",
        "let the board cool, or take a lower power mode",
        grave=True,
    )


def _throttled(before: Facts, after: Facts) -> list[Flag | None]:
    return [_over_current(before, after), _cooled(before, after), _gpu_held_back(before, after)]


def _over_current(before: Facts, after: Facts) -> Flag | None:
    rises = [
        f"{name} by {after['throttle'][name] - count}"
        for name, count in sorted(before["throttle"].items())
        if after["throttle"].get(name, count) > count
    ]
    if not rises:
        return None
    return flag(
        "throttled",
        f"over-current slowed the board: its event counters rose, {', '.join(rises)}",
        "take a lower power mode: sudo nvpmodel -m ID (nvpmodel -p --verbose lists them)",
        grave=True,
    )


def _cooled(before: Facts, after: Facts) -> Flag | None:
    """Cooling devices that hold the clocks back; a fan that turns faster costs no time."""
    # Several may have one name, and their order is that of their numbers.
    risen = [
        f"{now['name']} from {was['state']} to {now['state']}"
        for was, now in zip(before["cooling"], after["cooling"])
        if was["name"] == now["name"]
        and now["state"] > was["state"]
        and "fan" not in now["name"].lower()
    ]
    if not risen:
        return None
    return flag(
        "throttled",
        f"the kernel held clocks back against heat: {', '.join(risen)}",
        "let the board cool, or cool it better",
        grave=True,
    )


def _gpu_held_back(before: Facts, after: Facts) -> Flag | None:
    reasons = sorted(
        {
            reason
            for conditions in (before, after)
            for reason in (conditions["gpu"] or {}).get("throttle_reasons", [])
            if reason not in HARMLESS
        }
    )
    if not reasons:
        return None
    return flag("throttled", f"the GPU's clock was held back: {', '.join(reasons)}", grave=True)


def _hot(before: Facts, after: Facts) -> Flag | None:
    celsius, name, when = max(_hottest(before, "before"), _hottest(after, "after"))
    if celsius <= HOT_CELSIUS:
        return None
    return flag(
        "hot",
        f"{name} had {celsius:.1f} degC {when} it was measured: above {HOT_CELSIUS:.0f} a board is"
        f" near throttling, which begins at {THROTTLE_CELSIUS:.0f} on Orin",
        "let the board cool, or cool it better",
        grave=celsius >= THROTTLE_CELSIUS,
    )


def _hottest(conditions: Facts, when: str) -> tuple[float, str, str]:
    """Of the dies: the junction temperature where a zone has it."""
    zones = [(zone["celsius"], zone["name"]) for zone in conditions["thermal"]]
    zones = [zone for zone in zones if DIE.search(zone[1])]
    junction = [zone for zone in zones if zone[1].lower().startswith("tj")]
    found = junction or zones
    gpu = conditions["gpu"]
    if gpu is not None and gpu["celsius"] is not None:
        found.append((gpu["celsius"], gpu["name"]))
    celsius, name = max(found, default=(0.0, ""))
    return celsius, name, when


def _case(case: Facts, seconds: float) -> list[Flag]:
    """What is doubtful about one case."""
    name = f"{case['label']}: " if case["label"] else ""
    steadier = "lock the clocks, end other programs, or measure for longer"
    warm, spread, drift, found = case["warmup"], case["spread"], case["drift"], []
    fallback = case.get("engine", {}).get("facts", {}).get("fallback")
    if fallback:
        remedy = "change the model so that its provider runs all of it, or choose another provider"
        found.append(flag("fallback", name + fallback, remedy, grave=True))
    if not warm["settled"]:
        text = f"the time per run had not settled after {warm['seconds']:.1f} s of warm-up"
        found.append(flag("unsettled", name + text, "give it a longer warm-up"))
    if spread > UNSTABLE_SPREAD:
        text = f"unstable: the spread is {spread:.1%} (above {UNSTABLE_SPREAD:.1%})"
        found.append(flag("unstable", name + text, steadier, grave=spread > GRAVE_SPREAD))
    if abs(drift) > NOTABLE_DRIFT:
        change = "slower" if drift > 0 else "faster"
        text = f"the second half of its runs was {abs(drift):.0%} {change} than the first"
        found.append(flag("drift", name + text, steadier))
    if case["window_s"] < 0.999 * seconds:  # sums of windows are a rounding off
        text = f"it stopped after {case['runs']} runs and {case['window_s']:.1f} of {seconds:g} s"
        found.append(flag("short", name + text))
    return found


def _not_locked(before: Facts, board: Facts) -> Flag | None:
    """A Jetson's clocks that may move; elsewhere the governor that moves them."""
    if board["jetson"] is None:
        governor = board["cpu"]["governor"]
        if governor in (None, "performance"):
            return None
        text = f"clocks are not pinned: the governor is {governor}"
        return flag("clocks-not-locked", text, "sudo cpupower frequency-set -g performance")
    free = [clock["name"] for clock in before["clocks"] if clock["locked"] is False]
    if not free:
        return None
    text = f"clocks are not locked, and move with the load: {', '.join(free)}"
    return flag("clocks-not-locked", text, "sudo jetson_clocks, or ask for locked clocks")


def _busy(before: Facts, board: Facts) -> Flag | None:
    load, cores = before["load_average"], board["cpu"]["cores_online"]
    if not load or not cores or load[0] <= BUSY * cores:
        return None
    text = f"other work was running: load {load[0]:.1f} on {cores} cores at the start"
    return flag("busy", text, "end other programs")
