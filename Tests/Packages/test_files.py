"""The files of debian/ as texts: the unit of the service, with systemd's own checks.

`script/test manifests` runs this, without root and without a build.
"""

import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNIT = ROOT / "debian/confab.service"


class UnitTests(unittest.TestCase):
    def complaints(self, text):
        """What systemd says about a unit. Its status is 0 even if a name is unknown."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "confab.service")
            # Any program that exists will do.
            path.write_text(text.replace("/usr/bin/confab", "/bin/true"))
            done = subprocess.run(["systemd-analyze", "verify", "--man=no", path],
                                  capture_output=True, text=True)
            return done.stdout + done.stderr

    def test_systemd_accepts_every_line_of_the_unit(self):
        self.assertEqual(self.complaints(UNIT.read_text()), "")

    def test_the_check_sees_an_unknown_name_and_a_missing_program(self):
        text = UNIT.read_text()
        self.assertIn("WatchdogSecs", self.complaints(text.replace("WatchdogSec", "WatchdogSecs")))
        self.assertIn("/no/confab", self.complaints(text.replace("/usr/bin", "/no")))

    def test_the_service_has_few_rights(self):
        # The threshold is ten times the exposure.
        done = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", "--threshold=20", UNIT],
            capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout[-300:] + done.stderr)


if __name__ == "__main__":
    unittest.main()
