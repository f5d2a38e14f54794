"""Rewrite the computed parts of the documents: tables and counts between `<!-- begin:NAME -->` and `<!-- end:NAME -->`.

python tools/make_docs.py            # rewrites
python tools/make_docs.py --check    # fails if anything is not current (a test runs this)
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from pathlib import Path

import baseline_tables
import hardware_tables
import option_tables
import recovery_tables
import results_figures
import results_tables
import score_tables
import search_tables
import simulation_tables
import xai_gen_tables

from axdnn.hardware import list_accelerators, load_accelerator
from axdnn.multipliers import describe_multiplier, list_families, list_multipliers

ROOT = Path(__file__).resolve().parents[1]
STRATEGIES = ROOT / "benchmarks" / "results" / "strategies.json"
MEMBERS = (
    "truncated:columns=4", "truncated:columns=6", "truncated:columns=8", "operands:a_bits=7,b_bits=7", "operands:a_bits=5,b_bits=5",
    "operands:a_bits=5,b_bits=5,coding=signed", "bam:h=1,v=4", "bam:h=2,v=6", "bam:h=3,v=8", "drum:k=3", "drum:k=4", "drum:k=5", "drum:k=6",
    "drum:k=4,coding=signed", "mitchell", "roba", "roba:coding=signed", "compressor:columns=5", "compressor:columns=7",
    "compressor:columns=13", "recursive2x2:blocks=3", "recursive2x2:blocks=5", "recursive2x2:blocks=7",
)  # fmt: skip
PAGES = (
    "README.md",
    "docs/multipliers.md",
    "docs/accelerators.md",
    "docs/hardware.md",
    "docs/xai_gen.md",
    "docs/scores.md",
    "docs/simulation.md",
    "docs/recovery.md",
    "docs/baselines.md",
    "docs/results.md",
    "docs/xai_nas.md",
    "docs/robust_xai_nas.md",
)


def strategies() -> str:
    """Return the comparison of strategies from the committed benchmark result."""
    report = json.loads(STRATEGIES.read_text())
    runs = report["runs"]
    lines = [
        "| strategy | energy / exact | multiplier energy | test loss, points (mean, worst) | evaluations "
        "| images through the network |",
        "|---|---|---|---|---|---|",
    ]
    for name, mean in report["mean"].items():
        mine = [run for run in runs if run["strategy"] == name]
        lines.append(
            f"| `{name}` | {100 * mean['energy_ratio']:.3f} % | {1 / mean['multiplier_energy_ratio']:.0f} times lower | "
            f"{mean['loss_points']:.2f}, {max(run['loss_points'] for run in mine):.2f} | {mean['evaluations']:.1f} | "
            f"{mean['network_images']:,.0f} |"
        )
    seeds = len({run["seed"] for run in runs})
    exact = runs[0]
    lines.append(
        f"\nMeans of {seeds} seeds (each draws its own calibration images). Exact int8 baseline: "
        f"{100 * exact['baseline_accuracy']:.2f} % on 10,000 test images, "
        f"{exact['baseline_energy_j'] * 1e6:.3g} uJ of which {exact['baseline_multiplier_energy_j'] * 1e9:.3g} nJ in multipliers. Made by `make bench`."
    )
    return "\n".join(lines)


def library() -> str:
    """Return the counts of the multiplier library."""
    rows = list_multipliers("evoapprox8b")
    tables = [row for row in rows if not row.transposed]
    kinds = Counter((row.coding, row.classification.kind) for row in tables)
    reduced = sorted(row.classification.label for row in tables if row.classification.kind == "reduced_precision")
    ranks = sorted(row.rank for row in tables)
    names = len(tables) + sum(len(row.aliases) for row in tables)
    return (
        f"EvoApprox8b: {len(tables)} distinct tables under {names} names, "
        f"{sum(r.coding == 'signed' for r in tables)} signed and {sum(r.coding == 'unsigned' for r in tables)} unsigned; with the operands of asymmetric ones swapped, "
        f"{len(rows)} entries. Of the {kinds['signed', 'approximate'] + kinds['signed', 'reduced_precision']} signed circuits "
        f"that are not exact, {kinds['signed', 'reduced_precision']} are exact products of truncated operands "
        f"({', '.join(reduced)}). "
        f"{sum(r <= 8 for r in ranks)} tables have rank 8 or less, {sum(r <= 32 for r in ranks)} rank 32 or less; "
        f"the highest is {ranks[-1]}."
    )


def catalogue() -> str:
    """Return the whole catalogue as a table."""
    lines = [
        "| name | also called | coding | class | rank | MAE % | WCE % | EP % | MRE % | power / exact | area / exact |"
    ]
    lines.append("|---|---|---|---|---|---|---|---|---|---|---|")
    for row in list_multipliers("evoapprox8b"):
        if row.transposed:
            continue
        m = row.metrics
        lines.append(
            f"| `{row.name}` | {', '.join(row.aliases) or '-'} | {row.coding} | {row.classification.label} | {row.rank} | "
            f"{m.mae_pct:.3g} | {m.wce_pct:.3g} | {m.ep_pct:.4g} | {m.mre_pct:.3g} | {100 * row.power_ratio:.1f} % | "
            f"{100 * row.area_ratio:.1f} % |"
        )
    return "\n".join(lines)


def families() -> str:
    """Return what each family computes, its parameters and source."""
    lines = ["| family | what it computes | parameters | source |", "|---|---|---|---|"]
    for family in list_families():
        ranges = [f"`{p.name}` {p.low}..{p.high}: {p.meaning}" for p in family.parameters]
        ranges += [f"`coding` unsigned or signed ({family.signed})"] if family.signed else []
        lines.append(f"| `{family.name}` | {family.definition} | {'; '.join(ranges) or '-'} | {family.source} |")
    return "\n".join(lines)


def members() -> str:
    """Return the error of some members of each family."""
    lines = [
        "| name | coding | rank | MAE % | WCE % | EP % | MRE % | WCRE % | mean error |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in MEMBERS:
        row = describe_multiplier(name)
        m = row.metrics
        lines.append(
            f"| `{row.name}` | {row.coding} | {row.rank} | {m.mae_pct:.3g} | {m.wce_pct:.3g} | {m.ep_pct:.4g} | "
            f"{m.mre_pct:.3g} | {m.wcre_pct:.4g} | {m.mean_error:.3g} |"
        )
    return "\n".join(lines)


def designs() -> str:
    """Return the shipped accelerators side by side."""
    lines = [
        "| name | pods | rows x columns | clock | peak, T operations/s | exact rows a pod | kinds of multiplier at most | buffers |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for chip in map(load_accelerator, list_accelerators()):
        peak = 2 * chip.pods * chip.rows * chip.columns * chip.clock_hz / 1e12
        kinds = f"{chip.pods // chip.pods_together}"
        kinds += f", {chip.pods_together} pods each" if chip.pods_together > 1 else ""
        buffers = (chip.activation_buffer_bytes + chip.weight_buffer_bytes) / 2**20
        lines.append(
            f"| `{chip.name}` | {chip.pods} | {chip.rows} x {chip.columns} | {chip.clock_hz / 1e6:.4g} MHz | {peak:.3g} | "
            f"{chip.exact_rows} | {kinds} | {buffers:g} MiB |"
        )
    return "\n".join(lines)


def accelerators() -> str:
    """Return every parameter of every accelerator with its source."""
    parts = []
    for name in list_accelerators():
        chip = load_accelerator(name)
        lines = [f"### {name}", "", "| parameter | value | source |", "|---|---|---|"]
        for parameter, text in chip.sources.items():
            value, _, source = text.partition("; ")
            cells = (parameter, value, source) if source else (parameter, "", text)
            lines.append("| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


BLOCKS = {"strategies": strategies, "library": library, "catalogue": catalogue, "families": families,
          "members": members, "accelerators": accelerators, "designs": designs, **hardware_tables.BLOCKS, **score_tables.BLOCKS, **search_tables.BLOCKS, **simulation_tables.BLOCKS, **xai_gen_tables.BLOCKS,
          **baseline_tables.BLOCKS, **results_tables.BLOCKS, **option_tables.BLOCKS, "recovery": recovery_tables.recovery, "compensation": recovery_tables.by_layer}  # fmt: skip


def rewritten(text: str) -> str:
    """Return a page with every block computed anew."""

    def block(match: re.Match[str]) -> str:
        name = match.group(1)
        return f"<!-- begin:{name} -->\n{BLOCKS[name]()}\n<!-- end:{name} -->"

    return re.sub(r"<!-- begin:(\w+) -->.*?<!-- end:\1 -->", block, text, flags=re.DOTALL)


def main() -> int:
    """Rewrite or check the pages; return 1 if a check finds an old one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    old = []
    for page in PAGES:
        path = ROOT / page
        text = path.read_text()
        new = rewritten(text)
        if new != text:
            old.append(page)
            if not check:
                path.write_text(new)
    if not results_figures.current():
        old.append(str(results_figures.FIGURE.relative_to(ROOT)))
        if not check:
            results_figures.FIGURE.write_bytes(results_figures.draw())
    print(f"{'not current' if check else 'rewritten'}: {', '.join(old) or 'nothing'}")
    return 1 if check and old else 0


if __name__ == "__main__":
    sys.exit(main())
