"""Pages in a real browser: no sideways scrolling, no text that overlaps or is cut in a figure."""

from __future__ import annotations

import json
import shutil
import subprocess
from html import escape, unescape
from pathlib import Path

import msgspec
import pytest
from searched_results import layered, synthetic

from axdnn import report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
)  # fmt: skip
WIDTHS = (1280, 420)

# Frames, because a headless window cannot be narrower than 500 pixels.
SCRIPT = """
<script>
function look(frame) {
  const doc = frame.contentDocument, found = {scroll: doc.documentElement.scrollWidth, texts: 0, bad: []};
  for (const svg of doc.querySelectorAll("svg")) {
    const room = svg.getBoundingClientRect(), boxes = [];
    if (!room.width) continue;
    for (const text of svg.querySelectorAll("text")) {
      const box = text.getBoundingClientRect();
      if (!box.width || !text.textContent.trim()) continue;
      found.texts++;
      const out = Math.max(room.left - box.left, box.right - room.right, room.top - box.top, box.bottom - room.bottom);
      if (out > 2)
        found.bad.push("cut: " + text.textContent);
      for (const [other, name] of boxes) {
        const w = Math.min(box.right, other.right) - Math.max(box.left, other.left);
        const h = Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top);
        if (w > 1 && h > 0.35 * Math.min(box.height, other.height))
          found.bad.push("overlap: " + text.textContent + " | " + name);
      }
      boxes.push([box, text.textContent]);
    }
  }
  for (const item of doc.querySelectorAll(".fact dd, .verdict p, h1, h2, p, li, figcaption"))
    if (item.scrollWidth > item.clientWidth + 1) found.bad.push("too wide: " + item.textContent.slice(0, 60));
  return found;
}
addEventListener("load", () => {
  const found = [...document.querySelectorAll("iframe")].map(look);
  document.body.innerHTML = "";
  const out = document.createElement("pre");
  out.id = "found";
  out.textContent = JSON.stringify(found);
  document.body.append(out);
});
</script>
"""


def look(pages: dict[str, str], folder: Path) -> dict[tuple[str, int], dict]:
    """Load every page at every width and return what the script saw."""
    assert CHROMIUM is not None
    keys = [(name, width) for name in pages for width in WIDTHS]
    frames = "".join(
        f'<iframe width="{width}" height="900" style="border:0" srcdoc="{escape(pages[name])}"></iframe>'
        for name, width in keys
    )
    file = folder / "frames.html"
    file.write_text(f"<!DOCTYPE html><html><head><meta charset=utf-8>{SCRIPT}</head><body>{frames}</body></html>")
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", "--dump-dom", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    text = done.stdout.split('<pre id="found">')[1].split("</pre>")[0]
    return dict(zip(keys, json.loads(unescape(text)), strict=True))


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="needs headless Chromium")
def test_pages_read_well(large, pages, tmp_path, build):
    network = build.deep_network(60)
    long = {name: f"{used}_{'very_long_' * 12}" for name, used in build.assign(network).items()}
    pages = {
        **pages,
        "large": report.render_report(large),
        "deep": report.render_report(build.make_result(network, long, count=5, scores=("conductance",))),
    }
    seen = look(pages, tmp_path)
    for (name, width), found in seen.items():
        assert found["scroll"] <= width, f"{name} scrolls sideways at {width} px"
        assert found["texts"] > 15, f"{name} shows no figure at {width} px"
        assert not found["bad"], f"{name} at {width} px: {found['bad'][:8]}"


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="needs headless Chromium")
def test_pages_of_searches_read_well(tmp_path, build):
    three = layered(build.lenet_network(), 3)
    pages = {
        "resnet": layered(build.resnet_network(), trials=40),
        "three": three,
        "spheres": synthetic(),
        "named": long_names(three),
    }
    seen = look({name: report.render_search_result(result) for name, result in pages.items()}, tmp_path)
    for (name, width), found in seen.items():
        assert found["scroll"] <= width, f"{name} scrolls sideways at {width} px"
        assert found["texts"] > 15, f"{name} shows no figure at {width} px"
        assert not found["bad"], f"{name} at {width} px: {found['bad'][:8]}"


def long_names(result):
    """The same with names that no label has room for."""
    replace = msgspec.structs.replace
    front = tuple(
        replace(
            member, file="front/" + 8 * "a_very_long_name_" + ".json", figures=member.figures | {9 * "figure_": i},
            layers=tuple(replace(x, name=5 * "stage." + x.name, multiplier=5 * "circuit_" + x.multiplier)
                         for x in member.layers),
        )
        for i, member in enumerate(result.front)
    )  # fmt: skip
    rivals = tuple(replace(rival, name=8 * "baseline " + rival.name) for rival in result.rivals)
    return replace(result, model=6 * "network_", accelerator=9 * "accelerator", front=front, rivals=rivals)
