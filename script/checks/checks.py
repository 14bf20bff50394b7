"""What each check of the table does. A function receives its `Job`."""

import os
import shutil
import tempfile
from pathlib import Path

from .job import ROOT, Failed
from .servers import server
from .suites import KITS, confab, js_tests, python_tests, swift_tests

SETTINGS = os.environ.get
SCRIPTS = ("script/*", "docker/cluster/*", "Tests/Containers/*", "Tests/Packages/*", ".ci/run")


def shell(job):
    for path in sorted(path for pattern in SCRIPTS for path in ROOT.glob(pattern)):
        name = path.relative_to(ROOT)
        first = path.open(errors="replace").readline() if path.is_file() else ""
        if not first.startswith("#!"):
            continue
        if not os.access(path, os.X_OK):
            raise Failed(f"{name} has no run bit")
        if first.rstrip().endswith("python3"):
            compile(path.read_text(), str(path), "exec")
        elif first.rstrip().endswith("sh"):
            job.require([first.split("/")[-1].split()[-1], "-n", path])
        else:
            continue
        job.passes()
    python_tests(job, "Tests/Scripts", ["discover"])


def style(job):
    job.require(["script/style"])
    job.passes()


def format(job, files=("Package.swift", "Sources", "Tests")):
    job.require(["swift", "format", "lint", "--strict", "--parallel", "--recursive", *files],
                is_idle=True)
    job.passes()


def model(job):
    job.require(["script/model"], is_idle=True)
    job.passes()


def build(job):
    job.require(["swift", "build", "--build-tests"])
    job.passes()


def build_confab(job):
    job.require(["swift", "build", "--product", "confab"])
    job.passes()


def unit(job, **options):
    swift_tests(job, skips=[r"^(SystemTests|DocumentationTests)\."], **options)


def docs(job):
    swift_tests(job, filters=[r"^DocumentationTests\."])


def system(job, **options):
    swift_tests(job, filters=[r"^SystemTests\."], **{"width": 6, **options})


def kits(job):
    modules = ["test_rules", "test_kit", "test_rest", "test_store", "test_tokens"]
    job.side_by_side(
        [lambda: python_tests(job, KITS, modules, at_once=3), lambda: js_tests(job)], width=2)


def kits_all(job):
    python_tests(job, KITS, ["discover"])
    js_tests(job, "--all")
    environment = {"CONFAB_BINARY": confab()}
    minutes = SETTINGS("KITS_MINUTES", "3")
    for command in (["python3", f"{KITS}/mutations.py"], ["node", "clients/js/test/mutations.mjs"]):
        job.require(command, environment=environment)
        job.passes()
    job.require(["script/torture", "--kits", "python,swift,js", "--minutes", minutes])
    job.passes()


def pages(job):
    python_tests(job, "Tests/Pages", [
        "test_features", "test_operators", "test_story", "test_text", "test_states",
        "test_limits.SizeTests"], at_once=3)


def pages_all(job):
    python_tests(job, "Tests/Pages", [
        "test_access", "test_faults", "test_features", "test_limits", "test_operators",
        "test_operators_access", "test_operators_cluster", "test_scroll", "test_states",
        "test_story", "test_text"], at_once=2)


def browsers(job):
    job.require(["script/bootstrap", "browsers"])
    python_tests(job, "Tests/Pages", ["test_browsers", "test_operators_browsers"])


def operating(job):
    python_tests(job, "Tests/Operating", ["discover"])


def monitoring(job):
    python_tests(job, "Tests/Monitoring", ["test_monitoring"])


def manifests(job):
    python_tests(job, "Tests/Containers", ["test_files"])
    python_tests(job, "Tests/Packages", ["test_files", "test_release"])
    forms = ".github/ISSUE_TEMPLATE/"
    for schema, files in (("forms", ["bug.yml", "proposal.yml"]), ("config", ["config.yml"])):
        job.require(["check-jsonschema", "--quiet", "--builtin-schema",
                     f"vendor.github-issue-{schema}", *(forms + file for file in files)])
        job.passes()


def containers(job):
    if os.getuid() != 0:
        return job.skip("containers: only root can start the engine")
    job.require(["script/bootstrap", "containers"])
    images = tempfile.mkdtemp(prefix="confab-images.")
    try:
        job.require(["Tests/Containers/build-images", images])
        python_tests(
            job, "Tests/Containers", ["test_image", "test_cluster"], seconds=3600,
            runner=[ROOT / "Tests/Containers/private"], environment={"CONTAINER_IMAGES": images})
    finally:
        shutil.rmtree(images, ignore_errors=True)


def packages(job):
    if os.getuid() != 0:
        return job.skip("packages boot containers, which needs root")
    job.require(["script/bootstrap", "packages"])
    job.require(["script/build"])
    # Containers and compression are slow on a busy machine.
    python_tests(job, "Tests/Packages", ["discover"], seconds=3600)


def seeds(job):
    # Optimised, because a debug build takes ten times as long.
    job.require(["script/build", "ChatTrials"])
    job.require([".build/release/ChatTrials", "simulate", SETTINGS("SIMULATION_SEEDS", "5000")])
    job.passes()


def release(job):
    job.require(["script/build"])
    # As in the README, except for the port.
    with server(job, ROOT / "script/server"):
        pass
    job.passes()
    system(job, environment={"CONFAB_BINARY": str(ROOT / ".build/release/confab")})


def sanitized(job, name, environment):
    """Uses a separate build folder, so that the usual build stays valid.

    Nodes are several times slower under a sanitizer: with more than two tests at a time, their
    deadlines pass.
    """
    scratch = f".build/{name}"
    job.require(["swift", "build", "--build-tests", f"--sanitize={name}",
                 "--scratch-path", scratch])
    # Swift's report of a crash ends the sanitizer before the signal ends the program.
    options = {"width": 4, "minutes": 60, "scratch": scratch,
               "environment": {"SWIFT_BACKTRACE": "enable=no", **environment}}
    # One after the other; the second also runs if the first fails.
    job.side_by_side([lambda: unit(job, **options), lambda: system(job, **options)], width=1)


def thread(job):
    runtime = ROOT / ".build/tools/tsan-swift.so"
    job.require(["clang", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", runtime,
                 "Tests/ThreadSanitizer/swift_runtime.c"])
    suppressions = ROOT / "Tests/ThreadSanitizer/suppressions.txt"
    options = f"halt_on_error=1 suppressions={suppressions} {SETTINGS('TSAN_OPTIONS', '')}"
    sanitized(job, "thread", {"LD_PRELOAD": str(runtime), "TSAN_OPTIONS": options})


def address(job):
    toolchain = Path(shutil.which("swift")).resolve().parent
    suppressions = ROOT / "Tests/AddressSanitizer/leaks.txt"
    # The suppressions name functions, so all programs need the symbolizer. A test preloads a
    # library in front of the sanitizer.
    sanitized(job, "address", {
        "ASAN_SYMBOLIZER_PATH": str(toolchain / "llvm-symbolizer"),
        "ASAN_OPTIONS":
            f"detect_leaks=1 verify_asan_link_order=0 {SETTINGS('ASAN_OPTIONS', '')}",
        "LSAN_OPTIONS":
            f"print_suppressions=0 suppressions={suppressions} {SETTINGS('LSAN_OPTIONS', '')}",
    })


def fuzz(job):
    seconds = SETTINGS("FUZZ_SECONDS", "60")
    for target in sorted(path.stem for path in (ROOT / "Tests/Fuzz").glob("*.swift")):
        job.note = f"{target}, {seconds} seconds"
        job.require(["script/fuzz", target, seconds])
        job.passes()


def autobahn(job):
    suite = (ROOT / SETTINGS("CONFAB_CHECKS", "../shared/checks") / "autobahn.sh").resolve()
    if not os.access(suite, os.X_OK):
        return job.skip(f"no autobahn.sh in {suite.parent}")
    job.require(["script/build"])
    with server(job, ROOT / ".build/release/confab", "serve", "--store", "memory:", "--echo-path",
                "/_echo", "--limit", "frame-bytes=16777216") as address:
        job.require([suite, f"ws://{address}/_echo", "--name", "confab"])
    job.passes()


def function(name):
    """The function of a check of the table."""
    if name in ("unit-all", "system-all"):
        run = unit if name == "unit-all" else system
        return lambda job: run(job, long=True)
    return globals()[name.replace("-", "_")]
