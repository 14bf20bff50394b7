"""Two builds of script/package, for the tests of this folder.

CONFAB_PROGRAM names a program to package, and CONFAB_PRODUCTS the folder that it was linked in;
otherwise script/package builds one. CONFAB_PACKAGES names a folder that keeps both builds for the
next run.
"""

import atexit
import functools
import os
import pathlib
import re
import shutil
import tempfile

from container import run

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="confab-packages-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
KEPT = pathlib.Path(os.environ.get("CONFAB_PACKAGES", FOLDER))


def documented(start):
    """The first command of docs/operating/debian.md that starts with this text."""
    lines = (ROOT / "docs/operating/debian.md").read_text().splitlines()
    return next(line for line in lines if line.startswith(start))


def documented_blocks(language):
    """The blocks of the page in this language."""
    page = (ROOT / "docs/operating/debian.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", page, re.S)


@functools.cache
def results():
    """An older and a newer package."""
    if os.geteuid() != 0:
        raise AssertionError("the tests of packages need root, because they boot containers")
    return Build(1), Build(2)


class Build:
    """The results of one run of script/package."""

    def __init__(self, number):
        self.folder = KEPT / str(number)
        if not self.folder.exists():
            environment = {**os.environ}
            environment.pop("CONFAB_BINARY", None)
            if program := os.environ.get("CONFAB_PROGRAM"):
                environment["CONFAB_BINARY"] = program
            run(ROOT / "script/package", "--build", number, env=environment, timeout=1800)
            KEPT.mkdir(exist_ok=True)
            shutil.move(ROOT / "build/package", self.folder)
        self.package = self.one("*.deb")
        self.tarball = self.one("*.tar.gz")
        self.components = self.one("*.spdx.json")
        self.symbols = self.one("*.debug")

    def one(self, pattern):
        found = list(self.folder.glob(pattern))
        if len(found) != 1:
            raise AssertionError(f"{pattern}: {found}")
        return found[0]

    def unpacked(self):
        """The tarball's folder."""
        target = FOLDER / f"{self.folder.name}-unpacked"
        if not target.exists():
            target.mkdir()
            run("tar", "-xzf", self.tarball, "-C", target)
        return next(target.iterdir())
