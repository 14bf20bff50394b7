"""script/release: its checks of CHANGELOG.md, and archives that depend only on their files.

`script/test manifests` runs this, without root and without a build.
"""

import contextlib
import importlib.machinery
import importlib.util
import io
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def load(script):
    """A script without the suffix .py as a module."""
    sys.dont_write_bytecode = True
    loader = importlib.machinery.SourceFileLoader("release", str(script))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("release", loader))
    loader.exec_module(module)
    return module


release = load(ROOT / "script/release")


class ChangelogTests(unittest.TestCase):
    def findings(self, text):
        return list(release.changelog_findings(f"# Changes\n\n{text}", "1.2.0"))

    def test_a_dated_section_with_entries_is_accepted(self):
        self.assertEqual(self.findings(
            "## Unreleased\n\n## 1.2.0 - 2026-03-01\n\n### Added\n\n- A.\n\n## 1.1.0\n"), [])
        self.assertEqual(self.findings("## 1.2.0 - 2026-03-01\n\n- A."), [])

    def test_a_missing_section_is_a_finding(self):
        self.assertEqual(self.findings("## Unreleased\n"),
                         ["CHANGELOG.md has no section for 1.2.0"])
        self.assertEqual(self.findings("## 1.2.0-rc.1 - 2026-03-01\n\n- A.\n"),
                         ["CHANGELOG.md has no section for 1.2.0"])

    def test_unreleased_entries_are_a_finding(self):
        self.assertEqual(
            self.findings("## Unreleased\n\n- A.\n- B.\n\n## 1.2.0 - 2026-03-01\n\n- C.\n"),
            ["CHANGELOG.md: ## Unreleased has 2 entries; move them to the section of 1.2.0"])

    def test_a_section_needs_a_valid_date_and_entries(self):
        for title in ("1.2.0", "1.2.0 - soon", "1.2.0 - 2026-13-01", "1.2.0 (2026-03-01)"):
            self.assertEqual(
                self.findings(f"## {title}\n\n- A.\n"),
                [f'CHANGELOG.md: "## {title}" has no date; write "## 1.2.0 - YYYY-MM-DD"'])
        # The entries of the next section do not count.
        self.assertEqual(
            self.findings("## 1.2.0 - 2026-03-01\n\n### Added\n\n## 1.1.0 - 2026-02-01\n\n- A.\n"),
            ['CHANGELOG.md: "## 1.2.0 - 2026-03-01" has no entries'])


class ArchiveTests(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def test_equal_files_give_equal_archives(self):
        files = {"b/x": (b"1", 0o644), "a": (b"2", 0o755)}
        for name, some in (("one", files), ("two", dict(reversed(files.items())))):
            release.write_archive(self.folder / name, some, 1_700_000_000)
        self.assertEqual((self.folder / "one").read_bytes(), (self.folder / "two").read_bytes())
        self.assertEqual(release.read_archive(self.folder / "one"), files)

    def test_the_javascript_kit_has_every_file_that_its_description_names(self):
        release.build_javascript_kit(ROOT, self.folder, 1_700_000_000)
        kit, = self.folder.iterdir()
        self.assertEqual(kit.name, f"confab-js-{release.defined_version()}.tgz")
        self.assertEqual(
            sorted(release.read_archive(kit)),
            [f"package/{name}" for name in
             ("LICENSE", "README.md", "confab.d.ts", "confab.js", "package.json")])

    def test_differences_between_two_builds_are_named(self):
        first, second = self.folder / "1", self.folder / "2"
        for folder in (first, second):
            folder.mkdir()
            (folder / "equal").write_text("equal")
            (folder / "different").write_text(folder.name)
        (second / "more").write_text("")
        self.addCleanup(release.findings.clear)
        self.addCleanup(release.different.clear)
        with contextlib.redirect_stdout(io.StringIO()):
            release.compare(first, second)
        self.assertEqual(release.different, ["different"])
        self.assertEqual(release.findings, ["more exists in only one of two builds"])


class CommandTests(unittest.TestCase):
    def run_script(self, *arguments):
        return subprocess.run([ROOT / "script/release", *arguments], capture_output=True, text=True)

    def test_without_dry_run_it_prints_the_steps_of_a_person(self):
        done = self.run_script()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn(f"git tag --sign v{release.defined_version()}", done.stdout)
        self.assertEqual((ROOT / "docs/releasing.md").read_text().count("git tag --sign"), 1)

    def test_arguments_are_checked(self):
        for arguments, reason in ((["--long"], "need --dry-run"), (["--publish"], "unrecognized"),
                                  (["--dry-run", "--long", "--skip-tests"], "exclude each other")):
            done = self.run_script(*arguments)
            self.assertEqual(done.returncode, 2)
            self.assertIn(reason, done.stderr)


if __name__ == "__main__":
    unittest.main()
