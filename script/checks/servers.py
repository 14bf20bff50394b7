"""Starts a server as its users do, and stops it."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from .job import Failed, described

READY = re.compile(r"^confab ready on http://(\S+) ", re.M)


@contextmanager
def server(job, *command):
    """Runs a server in a folder of its own, and yields its address. SIGTERM must end it with 0."""
    folder = Path(tempfile.mkdtemp(prefix="confab-server."))
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(
            [*map(str, command), "--listen", "127.0.0.1:0", "--admin", "off"], cwd=folder,
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, process_group=0)
    with job.processes.lock:
        job.processes.running.add(process)
    try:
        while not (match := READY.search((folder / "log").read_text(errors="replace"))):
            if process.poll() is not None:
                show_end(job, folder)
                raise Failed(f"{command[0]} is not ready, it {described(process.returncode)}")
            time.sleep(0.1)
        yield match[1]
        process.terminate()
        if process.wait(60) != 0:
            show_end(job, folder)
            raise Failed(f"{command[0]} {described(process.returncode)}")
    finally:
        with job.processes.lock:
            job.processes.running.discard(process)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    shutil.rmtree(folder)


def show_end(job, folder):
    for line in (folder / "log").read_text(errors="replace").splitlines()[-15:]:
        job.write(line)
