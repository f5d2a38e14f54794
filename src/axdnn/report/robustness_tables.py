"""The tables of a `RobustnessReport`, as `axdnn attack` prints them."""

from __future__ import annotations

from axdnn.records import Law, RobustnessReport, WorstCase
from axdnn.report.tables import Cell, Column, Table

NAMES = {"exact": "exact int8", "approximate": "approximate", "float": "float"}
WORST = "worst case of all"


def robustness_table(report: RobustnessReport) -> Table:
    """Return robust accuracy by epsilon and attack, the networks side by side, the worst case after each epsilon."""
    labels = report.networks
    columns = [Column("eps", "eps", "number", digits=4), Column("attack", "attack")]
    columns += [Column(f"{label}_accuracy", NAMES.get(label, label), "percent", digits=1) for label in labels]
    if len(labels) == 2:
        columns.append(
            Column("ratio", f"{NAMES.get(labels[1], labels[1])} / {NAMES.get(labels[0], labels[0])}", "ratio")
        )
    columns += [
        Column("forward_images", "forward passes", "count"),
        Column("backward_images", "backward passes", "count"),
    ]
    rows: list[tuple[Cell, ...]] = [
        _row(report, 0.0, "none", [w.clean_accuracy for w in _at(report, report.epsilons[0])])
    ]
    for eps in report.epsilons:
        for attack in report.attacks:
            found = {o.network: o for o in report.outcomes if o.eps == eps and o.attack == attack}
            shares = [found[label].robust_accuracy if label in found else None for label in labels]
            passes = (sum(o.forward_images for o in found.values()), sum(o.backward_images for o in found.values()))
            rows.append(_row(report, eps, attack, shares, passes))
        rows.append(_row(report, eps, WORST, [w.robust_accuracy for w in _at(report, eps)]))
    place = f"{report.images} images of {report.data}, {report.split}"
    title = f"{report.model} on {place}: accuracy under {report.norm} attacks"
    return Table(title, tuple(columns), tuple(rows), (*_intervals(report), *_notes(report)))


def laws_table(report: RobustnessReport) -> Table:
    """Return what was checked, broken laws first."""
    order = {False: 0, None: 1, True: 2}
    laws = sorted(report.laws, key=lambda law: order[law.holds])
    rows = tuple(
        (NAMES.get(law.network, law.network), law.eps or None, law.name, _verdict(law), law.text) for law in laws
    )
    columns = (
        Column("network", "network"), Column("eps", "eps", "number", digits=4), Column("law", "law"),
        Column("holds", "holds"), Column("text", "numbers"),
    )  # fmt: skip
    return Table("laws of a sound measurement", columns, rows)


def _verdict(law: Law) -> str:
    return "not checked" if law.holds is None else "yes" if law.holds else "NO"


def _at(report: RobustnessReport, eps: float) -> list[WorstCase]:
    return [report.at(label, eps) for label in report.networks]


def _row(
    report: RobustnessReport, eps: float, attack: str, shares: list[float | None] | list[float],
    passes: tuple[int, int] | None = None,
) -> tuple[Cell, ...]:  # fmt: skip
    ratio: tuple[Cell, ...] = ()
    if len(report.networks) == 2:
        first, second = shares
        ratio = (second / first if first and second is not None else None,)
    return (eps or None, attack, *shares, *ratio, *(passes or (None, None)))


def _intervals(report: RobustnessReport) -> list[str]:
    return [
        f"{NAMES.get(w.network, w.network)} at eps {w.eps:.4g}: {100 * w.robust_accuracy:.1f} % robust, 95 % interval "
        f"{100 * w.low:.1f} to {100 * w.high:.1f} %, of {100 * w.clean_accuracy:.1f} % clean; {w.strongest} breaks "
        "most."
        for w in report.worst
    ]


def _notes(report: RobustnessReport) -> list[str]:
    broken = [law for law in report.laws if law.holds is False]
    checked = sum(law.holds is not None for law in report.laws)
    laws = f"{checked} laws checked, all hold." if not broken else f"{len(broken)} OF {checked} LAWS BROKEN: see below."
    return [
        "An image is robust if every attack at this or a smaller epsilon fails; the exact integers decide. Gradients: "
        f"{report.gradient}.",
        f"{report.forward_images:,} forward and {report.backward_images:,} backward passes of one image, "
        f"{report.wall_s:.0f} s. {laws}",
    ]
