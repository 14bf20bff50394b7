"""The runner: side by side, in steps, with a report whose last line CI reads."""

import contextlib
import io
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from unittest import mock

import support
from checks import main, table, tasks
from checks.display import HEARTBEAT_SECONDS, Display
from checks.job import Failed, Job
from checks.outputs import SwiftOutput
from checks.processes import Processes
from checks.suites import BINARY, python_tests, swift_tests
from checks.tasks import Task


class RunCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        for module in ("job", "main"):
            patch = mock.patch(f"checks.{module}.LOGS", self.folder / "logs")
            patch.start()
            self.addCleanup(patch.stop)

    def run_tasks(self, *chosen):
        """Returns the exit status and the printed lines."""
        stream = io.StringIO()
        with mock.patch("checks.main.bootstrap"):
            run = main.Run(chosen, Display(stream))
            run.perform()
            status = run.finish()
        return status, stream.getvalue().splitlines()

    def program(self, text, name="program"):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path


def task(name, function, runs="beside", needs="nothing"):
    return Task(name, needs, runs, function, name)


class StepTests(RunCase):
    def test_checks_of_a_step_run_at_the_same_time(self):
        barrier = threading.Barrier(2, timeout=5)

        def meet(job):
            barrier.wait()
            job.passes()
        status, lines = self.run_tasks(task("one", meet), task("two", meet))
        self.assertEqual((status, lines[-1]), (0, "2 passed, 0 failed"))

    def test_a_check_that_runs_alone_waits_for_all_others(self):
        ended = []

        def slow(job):
            time.sleep(0.2)
            ended.append(job.name)
        self.run_tasks(
            task("alone", lambda job: ended.append(job.name), "alone"), task("idle", slow, "idle"),
            task("beside", slow))
        self.assertEqual(ended[-1], "alone")

    def test_a_failure_lets_the_others_of_its_step_end_and_starts_no_further_step(self):
        def fail(job):
            raise Failed("broken")

        def slow(job):
            time.sleep(0.2)
            job.passes(3)
        status, lines = self.run_tasks(
            task("bad", fail), task("good", slow), task("later", lambda job: None, "alone"))
        self.assertEqual((status, lines[-1]), (1, "3 passed, 1 failed"))
        text = "\n".join(lines)
        self.assertRegex(text, r"later +not started")
        self.assertIn('script/test: the check "bad" failed: broken', text)
        self.assertIn("To repeat it: script/test bad", text)

    def test_the_everyday_list_has_four_steps(self):
        chosen = [tasks.of_check(name) for name in table.usual()]
        self.assertEqual([[each.name for each in step] for step in main.steps_of(chosen)], [
            ["shell", "style", "format"], ["build", "model"],
            ["unit", "docs", "kits", "manifests", "pages"], ["system"]])

    def test_a_check_with_an_error_of_its_own_has_failed(self):
        status, lines = self.run_tasks(task("bad", lambda job: 1 / 0))
        self.assertEqual((status, lines[-1]), (1, "0 passed, 1 failed"))
        self.assertTrue(any("ZeroDivisionError" in line for line in lines))

    def test_the_output_of_a_failed_check_is_shown_with_its_name(self):
        program = self.program("echo the reason; exit 3")
        status, lines = self.run_tasks(task("bad", lambda job: job.require([program])))
        self.assertEqual(status, 1)
        self.assertIn("bad| the reason", lines)
        self.assertTrue(any("bad: all output: " in line for line in lines))
        self.assertIn("the reason", (self.folder / "logs/bad.log").read_text())

    def test_a_check_that_cannot_run_says_so_at_the_start_of_a_line(self):
        status, lines = self.run_tasks(task("packages", lambda job: job.skip("needs root")))
        self.assertEqual((status, lines[-1]), (0, "0 passed, 0 failed"))
        self.assertIn("skipped: needs root", lines)


class SuiteTests(RunCase):
    def swift(self, text, **options):
        self.program(text, f"build/debug/{BINARY}")
        return self.run_tasks(task("unit", lambda job: swift_tests(
            job, scratch=self.folder / "build", **options)))

    def test_the_test_binary_receives_filters_and_settings(self):
        status, lines = self.swift(
            'echo "✔ Test $* passed after 1.0 seconds."\n'
            'echo "✔ Test \\"$CONFAB_TEST_PROGRAMS$CONFAB_LONG_TESTS $CONFAB_TEST_WIDTH\\" failed'
            ' after 1.0 seconds with 1 issue."\n'
            'echo "✘ Test run with 2 tests in 1 suite failed after 1.0 seconds."; exit 1',
            filters=["^A\\."], skips=["^B\\."], width=3, long=True)
        log = (self.folder / "logs/unit.log").read_text()
        self.assertIn("--testing-library swift-testing --filter ^A\\. --skip ^B\\.", log)
        self.assertIn('  "11 3"', lines)
        self.assertIn('unit: failed: "11 3"', lines)
        self.assertEqual((status, lines[-1]), (1, "1 passed, 1 failed"))

    def test_tests_that_belong_to_long_are_summarised_and_others_have_their_reasons(self):
        reason = "Part of script/test --long only: set CONFAB_LONG_TESTS=1"
        status, lines = self.swift(
            f"""echo '✔ Test a() passed after 1.0 seconds.'
            echo '➜ Test b() skipped: "{reason}"'
            echo '➜ Test c() skipped: "no seeds"'
            echo '✔ Test run with 3 tests in 1 suite passed after 1.0 seconds.'""")
        self.assertEqual((status, lines[-1]), (0, "1 passed, 0 failed, 2 skipped"))
        text = "\n".join(lines)
        self.assertIn("1 passed, 1 skipped, 1 belong to --long", text)
        self.assertIn("unit: 1 skipped: no seeds", lines)
        self.assertNotIn(reason, text)

    def test_colours_are_removed(self):
        status, lines = self.swift(
            "printf '\\033[91m✘\\033[0m Test a() failed after 1.0 seconds.\\n'; exit 1")
        self.assertIn("unit: failed: a()", lines)

    def test_a_run_without_tests_fails(self):
        status, lines = self.swift(
            "echo '✔ Test run with 0 tests in 0 suites passed after 0.1 seconds.'")
        self.assertEqual((status, lines[-1]), (1, "0 passed, 1 failed"))
        self.assertIn("unit: no test ran", lines)

    def test_a_crash_names_the_signal_and_the_running_tests(self):
        status, lines = self.swift("echo '◇ Test a() started.'; kill -SEGV $$")
        self.assertEqual((status, lines[-1]), (1, "0 passed, 1 failed"))
        self.assertIn("unit: unfinished: a()", lines)
        self.assertTrue(any("SIGSEGV" in line for line in lines))

    def test_a_run_that_takes_too_long_is_stopped_and_lists_what_is_unfinished(self):
        start = time.monotonic()
        with mock.patch("checks.suites.print_stacks"):
            status, lines = self.swift("echo '◇ Test a() started.'; sleep 60", minutes=0.3 / 60)
        self.assertLess(time.monotonic() - start, 10)
        self.assertEqual(status, 1)
        self.assertIn("unit: unfinished: a()", lines)

    def test_python_modules_are_counted_together_and_an_empty_one_fails(self):
        passing = "import unittest\nclass A(unittest.TestCase):\n    def test_a(self): pass\n"
        (self.folder / "test_one.py").write_text(passing)
        (self.folder / "test_two.py").write_text(passing)
        (self.folder / "test_none.py").write_text("")
        status, lines = self.run_tasks(task("kits", lambda job: python_tests(
            job, self.folder, ["test_one", "test_two"], at_once=2)))
        self.assertEqual((status, lines[-1]), (0, "2 passed, 0 failed"))
        status, lines = self.run_tasks(task("kits", lambda job: python_tests(
            job, self.folder, ["test_one", "test_none"])))
        self.assertEqual((status, lines[-1]), (1, "1 passed, 1 failed"))


class ProcessTests(RunCase):
    def test_stop_ends_a_program_with_the_processes_that_it_started(self):
        processes = Processes()
        started = self.folder / "started"
        program = self.program(f"sleep 60 & echo $! >{started}; wait")
        thread = threading.Thread(target=processes.run, args=([program], lambda line: None))
        thread.start()
        while not (started.exists() and started.read_text().strip()):
            time.sleep(0.01)
        with mock.patch("checks.processes.GROUP_SECONDS", 0.2):
            processes.stop()
        thread.join(5)
        self.assertFalse(thread.is_alive())
        child = int(started.read_text())
        with contextlib.suppress(ProcessLookupError):
            end = time.monotonic() + 2
            while time.monotonic() < end:
                state = pathlib.Path(f"/proc/{child}/stat")
                if not state.exists() or state.read_text().split()[2] == "Z":
                    return
                time.sleep(0.02)
        self.fail(f"process {child} still runs")

    def test_a_process_left_behind_does_not_block_its_check(self):
        program = self.program("setsid sleep 3 & echo done")
        lines = []
        with mock.patch("checks.processes.DRAIN_SECONDS", 0.2):
            start = time.monotonic()
            self.assertEqual(Processes().run([program], lines.append), (0, False))
        self.assertLess(time.monotonic() - start, 2)
        self.assertEqual(lines, ["done\n"])


class DisplayTests(unittest.TestCase):
    def test_a_log_gets_a_status_line_after_fifteen_quiet_seconds(self):
        now = [0.0]
        stream = io.StringIO()
        display = Display(stream, is_terminal=False, time=lambda: now[0])
        display.status("build 1")
        now[0] += HEARTBEAT_SECONDS
        display.status("build 2")
        display.status("build 3")
        self.assertEqual(stream.getvalue(), "build 2\n")

    def test_a_terminal_has_one_status_line_that_other_lines_replace(self):
        stream = io.StringIO()
        display = Display(stream, is_terminal=True)
        display.status("build 1")
        display.status("build 2")
        display.line("style: 1 passed")
        self.assertEqual(
            stream.getvalue(), "build 1\r\033[Kbuild 2\r\033[Kstyle: 1 passed\n")

    def test_progress_names_counts_and_steps_of_a_build(self):
        with tempfile.TemporaryDirectory() as folder, \
                mock.patch("checks.job.LOGS", pathlib.Path(folder)):
            job = Job("build", None, Processes(), Display(io.StringIO()))
            job.write("[5/90] Compiling Bytes Buffer.swift\n")
            self.assertEqual(job.progress(), "build 5 of 90 steps")
            job.log.close()
            job = Job("unit", None, Processes(), Display(io.StringIO()))
            job.log.close()
            job.outputs.append(SwiftOutput())
            for line in ("◇ Test a() started.\n", "◇ Test b() started.\n",
                         "✔ Test a() passed after 1.0 seconds.\n"):
                job.outputs[0].feed(line)
            self.assertEqual(job.progress(), "unit 1 ended, 1 started")


class CommandTests(unittest.TestCase):
    def test_an_unknown_name_or_option_exits_with_2_and_similar_names(self):
        for word, near in (("stlye", "style"), ("--chnged", "--changed")):
            done = subprocess.run([support.ROOT / "script/test", word], capture_output=True,
                                  text=True)
            self.assertEqual(done.returncode, 2, done.stdout)
            self.assertIn(word, done.stderr)
            self.assertIn(near, done.stderr)

    def test_help_lists_every_check(self):
        done = subprocess.run([support.ROOT / "script/test", "--help"], capture_output=True,
                              text=True)
        for check in table.CHECKS:
            self.assertRegex(done.stdout, rf"(?m)^  {check.name} ")
        self.assertLessEqual(max(map(len, done.stdout.splitlines())), 100)

    def test_sigterm_stops_the_programs_of_the_checks_and_exits_with_130(self):
        with tempfile.TemporaryDirectory() as folder:
            text = f"""
import sys; sys.path.insert(0, {str(support.ROOT / "script")!r}); sys.dont_write_bytecode = True
import pathlib
from unittest import mock
from checks import job, main, tasks
job.LOGS = main.LOGS = pathlib.Path({folder!r})
run = lambda each: each.run(["sh", "-c", "echo $$ >{folder}/id; exec sleep 60"])
chosen = [tasks.Task("slow", "nothing", "beside", run, "slow")]
with mock.patch("checks.tasks.main_words", return_value=chosen):
    sys.exit(main.main("", []))
"""
            process = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE,
                                       text=True)
            path = pathlib.Path(folder) / "id"
            while not (path.exists() and path.read_text().strip()):
                time.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            output = process.communicate(timeout=10)[0]
            self.assertEqual(process.returncode, 130, output)
            self.assertRegex(output.splitlines()[-1], r"^0 passed, 1 failed$")
            self.assertFalse(os.path.exists(f"/proc/{path.read_text().strip()}"))


if __name__ == "__main__":
    unittest.main()
