"""Make docs/terminal.svg, the picture of a terminal: `python docs/make_terminal.py`.

The script serves a sandbox with 20 servers, runs examples/rolling_reboot.py on it, and draws what the example prints.
The sandbox drops the response to every fourth reboot that it executes, and one server does not come back.
"""

from __future__ import annotations

import html
import os
import subprocess
import sys

from pathlib import Path

from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox.faults import Fault


DOCS = Path(__file__).resolve().parent
PICTURE = DOCS / "terminal.svg"
COMMAND = "examples/rolling_reboot.py"
TITLE = "20 reboots: every fourth response is lost, and one server stays stopped"
SERVERS, SPEED = 20, 60.0

COLUMNS = 96
"""The characters of a line; a terminal continues a longer one on the next line."""

LINE, CHARACTER, MARGIN, BAR = 19, 8.0, 18, 34
"""Pixels: a line's height, a character's width, the margin, the height of the title bar."""

STYLE = """
text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre; }
.paper { fill: #ffffff; stroke: #c9ced6; } .bar { fill: #eef0f3; }
.ink { fill: #1f2328; } .dim { fill: #59636e; } .good { fill: #116329; } .bad { fill: #b3261e; }
@media (prefers-color-scheme: dark) {
  .paper { fill: #0d1117; stroke: #3d444d; } .bar { fill: #1c222b; }
  .ink { fill: #e6edf3; } .dim { fill: #9aa4af; } .good { fill: #56d364; } .bad { fill: #ff7b72; }
}
"""


def run() -> list[str]:
    """Run the example on a served sandbox, and return the lines that it prints."""
    sandbox = Sandbox(servers=SERVERS)
    stays_down = sandbox.servers[SERVERS // 2]["id"]
    sandbox.faults.add(
        Fault.drop(after_commit=True, path="/reboot/$", every=4),
        Fault.end_in("stopped", path="/reboot/$", server_id=stays_down),
    )
    with sandbox.serve(speed=SPEED) as base_url:
        done = subprocess.run(  # noqa: S603 - this repository's own example
            [sys.executable, COMMAND],
            cwd=DOCS.parent,
            env={**os.environ, "VPS_API_URL": base_url, "VPS_API_TOKEN": "vps_sandbox"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    if done.stderr or len(sandbox.faults.log) != SERVERS // 4 + 1:
        raise RuntimeError(done.stderr or "not every fault was applied")
    return done.stdout.splitlines()


def drawn(lines: list[str]) -> str:
    """Return the picture of a terminal in which COMMAND has printed *lines*. It has colors for light and dark mode."""
    rows = [
        (_class(line), line[begin : begin + COLUMNS])
        for line in [f"$ python {COMMAND}", *lines]
        for begin in range(0, len(line), COLUMNS)
    ]
    width, height = round(COLUMNS * CHARACTER + 2 * MARGIN), BAR + LINE * len(rows) + 2 * MARGIN - 8
    texts = [
        f'<text class="{name}" x="{MARGIN}" y="{BAR + MARGIN + 8 + LINE * row}" xml:space="preserve">'
        f"{html.escape(text)}</text>"
        for row, (name, text) in enumerate(rows)
    ]
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
            f"<title>{TITLE}</title>",
            f"<style>{STYLE}</style>",
            f'<rect class="paper" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>',
            f'<path class="bar" d="M1 {BAR}V8.5a7.5 7.5 0 0 1 7.5-7.5H{width - 8.5}a7.5 7.5 0 0 1 7.5 7.5V{BAR}z"/>',
            f'<text class="dim" x="{MARGIN}" y="22">{TITLE}</text>',
            *texts,
            "</svg>\n",
        ]
    )


def _class(line: str) -> str:
    """Return the name of the color of a line."""
    if line.startswith("$"):
        return "dim"
    if line.lstrip().startswith("server "):
        return "good" if line.endswith(": succeeded") else "bad"
    return "ink"


if __name__ == "__main__":
    PICTURE.write_text(drawn(run()), encoding="utf-8")
