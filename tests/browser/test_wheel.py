"""What the page needs is installed with the package."""

from __future__ import annotations

import subprocess
import sys
import zipfile

from tests.helpers import ROOT


def test_the_wheel_has_the_page_s_files(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]

    subprocess.run(command, check=True, timeout=120)

    (wheel,) = tmp_path.glob("*.whl")
    there = {
        path.relative_to(ROOT).as_posix() for path in (ROOT / "vpsorg_async" / "sandbox" / "_ui" / "static").iterdir()
    }
    assert len(there) == 3
    assert there <= set(zipfile.ZipFile(wheel).namelist())
