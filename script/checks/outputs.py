"""What the output of a test run says: which tests passed, failed and were skipped.

A parser receives a run's lines one by one. `passed`, `failed` (names), `skipped` (reasons with
their numbers) and `failures` (the lines that explain) are valid at any time: progress reads them.
"""

import re
from collections import Counter

# The reason of the trait `.long`, in Tests/TestTraits/RunTraits.swift.
LONG_REASON = "Part of script/test --long only"
# The steps of a build that `swift build` prints.
BUILD_STEP = re.compile(r"^\[(\d+)/(\d+)\]")
LONGEST_LINE = 1000
# At most so many lines of one failure are repeated; the log has all of them.
LONGEST_FAILURE = 40


class Output:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = Counter()
        self.failures = []
        self.has_ended = False
        # Tests that have started and not ended.
        self.open_count = 0

    @property
    def ran(self):
        return self.passed + len(self.failed)

    def add_failure(self, line):
        self.failures.append([line.rstrip()[:LONGEST_LINE]])

    def extend_failure(self, line):
        if len(self.failures[-1]) < LONGEST_FAILURE:
            self.failures[-1].append(line.rstrip()[:LONGEST_LINE])


class SwiftOutput(Output):
    """Swift Testing's lines on a console without colours."""

    LINE = re.compile(r"^\S+ Test (?P<name>.+?)(?: with \d+ test cases?)? (?:"
                      r"(?P<started>started)\.|"
                      r"(?P<result>passed|failed) after [\d.]+ seconds?(?: with .*)?\.|"
                      r"skipped(?:: \"(?P<reason>.*)\"|\.))$")
    RUN = re.compile(r"^\S+ Test run with (\d+) tests? .*?(passed|failed) after ")
    # Each of these starts with a symbol: ◇ started, ✔ passed, ✘ failed, ➜ skipped. A line
    # that was not ended, such as an argument with a NUL, can precede it.
    EVENT = re.compile(r"[◇✔✘➜⚠][^\w\s]? (?:Test|Suite) ")
    CRASH = re.compile(r"Fatal error|^error: |Sanitizer")

    def __init__(self):
        super().__init__()
        self.open = Counter()
        self.is_failure_open = False

    def feed(self, line):
        events = list(self.EVENT.finditer(line))
        if events:
            line = line[events[-1].start():]
        if match := self.RUN.match(line):
            self.has_ended = True
            self.is_failure_open = False
            # The run counts the skipped tests too, and those whose line another program split.
            others = len(self.failed) + sum(self.skipped.values())
            self.passed = max(0, int(match[1]) - others)
        elif events:
            self.is_failure_open = " recorded an issue" in line
            if self.is_failure_open:
                self.add_failure(line)
            elif match := self.LINE.match(line.rstrip()):
                self.add_event(match)
        elif self.is_failure_open:
            self.extend_failure(line)
        elif self.CRASH.search(line):
            self.is_failure_open = True
            self.add_failure(line)

    def add_event(self, match):
        name = match["name"]
        # The whole run, and one argument of a test.
        if name == "run" or name.startswith("case passing "):
            return
        if match["started"]:
            self.open[name] += 1
            self.open_count += 1
            return
        if match["result"]:
            self.open[name] -= 1
            self.open_count -= 1
        if match["result"] == "passed":
            self.passed += 1
        elif match["result"] == "failed":
            self.failed.append(name)
        else:
            self.skipped[match["reason"] or "no reason given"] += 1

    @property
    def unfinished(self):
        """The tests that started and did not end."""
        return sorted((+self.open).elements())

    @property
    def is_complete(self):
        return self.has_ended and self.ran > 0


class PythonOutput(Output):
    """The lines of `python3 -m unittest --verbose`."""

    SUMMARY = re.compile(r"^Ran (\d+) tests? in ")
    BROKEN = re.compile(r"^(?:ERROR|FAIL|UNEXPECTED SUCCESS): (.*)")
    SKIPPED = re.compile(r"(?:\.\.\. |^)skipped (['\"])(.*)\1$")
    SKIPS = re.compile(r"^(?:OK|FAILED) \(.*?skipped=(\d+)")

    def __init__(self):
        super().__init__()
        self.ended = 0
        self.is_report = False

    def feed(self, line):
        line = line.rstrip("\n")
        if match := self.SUMMARY.match(line):
            self.has_ended = True
            self.is_report = False
            # setUpClass can fail, which is no test.
            self.passed = max(0, int(match[1]) - len(self.failed) - sum(self.skipped.values()))
        elif match := self.BROKEN.match(line):
            self.is_report = True
            self.failed.append(match[1])
            self.add_failure(line)
        elif self.is_report:
            if line != "=" * 70:
                self.extend_failure(line)
        elif match := self.SKIPPED.search(line):
            self.skipped[match[2]] += 1
        elif not self.has_ended and (line.endswith("... ok") or line == "ok"):
            self.passed += 1  # until the summary

    @property
    def is_complete(self):
        return self.has_ended and self.ran + sum(self.skipped.values()) > 0


class TAPOutput(Output):
    """The lines of `node --test --test-reporter=tap`."""

    RESULT = re.compile(r"^(?P<indent> *)(?P<not>not )?ok \d+ - (?P<name>.*?)"
                        r"(?: # (?P<directive>SKIP|TODO) ?(?P<reason>.*))?$")
    TOTAL = re.compile(r"^# (pass|fail|cancelled|skipped) (\d+)$")

    def __init__(self):
        super().__init__()
        self.totals = Counter()
        self.is_report = False

    def feed(self, line):
        line = line.rstrip("\n")
        if match := self.TOTAL.match(line):
            self.totals[match[1]] = int(match[2])
            self.has_ended = True
            if match[1] == "pass":
                self.passed = int(match[2])
            return
        match = self.RESULT.match(line)
        if match and match["directive"] == "SKIP":
            self.skipped[match["reason"] or "no reason given"] += 1
        elif match and match["not"]:
            self.failed.append(match["name"])
            self.add_failure(line)
            self.is_report = True
        elif match:
            self.passed += 1
            self.is_report = False
        elif self.is_report:
            self.extend_failure(line)
            self.is_report = line.strip() != "..."

    @property
    def is_complete(self):
        return self.has_ended and self.passed + len(self.failed) > 0
