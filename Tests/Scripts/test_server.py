"""script/server checks its options before it builds."""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import support
from checks.serve_options import mistake, rows

REFERENCE = (support.ROOT / "docs/reference.md").read_text()


class OptionTests(unittest.TestCase):
    def test_every_option_of_the_reference_is_known_and_has_a_meaning(self):
        options = list(rows(REFERENCE))
        self.assertGreater(len(options), 20)
        self.assertIn(("--listen", "HOST:PORT"), [(name, value) for name, value, _ in options])
        self.assertIn("on|off", {value for _, value, _ in options})
        self.assertTrue(all(meaning for _, _, meaning in options))

    def test_correct_options_are_accepted(self):
        for arguments in (
                [], ["--listen", "0.0.0.0:80", "--admin=off"], ["--limit", "connections=4"],
                ["--anonymous", "on"], ["--jwt-leeway", "-1"]):
            self.assertIsNone(mistake(arguments, REFERENCE), arguments)

    def test_mistakes_are_named_with_what_was_probably_meant(self):
        for arguments, message in (
                (["--lisen", "1"], "unknown option --lisen; did you mean --listen?"),
                (["--listen"], "--listen needs a value: --listen HOST:PORT"),
                (["serve"], 'unexpected argument "serve"'),
                (["--anonymous=yes"], '--anonymous: "yes" is none of on|off'),
                (["--limit", "conections=4"],
                 '--limit: unknown limit "conections"; did you mean connections?')):
            self.assertEqual(mistake(arguments, REFERENCE), message)


class ScriptTests(unittest.TestCase):
    """The script in a clone without a build, whose build script only says that it ran."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.clone = pathlib.Path(folder.name)
        for name in ("script/server", "script/checks/serve_options.py", "docs/reference.md"):
            (self.clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(support.ROOT / name, self.clone / name)
        build = self.clone / "script/build"
        build.write_text("#!/bin/sh\necho building\nexit 1\n")
        build.chmod(0o755)

    def server(self, *arguments):
        return subprocess.run([self.clone / "script/server", *arguments], capture_output=True,
                              text=True)

    def test_an_unknown_option_fails_before_the_build(self):
        done = self.server("--lisen", "1")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("--lisen; did you mean --listen?", done.stderr)

    def test_help_lists_the_options_without_a_build(self):
        done = self.server("--help")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"--listen HOST:PORT +the listener for clients")
        self.assertNotIn("building", done.stdout)

    def test_correct_options_continue_with_the_build(self):
        done = self.server("--listen", "127.0.0.1:0")
        self.assertEqual((done.returncode, done.stdout), (1, "building\n"))


class ProgressTests(unittest.TestCase):
    """How script/build shows a build."""

    def progress(self, text, **options):
        command = [sys.executable, support.ROOT / "script/checks/progress.py", "build", "sh", "-c",
                   text]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)

    def test_steps_are_counted_and_other_lines_and_the_status_are_passed_on(self):
        process = self.progress("echo '[1/2] Compiling'; echo 'error: no such module'; exit 3")
        output = process.communicate(timeout=10)[0]
        self.assertEqual((process.returncode, output), (3, "error: no such module\n"))

    def test_sigterm_ends_the_build(self):
        process = self.progress("echo $$; exec sleep 60")
        identifier = process.stdout.readline().strip()
        process.terminate()
        process.communicate(timeout=10)
        self.assertEqual(process.returncode, 130)
        self.assertFalse(pathlib.Path(f"/proc/{identifier}").exists())


if __name__ == "__main__":
    unittest.main()
