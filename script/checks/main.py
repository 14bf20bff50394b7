"""The run: bootstrap, then the steps of the table, and a report of all tasks."""

import os
import signal
import subprocess
import threading
import time

from . import table, tasks
from .display import Display, clock
from .job import LOGS, ROOT, Job
from .outputs import LONG_REASON
from .processes import Processes

# So many last lines of a check's output are repeated if it names no failed test.
TAIL_LINES = 40
FAILURE_LINES = 200


class BootstrapFailed(Exception):
    """The tools of the checks are missing and cannot be installed."""


class Run:
    def __init__(self, chosen, display):
        self.display = display
        self.processes = Processes()
        self.steps = steps_of(chosen)
        self.count = len(self.steps)
        self.jobs = []
        self.running = []
        self.unstarted = [task for step in self.steps for task in step]
        self.start = time.monotonic()
        self.title = ""

    def perform(self):
        """Runs step after step. After a failure no further one starts, and those that run end."""
        has_tools = False
        for number, step in enumerate(self.steps, 1):
            if not has_tools and any(task.needs != "nothing" for task in step):
                # Downloads leave a core to the checks of the first step.
                has_tools = True
                bootstrap(self.display)
            # Idle checks may continue beside a build and beside tests.
            is_alone = step[0].runs == "alone"
            self.wait(lambda job: is_alone or job.task.runs != "idle")
            if any(job.has_failed for job in self.jobs):
                break
            self.title = f"step {number} of {self.count}"
            self.display.line()
            self.display.line(f"==> {self.title}: {', '.join(task.name for task in step)}")
            for task in step:
                self.begin(task)
        self.wait(lambda job: True)

    def begin(self, task):
        job = Job(task.name, task.function, self.processes, self.display)
        job.task = task
        self.unstarted.remove(task)
        self.jobs.append(job)
        self.running.append(job)
        threading.Thread(target=job.perform, daemon=True).start()

    def wait(self, is_awaited):
        while any(is_awaited(job) for job in self.running):
            time.sleep(0.1)
            for job in [job for job in self.running if job.is_done]:
                self.running.remove(job)
                self.report(job)
            if self.running:
                seconds = clock(time.monotonic() - self.start)
                self.display.status(
                    f"{self.title}, {seconds}: " + " · ".join(map(Job.progress, self.running)))

    def report(self, job):
        """Says how a task ended, and repeats what explains a failure."""
        say = self.display.line
        say(f"{job.name}: {job.result()} in {job.seconds:.1f} s")
        for reason, count in job.skipped.items():
            if not reason.startswith(LONG_REASON):
                say(f"{job.name}: {count} skipped: {reason}")
        for reason in job.skipped_whole:
            say(f"skipped: {reason}")
        if not job.has_failed:
            return
        lines = [line for block in job.failures for line in block] or list(job.tail)[-TAIL_LINES:]
        for line in lines[:FAILURE_LINES]:
            say(f"{job.name}| {line}")
        if len(lines) > FAILURE_LINES:
            say(f"{job.name}| … {len(lines) - FAILURE_LINES} further lines in the log")
        say(f"{job.name}: {job.error}")
        say(f"{job.name}: all output: {os.path.relpath(job.log_path, ROOT)}")

    def finish(self):
        """Prints the table, the failed tests and the closing line; returns the exit status."""
        say = self.display.line
        width = max([5, *(len(task.name) for step in self.steps for task in step)])
        say()
        say(f"{'check':{width}} seconds  result")
        for job in self.jobs:
            say(f"{job.name:{width}} {job.seconds:7.1f}  {job.result()}")
        for task in self.unstarted:
            say(f"{task.name:{width}} {'':>7}  not started")
        say(f"{'all':{width}} {time.monotonic() - self.start:7.1f}  "
            f"logs: {os.path.relpath(LOGS, ROOT)}")
        failed = 0
        for job in self.jobs:
            if not job.has_failed:
                continue
            failed += max(1, len(job.failed))
            say()
            say(f'script/test: the check "{job.name}" failed: {job.error}')
            for name in job.failed:
                say(f"  {name}")
            say(f"  To repeat it: script/test {job.task.again}")
        skipped = sum(sum(job.skipped.values()) for job in self.jobs)
        say()
        say(f"{sum(job.passed for job in self.jobs)} passed, {failed} failed"
            + (f", {skipped} skipped" if skipped else ""))
        return 1 if failed else 0

    def stop(self):
        """Stops all programs after a signal."""
        self.display.line()
        self.display.line("script/test: stops the processes of its checks")
        stopped = [job for job in self.running if not job.is_done]
        self.processes.stop()
        end = time.monotonic() + 5
        while time.monotonic() < end and not all(job.is_done for job in stopped):
            time.sleep(0.1)
        for job in stopped:
            job.error = "stopped by a signal"


def idle_step(task):
    """The step that starts an idle task: as soon as the tools are there that it needs."""
    return "first" if task.needs == "nothing" else "build"


def steps_of(chosen):
    """The tasks of each step. `alone` has a step for each task."""
    steps = []
    for kind in table.STEPS:
        members = [task for task in chosen if task.runs == kind]
        members += [task for task in chosen if task.runs == "idle" and kind == idle_step(task)]
        if kind == "alone":
            steps += [[task] for task in members]
        elif members:
            steps.append(members)
    return steps


def bootstrap(display):
    """Installs the tools of the checks; in the foreground, because sudo may ask for a password."""
    display.line("==> bootstrap")
    start = time.monotonic()
    if subprocess.run(["script/bootstrap", "tests"], cwd=ROOT, check=False).returncode != 0:
        raise BootstrapFailed
    display.line(f"bootstrap: tools are complete, {time.monotonic() - start:.1f} s")


def raise_interrupt(number, frame):
    raise KeyboardInterrupt


def main(help_text, arguments):
    if any(word in ("-h", "--help") for word in arguments):
        print(help_text.strip().replace("TABLE", table.listing().strip()))
        return 0
    display = Display()
    os.chdir(ROOT)
    chosen = tasks.main_words(arguments)
    if chosen is None:
        chosen = tasks.of_change(display.line)
    chosen = tasks.with_builds(chosen)
    # The checks find the installed tools on the path, like the system's.
    tools = ROOT / ".build/tools"
    os.environ["PATH"] = f"{tools}/python/bin:{tools}:{os.environ['PATH']}"
    # Also SIGINT: a shell that starts this in the background ignores it, and the programs of the
    # checks would inherit that. They end with SIGINT.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, raise_interrupt)
    run = Run(chosen, display)
    try:
        run.perform()
    except KeyboardInterrupt:
        run.stop()
        run.finish()
        return 130
    except BootstrapFailed:
        run.processes.stop()
        display.line("script/test: cannot install the tools of the checks, see above.")
        display.line("To repeat it: script/bootstrap tests")
        return 1
    return run.finish()
