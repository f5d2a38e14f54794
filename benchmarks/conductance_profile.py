"""Draw importance by unit beside the paper's readings, from the committed results of `baselines.py`.

python benchmarks/conductance_profile.py  # writes docs/figures/profile.png
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from axdnn.records import LayerScores, write_atomic
from axdnn.report import draw_profile, profile_data, to_png

ROOT = Path(__file__).resolve().parents[1]
LABELS = {
    "lenet5": "LeNet-5",
    "resnet18": "ResNet-18",
    "resnet8": "ResNet-8",
    "resnet14": "ResNet-14",
    "resnet20": "ResNet-20",
}


def scores_of(case: str) -> LayerScores | None:
    """Return the conductance that guided the first run of a case, or None if none is committed."""
    file = ROOT / "benchmarks" / "results" / f"baselines-{case}.json"
    runs = json.loads(file.read_text())["runs"] if file.exists() else []
    found = [s for run in runs for s in run["scores"] if s["score"] == "conductance"]
    return msgspec.convert({k: v for k, v in found[0].items() if not k.startswith("_")}, LayerScores) if found else None


def main() -> None:
    scores = {label: found for case, label in LABELS.items() if (found := scores_of(case)) is not None}
    target = ROOT / "docs" / "figures" / "profile.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(target, to_png(draw_profile(profile_data(scores)), dpi=110))
    print(f"wrote {target.relative_to(ROOT)}: {', '.join(scores)}")


if __name__ == "__main__":
    main()
