"""Chooses the checks and tests that a change can break.

The rules, which `script/test --help` repeats in short:

- `style` and, for Swift files, `format` always run.
- A change in module X, of Sources/LAYER/ or of Tests/, runs the test targets that name X in
  Package.swift.
  If more than eight name it, as for Bytes, only XTests and the targets of CORE run.
- A change in Sources also runs SMOKE: system tests of one node and of two.
- A changed file of SystemTests runs its suites.
- Other folders have a row in FOLDERS. A file without any rule runs `unit`.
"""

import json
import re
import subprocess

from .job import ROOT

# So many direct dependents are the consumers of a module; more means that it is a base of all.
MANY = 8
CORE = ("ChatEngineTests", "ClusterWireTests", "DialectContractTests", "GatewayTests",
        "StoreContractTests")
SMOKE = ("LifecycleTests", "TwoNodesTests")

# The start of a path, and the checks and suites of SystemTests that it selects. All rows that match
# count.
FOLDERS = (
    (r".*\.md$", ("docs",), ()),
    (r"docs/", ("docs",), ()),
    (r"docs/protocols/", (), ("TranscriptTests",)),
    (r"README\.md$", (), ("ReadmeTests",)),
    (r"docs/model/|script/model$", ("model",), ()),
    (r"script/|\.ci/|Tests/Scripts/", ("shell",), ()),
    (r"script/cluster$|cluster/", (), ("ClusterScriptTests",)),
    (r"cluster/", ("manifests",), ("MonitoringTests",)),
    (r"clients/python/", ("kits-python",), ()),
    (r"clients/js/", ("kits-js", "PagesTests"), ()),
    (r"Sources/node/(CPages|Pages)/|Tests/Pages/|clients/js/confab\.js$",
     ("pages", "PagesTests"), ()),
    (r"docker/|debian/|\.github/|Tests/(Containers|Packages)/|script/(release|package|sbom)$",
     ("manifests",), ()),
    (r"Sources/(node/Configuration|program/confab)/", ("docs",), ()),
    (r"Tests/waiting\.py$", ("kits", "pages"), ()),
    (r"bench/|script/|[^/]*$", (), ()),
    (r"Package\.swift$", ("unit",), ()),
    (r"Tests/Operating/", ("operating",), ()),
    (r"Tests/Monitoring/|cluster/monitoring/", ("monitoring",), ()),
    (r"Tests/(Address|Thread)Sanitizer/|Tests/Fuzz/[^/]*$", (), ()),
)
# These need minutes, so --changed only names them.
TOO_LONG = ("operating", "monitoring")


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True,
                          check=True).stdout.split("\0")


def changed_files():
    """The files of the uncommitted change, or else of the last commit, and which of both it is."""
    files = [*git("diff", "--name-only", "--no-renames", "-z", "HEAD"),
             *git("ls-files", "--others", "--exclude-standard", "-z")]
    what = "the uncommitted change"
    if not any(files):
        files = git("diff", "--name-only", "--no-renames", "-z", "HEAD~1", "HEAD")
        what = "the last commit"
    return sorted(filter(None, files)), what


def dependencies():
    """Each target of Package.swift with the targets that it names."""
    dump = subprocess.run(["swift", "package", "--ignore-lock", "dump-package"], cwd=ROOT,
                          capture_output=True, check=True)
    return {target["name"]: {each["byName"][0] for each in target["dependencies"]}
            for target in json.loads(dump.stdout)["targets"]}


def dependents(module, graph):
    """The test targets to run after a change of a module, and the reason."""
    direct = {name for name, needs in graph.items()
              if module in needs and name.endswith("Tests") and name != "SystemTests"}
    if len(direct) <= MANY:
        return direct, f"names {module} in Package.swift"
    chosen = {f"{module}Tests"} & set(graph) | (direct & set(CORE))
    return chosen, f"of {len(direct)} that name {module}: its own tests and the contracts"


def suites_in(text):
    """The types of a Swift file that contain tests."""
    types = re.findall(r"^(?:(?:public|final) )*(?:struct|class|actor|enum|extension) (\w+)", text,
                       re.M)
    return [name for name in types if name.endswith("Tests")] if "@Test" in text else []


class Choice:
    """What a change selects: checks, test targets and suites of SystemTests, each with a reason."""

    def __init__(self, files, graph, read=lambda file: (ROOT / file).read_text(errors="replace")):
        self.checks = {"style": "always"}
        self.targets = {}
        self.suites = {}
        self.swift_files = []
        self.left_out = {}
        for file in files:
            self.add(file, graph, read)

    def add(self, file, graph, read):
        try:
            text = read(file)
        except (FileNotFoundError, IsADirectoryError):
            text = None  # deleted
        if file.endswith(".swift") and text is not None:
            self.swift_files.append(file)
            self.checks.setdefault("format", "changed Swift files")
        rules = [row for row in FOLDERS if re.match(row[0], file)]
        for _, checks, suites in rules:
            for check in checks:
                chosen = self.targets if check.endswith("Tests") else self.checks
                (self.left_out if check in TOO_LONG else chosen).setdefault(check, file)
            for suite in suites:
                self.suites.setdefault(suite, file)
        parts = file.split("/")
        # Sources/LAYER/MODULE/FILE, Tests/MODULE/FILE
        place = {"Sources": 2, "Tests": 1}.get(parts[0], len(parts))
        module = parts[place] if len(parts) > place + 1 else None
        if module in graph:
            self.add_module(module, parts[0], file, text, graph)
        elif not rules:
            self.checks.setdefault("unit", f"no rule for {file}")

    def add_module(self, module, folder, file, text, graph):
        if folder == "Sources":
            for suite in SMOKE:
                self.suites.setdefault(suite, "a change in Sources")
        if module == "SystemTests":
            for suite in suites_in(text or "") or SMOKE:
                self.suites.setdefault(suite, file)
        elif module.endswith("Tests"):
            self.targets.setdefault(module, file)
        else:
            chosen, reason = dependents(module, graph)
            for target in chosen:
                self.targets.setdefault(target, reason)
            if folder == "Tests" and module in graph["SystemTests"]:
                for suite in SMOKE:
                    self.suites.setdefault(suite, f"SystemTests names {module}")

    def explain(self):
        """Lines that name each choice with its reason."""
        if "unit" in self.checks:
            self.targets = {name: why for name, why in self.targets.items()
                            if name == "DocumentationTests"}
        rows = [*self.checks.items(), *sorted(self.targets.items()), *sorted(self.suites.items())]
        lines = [f"  {name:24} {why}" for name, why in rows]
        lines += [f"  {name:24} left out, takes minutes: script/test {name} ({why})"
                  for name, why in self.left_out.items()]
        return lines
