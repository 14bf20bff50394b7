"""A cluster of three nodes with Redis, from script/cluster."""

import os
import re
import signal
import subprocess
import sys

from support import BINARY, ROOT


class Cluster:
    """Processes by their names: `redis`, `n1`, `n2`, `n3`. The script restarts those that end."""

    def __init__(self, nodes=3):
        self.process = subprocess.Popen(
            [ROOT / "script/cluster", str(nodes), "--admin-port", "0"],
            env=dict(os.environ, CONFAB_BINARY=BINARY, CONFAB_ADMIN_TOKEN="off"),
            stdout=subprocess.PIPE, text=True)
        self.pids, self.admin, self.urls, self.secret = {}, {}, {}, ""
        self.stopped = set()
        for line in self.process.stdout:
            if found := re.match(r"(\w+) .* PID (\d+)", line):
                self.pids[found[1]] = int(found[2])
            if found := re.match(r"(n\d+) +(\S+) +admin (\S+)", line):
                self.urls[found[1]], self.admin[found[1]] = found[2], found[3]
            if found := re.search(r"--secret-file (\S+)", line):
                self.secret = found[1]
            if line.startswith("Ctrl-C"):
                return
        raise RuntimeError(f"script/cluster ended with status {self.process.wait()}")

    def signal(self, name, number):
        os.kill(self.pids[name], number)
        if number == signal.SIGSTOP:
            self.stopped.add(name)
        elif number == signal.SIGCONT:
            self.stopped.discard(name)

    def kill(self, name):
        self.signal(name, signal.SIGKILL)

    def await_restart(self, name):
        """Waits until the script has started the process again."""
        for line in self.process.stdout:
            if found := re.match(rf"{name} +restarted, PID (\d+)", line):
                self.pids[name] = int(found[1])
                return
        raise RuntimeError("script/cluster ended")

    def token(self, user):
        return subprocess.run(
            [BINARY, "token", "--sub", user, "--conversations", "*", "--secret-file", self.secret],
            check=True, capture_output=True, text=True).stdout.strip()

    def stop(self):
        for name in list(self.stopped):
            self.signal(name, signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            print("script/cluster did not stop", file=sys.stderr)
