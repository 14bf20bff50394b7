"""What the runner reads from the output of Swift Testing, unittest and node."""

import unittest

import support  # noqa: F401
from checks.outputs import LONG_REASON, PythonOutput, SwiftOutput, TAPOutput


def fed(output, text):
    for line in text.splitlines(keepends=True):
        output.feed(line)
    return output


PASSED = """\
◇ Test run started.
↳ Testing Library Version: 6.3.1 (937120cbc281cf2)
◇ Suite LifecycleTests started.
◇ Test "counts a skipped revision, and changes nothing else" started.
◇ Test case passing 1 argument kind → memory to "counts a skipped revision" started.
◇ Test drain() started.
✔ Test drain() passed after 0.001 seconds.
✔ Test "counts a skipped revision, and changes nothing else" with 5 test cases passed after 2 seconds.
✔ Suite LifecycleTests passed after 2.7 seconds.
"""


def ended(number):
    return f"✔ Test run with {number} tests in 1 suite passed after 2.7 seconds.\n"


class SwiftTests(unittest.TestCase):
    def test_each_test_counts_once_whatever_its_cases(self):
        output = fed(SwiftOutput(), PASSED + ended(2))
        self.assertEqual((output.passed, output.failed, output.unfinished), (2, [], []))
        self.assertTrue(output.is_complete)

    def test_a_line_behind_the_output_of_a_program_counts(self):
        behind = PASSED.replace(
            "✔ Test drain()", '◇ Test case passing 1 argument name → "a✔ Test drain()')
        self.assertEqual(fed(SwiftOutput(), behind).passed, 2)
        split = PASSED.replace("✔ Test drain() passed", "✔ Test\n drain() passed")
        self.assertEqual(fed(SwiftOutput(), split + ended(2)).passed, 2)

    def test_a_skipped_test_counts_under_its_reason(self):
        output = fed(SwiftOutput(), PASSED + f"""\
➜ Test "is rejected if it is not writable" skipped: "the superuser may write everything"
➜ Test "one" skipped: "{LONG_REASON}: set CONFAB_LONG_TESTS=1"
➜ Test "two" skipped: "{LONG_REASON}: set CONFAB_LONG_TESTS=1"
➜ Test "need little of a loop's time" skipped.
➜ Suite SlowTests skipped: "{LONG_REASON}: set CONFAB_LONG_TESTS=1"
""" + ended(6))
        self.assertEqual(output.passed, 2)
        self.assertEqual(sorted(output.skipped.values()), [1, 1, 2])
        self.assertEqual(output.skipped["the superuser may write everything"], 1)

    def test_a_failure_has_its_lines_and_its_name(self):
        output = fed(SwiftOutput(), PASSED + """\
◇ Test "keeps order" started.
✘ Test "keeps order" recorded an issue at A.swift:3:9: Expectation failed: a == b
↳ a → 1
✘ Test "keeps order" failed after 0.1 seconds with 1 issue.
✘ Test each(_:) with 2 test cases failed after 0.1 seconds with 1 issue.
✘ Test run with 4 tests in 1 suite failed after 2.7 seconds with 2 issues.
""")
        self.assertEqual(output.failed, ['"keeps order"', "each(_:)"])
        self.assertEqual(output.failures, [[
            '✘ Test "keeps order" recorded an issue at A.swift:3:9: Expectation failed: a == b',
            "↳ a → 1"]])

    def test_a_run_that_executes_no_test_is_not_complete(self):
        none = "✔ Test run with 0 tests in 0 suites passed after 0.001 seconds.\n"
        self.assertFalse(fed(SwiftOutput(), "◇ Test run started.\n" + none).is_complete)
        skipped = '➜ Test "one" skipped: "no seeds"\n' + none
        self.assertFalse(fed(SwiftOutput(), skipped).is_complete)

    def test_a_crash_leaves_unfinished_tests_and_an_explanation(self):
        output = fed(SwiftOutput(), PASSED + """\
◇ Test "divides" started.
Sum/Sum.swift:7: Fatal error: Division by zero
""")
        self.assertFalse(output.is_complete)
        self.assertEqual(output.unfinished, ['"divides"'])
        self.assertEqual(output.failures, [["Sum/Sum.swift:7: Fatal error: Division by zero"]])


class PythonTests(unittest.TestCase):
    def test_passed_failed_and_skipped_tests_are_counted(self):
        output = fed(PythonOutput(), f"""\
test_a (test_x.A.test_a) ... ok
test_b (test_x.A.test_b) ... skipped 'mypy is not installed'
test_c (test_x.A.test_c)
A sentence. ... FAIL

{"=" * 70}
FAIL: test_c (test_x.A.test_c)
A sentence.
{"-" * 70}
AssertionError: 1 != 2

{"-" * 70}
Ran 3 tests in 0.001s

FAILED (failures=1, skipped=1)
""")
        self.assertEqual(output.passed, 1)
        self.assertEqual(output.failed, ["test_c (test_x.A.test_c)"])
        self.assertEqual(output.skipped, {"mypy is not installed": 1})
        self.assertIn("AssertionError: 1 != 2", output.failures[0])

    def test_a_module_without_tests_is_not_complete(self):
        self.assertFalse(fed(PythonOutput(), "Ran 0 tests in 0.000s\n\nOK\n").is_complete)
        self.assertFalse(fed(PythonOutput(), "ModuleNotFoundError: No module\n").is_complete)


class TAPTests(unittest.TestCase):
    def test_totals_and_failures_are_read(self):
        output = fed(TAPOutput(), """\
TAP version 13
# Subtest: sends
ok 1 - sends
  ---
  duration_ms: 3
  ...
not ok 2 - resumes
  ---
  error: 'nothing arrived'
  ...
ok 3 - sleeps # SKIP no network
# tests 3
# pass 1
# fail 1
# skipped 1
""")
        self.assertEqual((output.passed, output.failed), (1, ["resumes"]))
        self.assertEqual(output.skipped, {"no network": 1})
        self.assertIn("  error: 'nothing arrived'", output.failures[0])
        self.assertTrue(output.is_complete)

    def test_a_run_that_executes_no_test_is_not_complete(self):
        self.assertFalse(fed(TAPOutput(), "TAP version 13\n# pass 0\n# fail 0\n").is_complete)


if __name__ == "__main__":
    unittest.main()
