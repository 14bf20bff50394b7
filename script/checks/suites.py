"""Runs tests: the Swift test binary, modules of Python's unittest, and files of node's."""

import os
import subprocess

from .job import ROOT, Failed, described
from .outputs import PythonOutput, SwiftOutput, TAPOutput

BINARY = "confabPackageTests.xctest"
KITS = "clients/python/tests"
STACK_COLUMNS = 300
# Tests that wait for their turn count as started.
MOST_UNFINISHED = 100


def swift_tests(job, *, filters=(), skips=(), width=8, long=False, scratch=".build",
                minutes=None, environment=None):
    """Runs the tests of the Swift test binary whose identifier a filter matches.

    The binary is started as `swift test` starts it. `swift test` itself locks the build folder
    while it runs, also with --skip-build, so that a second one would wait for it.
    """
    binary = ROOT / scratch / "debug" / BINARY
    if not binary.exists():
        raise Failed(f"{binary} is missing: script/test build")
    minutes = minutes or float(os.environ.get("TEST_MINUTES", 25))
    command = [binary, "--testing-library", "swift-testing"]
    for option, patterns in (("--filter", filters), ("--skip", skips)):
        for pattern in patterns:
            command += [option, pattern]
    # `swift test` sets NO_COLOR too.
    settings = {"CONFAB_TEST_PROGRAMS": "1", "CONFAB_TEST_WIDTH": str(width), "NO_COLOR": "1"}
    if seed := simulation_seed():
        settings["CONFAB_SIMULATION_FIRST"] = seed
    if long:
        settings["CONFAB_LONG_TESTS"] = "1"
    output = SwiftOutput()
    status, is_late = job.run(
        command, output, environment={**settings, **(environment or {})}, seconds=minutes * 60,
        before_end=lambda process: print_stacks(job, process))
    if is_late or status < 0:
        list_unfinished(job, output.unfinished)
    if is_late:
        raise Failed(f"stopped after {minutes:g} minutes with {len(output.unfinished)} unfinished "
                     "tests")
    if status < 0 or (output.ran and not output.has_ended):
        raise Failed(f"the test binary {described(status)}, with {len(output.unfinished)} tests "
                     "running")
    if output.failed:
        raise Failed(f"{len(output.failed)} tests failed")
    if not output.is_complete:
        raise Failed("no test ran")
    if status != 0:
        raise Failed(f"the test binary {described(status)}")


def simulation_seed():
    """The first seed of the simulation: another one for each commit."""
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return str(int(head.stdout[:6], 16)) if head.returncode == 0 else None


def list_unfinished(job, names):
    """Names the tests that started and did not end; of very many, the rest only in the log."""
    for number, name in enumerate(names):
        (job.say if number < MOST_UNFINISHED else job.write)(f"unfinished: {name}")
    if len(names) > MOST_UNFINISHED:
        job.say(f"{len(names) - MOST_UNFINISHED} further unfinished tests are in the log")


def print_stacks(job, process):
    """Prints what each thread of the tests does, shortly before they are stopped."""
    job.say(f"the threads of process {process}:")
    stacks = subprocess.run(
        f"eu-stack -p {process} 2>/dev/null | swift demangle --compact", shell=True,
        capture_output=True, text=True, errors="replace", cwd=ROOT, check=False)
    for line in stacks.stdout.splitlines():
        job.say(line[:STACK_COLUMNS])


def python_tests(job, folder, modules, *, at_once=1, runner=(), seconds=1200, environment=None):
    """Runs unittest for each module (or `module.Class.test`, or `discover`), some at a time."""
    def run(module):
        words = ["discover", "--verbose"] if module == "discover" else ["--verbose", module]
        output = PythonOutput()
        status, is_late = job.run(
            [*runner, "python3", "-m", "unittest", *words], output, prefix=f"[{module}] ",
            cwd=ROOT / folder, seconds=seconds,
            environment={"CONFAB_BINARY": confab(), **(environment or {})})
        judge(module, output, status, is_late, seconds)

    job.side_by_side([lambda module=module: run(module) for module in modules], at_once)


def js_tests(job, *arguments, files=()):
    """Runs the tests of the kit for JavaScript, or only these files."""
    folder = ROOT / "clients/js/test"
    command = ["node", "--test", "--test-reporter=tap", *files] if files else ["./run", *arguments]
    output = TAPOutput()
    status, is_late = job.run(
        command, output, prefix="[js] ", cwd=folder, seconds=600,
        environment={"CONFAB_BINARY": confab()})
    judge("js", output, status, is_late, 600)


def judge(name, output, status, is_late, seconds):
    if is_late:
        raise Failed(f"{name} took longer than {seconds} seconds")
    if status != 0:
        raise Failed(f"{name} {described(status)}")
    if not output.is_complete:
        raise Failed(f"{name}: no test ran")


def confab():
    """The confab that kits and pages start."""
    return str(ROOT / ".build/debug/confab")
