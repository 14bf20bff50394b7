"""What script/package builds: the Debian package, the tarball, checksums and the components.

The tests install the results in new systems of Debian 12, so they need root.
"""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import unittest

from builds import FOLDER, documented, results
from container import dependencies, inside, make_root, run, wait

ROOT = pathlib.Path(__file__).resolve().parents[2]


def setUpModule():
    global OLD, NEW
    OLD, NEW = results()


class ResultTests(unittest.TestCase):
    """Each result alone, without an installation."""

    def test_lintian_has_no_error_and_no_warning(self):
        run("lintian", "--allow-root", "--fail-on", "error,warning", NEW.package)

    def test_versions_come_from_the_program(self):
        source = (ROOT / "Sources/program/confab/Program.swift").read_text()
        version = re.search(r'static let version = "(.+)"', source)[1]
        program = NEW.unpacked() / "bin/confab"
        self.assertEqual(run(program, "--version").stdout, f"confab {version}\n")
        self.assertEqual(run("dpkg-deb", "-f", NEW.package, "Version").stdout, f"{version}+2\n")
        self.assertTrue(NEW.tarball.name.startswith(f"confab-{version}-linux-"))

    def test_checksums_cover_every_file(self):
        run("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=NEW.folder)
        sums = (NEW.folder / "SHA256SUMS").read_text()
        named = {line.split()[1] for line in sums.splitlines()}
        files = {file.name for file in NEW.folder.iterdir() if file.is_file()}
        self.assertEqual(named, files - {"SHA256SUMS"})

    def test_two_runs_give_the_same_tarball(self):
        self.assertEqual(OLD.tarball.read_bytes(), NEW.tarball.read_bytes())

    def test_manual_pages_have_no_mistake(self):
        pages = sorted((NEW.unpacked() / "share/man").glob("man?/*"))
        self.assertIn("confab-serve.1", [page.name for page in pages])
        self.assertIn("confab.json.5", [page.name for page in pages])
        run("mandoc", "-T", "lint", "-W", "warning", *pages)
        for page in pages:
            shown = run("man", "--warnings", "-E", "UTF-8", "-l", page,
                        env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"})
            self.assertEqual(shown.stderr, "", page.name)
            self.assertIn("SYNOPSIS" if page.suffix == ".1" else "SETTINGS", shown.stdout)

    def test_completions_are_those_of_the_program(self):
        program = NEW.unpacked() / "bin/confab"
        for shell, path in (("bash", "bash-completion/completions/confab"),
                            ("zsh", "zsh/site-functions/_confab"),
                            ("fish", "fish/vendor_completions.d/confab.fish")):
            script = NEW.unpacked() / "share" / path
            self.assertEqual(script.read_text(), run(program, "completion", shell).stdout)
        completed = run("bash", "-c", f"source {NEW.unpacked()}/share/bash-completion/completions/"
                        "confab; COMP_WORDS=(confab ser); COMP_CWORD=1; _confab; echo $COMPREPLY")
        self.assertEqual(completed.stdout, "serve\n")

    def test_components_are_valid_and_complete(self):
        run("pyspdxtools", "--infile", NEW.components)
        document = json.loads(NEW.components.read_text())
        kinds = {}
        for relation in document["relationships"]:
            related = kinds.setdefault(relation["relationshipType"], set())
            related.add(relation["relatedSpdxElement"])
        named = {entry["SPDXID"]: entry for entry in document["packages"]}
        linked = {named[each]["name"] for each in kinds["DYNAMIC_LINK"]}
        self.assertEqual(linked, set(dependencies(NEW.package)))
        contained = {named[each]["name"] for each in kinds["STATIC_LINK"]}
        self.assertEqual(contained, {"swift", "swift-corelibs-libdispatch"})
        # The package manager's own list agrees that there is nothing else.
        declared = run("swift", "package", "--ignore-lock", "dump-package", cwd=ROOT)
        self.assertEqual(json.loads(declared.stdout)["dependencies"], [])
        program = NEW.unpacked() / "bin/confab"
        digest = run("sha256sum", program).stdout.split()[0]
        self.assertEqual(named["SPDXRef-confab"]["checksums"][0]["checksumValue"], digest)

    def test_symbols_belong_to_the_program(self):
        def identity(file):
            # readelf complains about a file of symbols, because it has no code.
            return re.search(r"Build ID: (\w+)", run("readelf", "-n", file, check=False).stdout)[1]

        program = NEW.unpacked() / "bin/confab"
        self.assertEqual(identity(program), identity(NEW.symbols))
        self.assertIn(NEW.symbols.name, run("readelf", "-p", ".gnu_debuglink", program).stdout)
        sections = run("readelf", "-SW", NEW.symbols, check=False).stdout
        for section in (".symtab", ".debug_info"):
            self.assertIn(section, sections)

    def test_arguments_are_checked(self):
        for arguments, reason in ((["--build", "x"], '--build: "x" is not a number'),
                                  (["--stage"], "--stage: the folder is missing"),
                                  (["all"], "unknown argument all")):
            done = run(ROOT / "script/package", *arguments, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn(reason, done.stderr)


class BareSystemTests(unittest.TestCase):
    """A system that has nothing but what the documentation names."""

    @classmethod
    def setUpClass(cls):
        cls.base = FOLDER / "base.tar.gz"
        make_root(cls.base)

    def test_the_package_installs_and_purges_completely(self):
        mirror = "http://deb.debian.org/debian main"
        run("piuparts", "--distribution=bookworm", f"--mirror={mirror}",
            f"--basetgz={self.base}", "--no-eatmydata", "--warn-on-leftovers-after-purge",
            OLD.package, timeout=900)

    def test_the_tarball_runs_with_the_documented_packages(self):
        root = FOLDER / "bare"
        root.mkdir()
        self.addCleanup(shutil.rmtree, root, ignore_errors=True)
        run("tar", "-xzf", self.base, "-C", root)
        shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
        install = documented("apt-get install -y")
        unpack = re.sub(r"confab-\S+\.tar\.gz", NEW.tarball.name, documented("tar -xzf"))
        shutil.copy(NEW.tarball, root / "root")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (f"apt-get update && {install}", f"cd /root && {unpack}"):
            run(*inside(root, "bash", "-euc", command), env=environment)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        program = "/usr/local/bin/confab"
        log = (FOLDER / "bare.log").open("w+")
        self.addCleanup(log.close)
        node = subprocess.Popen(
            inside(root, program, "serve", "--listen", address, "--admin", "off",
                   "--store", "sqlite:/root/chat.db"), stderr=log)
        try:
            wait(lambda: node.poll() is not None or run(
                *inside(root, program, "health", f"http://{address}"), check=False
            ).returncode == 0, "the node")
            self.assertIsNone(node.poll(), (FOLDER / "bare.log").read_text())
        finally:
            node.terminate()
            self.assertEqual(node.wait(30), 0)
