"""The search for a student: networks a second, the whole space's memory, and a proof of the best.

    python benchmarks/search.py [--rounds 5] [--counted 12] [--thinned 20000] [--json FILE]

Promises: 100,000 networks or more weighed a second on one core, in every family; MACs and
parameters equal to fvcore's; and the networks found are those that a plain loop over every network
of a space finds, for several budgets. Exit code 1 if one is broken. The baseline, timed in the same
run, builds networks of the same space and has fvcore count them; one thread, CPU seconds.

The loop walks a space thinned out to --thinned networks or fewer: every so many of the choices on
each axis, the first and the last among them. Memory is the growth of the process while the whole
wideresnet space is weighed, before torch is loaded.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import sys
import warnings
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from time import process_time
from typing import Any

from edgestill.models.budget import Budget
from edgestill.models.cost import Cost
from edgestill.models.families import FAMILIES, Spec
from edgestill.models.search import search
from edgestill.models.space import Choice

PROMISED_PER_S = 100_000
END: dict[str, Any] = {"num_classes": 10, "image_size": 32}
BUDGET = Budget(macs=15_000_000, params=100_000)
TOP = 10


def main() -> int:
    """Weigh, count, walk, print and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--counted", type=int, default=12, help="networks that fvcore counts")
    parser.add_argument("--thinned", type=int, default=20_000, help="networks of the plain loop")
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()

    grown_mib = memory_grown_mib()
    results = {}
    print(
        f"{'family':<12}{'networks':>10}{'whole s':>9}{'networks/s':>12}{'fvcore/s':>10}"
        f"{'ratio':>9}{'equal':>7}{'looped':>8}{'loop s':>8}{'budgets':>9}{'same':>6}"
    )
    for family in FAMILIES:
        found = results[family] = {
            **against_fvcore(family, wanted.rounds, wanted.counted),
            **against_a_loop(family, wanted.thinned),
        }
        print(
            f"{family:<12}{found['networks']:>10,}{found['whole_s']:>9.2f}"
            f"{found['per_s']:>12,.0f}{found['fvcore_per_s']:>10.1f}{found['ratio']:>9,.0f}"
            f"{found['equal']:>4}/{found['counted']}{found['looped']:>8,}{found['loop_s']:>8.2f}"
            f"{found['budgets']:>9}{found['same']:>6}"
        )
    print(f"peak memory grew by {grown_mib:.1f} MiB over the whole wideresnet space")
    kept = all(
        found["per_s"] >= PROMISED_PER_S
        and found["equal"] == found["counted"]
        and found["same"] == found["budgets"]
        for found in results.values()
    )
    if wanted.json:
        from surroundings import environment

        told = {"families": results, "memory_grown_mib": grown_mib, "kept": kept}
        text = json.dumps({**told, "environment": environment()}, indent=2)
        wanted.json.write_text(text + "\n")
    return 0 if kept else 1


def memory_grown_mib() -> float:
    """Growth of the highest resident memory; what a first, small search loads is not in it."""
    kind = FAMILIES["wideresnet"]
    small = next(kind.space(**END).chunks(100))
    kind.priced(small.shape)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    search("wideresnet", BUDGET, **END)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib) / 1024


def against_fvcore(family: str, rounds: int, counted: int) -> dict[str, Any]:
    """Searches of the whole space, and networks of it built and counted, in turn."""
    space = FAMILIES[family].space(**END)
    chance = random.Random(0)
    whole_s, each_s, equal = [], [], 0
    count(space.spec(0))  # loads torch and fvcore
    for turn in range(rounds):
        began = process_time()
        search(family, BUDGET, **END)
        whole_s.append(process_time() - began)
        for _ in range(counted // rounds + (turn < counted % rounds)):
            spec = space.spec(chance.randrange(len(space)))
            began = process_time()
            macs_and_params = count(spec)
            each_s.append(process_time() - began)
            own = spec.cost()
            equal += macs_and_params == (own.macs, own.params)
    per_s, fvcore_per_s = len(space) / statistics.median(whole_s), 1 / statistics.median(each_s)
    return {
        "networks": len(space),
        "whole_s": statistics.median(whole_s),
        "whole_samples_s": whole_s,
        "per_s": per_s,
        "fvcore_per_s": fvcore_per_s,
        "ratio": per_s / fvcore_per_s,
        "counted": counted,
        "equal": equal,
    }


def count(spec: Spec) -> tuple[int, int]:
    """MACs and parameters of the network as it runs, as fvcore counts them."""
    import torch

    from edgestill.models.branches import merge_branches
    from edgestill.models.student import build

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fvcore.nn import FlopCountAnalysis, parameter_count

        torch.set_num_threads(1)
        network = merge_branches(build(spec, seed=0)).eval()
        images = torch.zeros(1, spec.in_channels, spec.image_size, spec.image_size)
        counted = FlopCountAnalysis(network, (images,))
        counted.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        return int(counted.total()), int(parameter_count(network)[""])


def against_a_loop(family: str, most: int) -> dict[str, Any]:
    """Whether the search finds what a loop over all networks of a smaller space finds."""
    kind = thinned(FAMILIES[family], most)
    FAMILIES[kind.family] = kind
    try:
        began = process_time()
        costs = [(spec, spec.cost()) for spec in kind.space(**END)]
        loop_s = process_time() - began
        budgets = budgets_of([cost for _, cost in costs])
        same = sum(found_by_search(kind, each) == found_by_loop(costs, each) for each in budgets)
    finally:
        del FAMILIES[kind.family]
    return {"looped": len(costs), "loop_s": loop_s, "budgets": len(budgets), "same": same}


def found_by_search(kind: type[Spec], budget: Budget) -> tuple[list[Spec], int]:
    """The largest that fit, and how many fit."""
    found = search(kind.family, budget, **END, top=TOP)
    return [each.spec for each in found.best], found.fitting


def found_by_loop(costs: list[tuple[Spec, Cost]], budget: Budget) -> tuple[list[Spec], int]:
    """The same, by looking at one after the other."""
    fits = [(spec, cost) for spec, cost in costs if budget.fits(cost)]
    most = max((cost.macs for _, cost in fits), default=0)

    def order(each: tuple[Spec, Cost]) -> tuple[int, int, int, int]:
        spec, cost = each
        even = spec.unevenness(spec) if 20 * cost.macs > 19 * most else 10**6
        return even, -cost.macs, -cost.params, cost.peak_activation_bytes or 0

    fits.sort(key=order)
    return [spec for spec, _ in fits[:TOP]], len(fits)


def budgets_of(costs: list[Cost]) -> list[Budget]:
    """Narrow, middling and wide limits, on each quantity alone and on all at once."""
    figures = {
        "macs": sorted(cost.macs for cost in costs),
        "params": sorted(cost.params for cost in costs),
        "bytes": sorted(cost.bytes_int8 for cost in costs),
        "peak_activation_bytes": sorted(cost.peak_activation_bytes or 0 for cost in costs),
    }
    shares = {share: int(share * (len(costs) - 1)) for share in (0.01, 0.3, 0.9)}
    alone = [
        Budget(**{name: values[place]})
        for (name, values), place in product(figures.items(), shares.values())
    ]
    together = [
        Budget(**{name: values[place] for name, values in figures.items()})
        for place in (shares[0.3], shares[0.9])
    ]
    return [*alone, *together]


def thinned(kind: type[Spec], most: int) -> type[Spec]:
    """A family of the same networks, but fewer: the longest axis halved until there are `most`."""
    axes = dict(kind.axes())
    while _product(axes) > most:
        longest = max(axes, key=lambda name: len(axes[name]))
        axes[longest] = [*axes[longest][:-1:2], axes[longest][-1]]
    members = {"family": f"{kind.family}, thinned", "axes": classmethod(lambda cls: axes)}
    return type(kind.__name__, (kind,), members)


def _product(axes: dict[str, Sequence[Choice]]) -> int:
    networks = 1
    for choices in axes.values():
        networks *= len(choices)
    return networks


if __name__ == "__main__":
    sys.exit(main())
