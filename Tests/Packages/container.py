"""Roots of Debian 12 without Confab, and a booted container with systemd."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

RELEASE = "bookworm"


def run(*command, check=True, timeout=600, **options):
    """Runs a command, and raises with its output if it fails."""
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True,
        errors="replace", timeout=timeout, **options)
    if check and done.returncode != 0:
        raise AssertionError(
            f"{' '.join(map(str, command))}: status {done.returncode}\n"
            f"{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done


def wait(is_done, what, seconds=60):
    end = time.monotonic() + seconds
    while not (answer := is_done()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(0.2)
    return answer


def make_root(target, *packages):
    """A folder or an archive with Debian's smallest system and these packages."""
    include = [f"--include={','.join(packages)}"] if packages else []
    run("mmdebstrap", "--variant=minbase", *include, RELEASE, target, timeout=900)


def inside(root, *command):
    """A command in a root folder, with /proc mounted for this command only. The Swift runtime reads
    the arguments of the program there."""
    script = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
    return ["unshare", "--mount", "sh", "-c", script, str(root), *command]


def dependencies(package):
    """The names of the packages that a .deb file needs."""
    field = run("dpkg-deb", "-f", package, "Depends").stdout
    return [entry.split("|")[0].split("(")[0].strip() for entry in field.split(",")]


class Container:
    """Debian 12 that systemd-nspawn has booted, with a network of its own: only loopback."""

    def __init__(self, packages):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="confab-nspawn-"))
        self.root = self.folder / "root"
        self.nspawn = None
        try:
            make_root(self.root, "systemd", "systemd-sysv", "dbus", "procps", *packages)
            self.log = open(self.folder / "console", "w+")
            self.nspawn = subprocess.Popen(
                ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network",
                 "--console=pipe", "--resolv-conf=off", "--timezone=off",
                 f"--machine=confab-{os.getpid()}", "--boot", "-D", self.root],
                stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
            self.leader = wait(self.find_leader, "the first process of the container")
            wait(self.is_running, "the boot of the container", 180)
        except BaseException:
            self.close()
            raise

    def find_leader(self):
        if self.nspawn.poll() is not None:
            self.log.seek(0)
            raise AssertionError(f"systemd-nspawn ended: {self.log.read()[-4000:]}")
        found = run("pgrep", "-P", self.nspawn.pid, "-x", "systemd", check=False).stdout.split()
        return found[0] if found else None

    def is_running(self):
        state = self("systemctl", "is-system-running", check=False).stdout.strip()
        return state in ("running", "degraded")

    def __call__(self, *command, **options):
        """Runs a command in the container."""
        return run("nsenter", "-t", self.leader, "-a", *command, cwd="/", **options)

    def shell(self, script, **options):
        return self("bash", "-euo", "pipefail", "-c", script, **options).stdout

    def copy(self, path):
        """Copies a file to the container's /root and returns its path there."""
        shutil.copy(path, self.root / "root")
        return f"/root/{pathlib.Path(path).name}"

    def property(self, name, unit="confab"):
        return self("systemctl", "show", "-P", name, unit).stdout.strip()

    def files(self):
        """All files except those of the running system."""
        skipped = ("proc", "sys", "dev", "run", "tmp", "var/tmp", "root", "var/log/journal")
        prune = " -o ".join(f"-path /{folder}" for folder in skipped)
        return set(self.shell(f"find / \\( {prune} \\) -prune -o -print").splitlines())

    def close(self):
        if self.nspawn and self.nspawn.poll() is None:
            # systemd-nspawn turns SIGTERM into an orderly shutdown of the container.
            self.nspawn.send_signal(signal.SIGTERM)
            try:
                self.nspawn.wait(60)
            except subprocess.TimeoutExpired:
                self.nspawn.kill()
                self.nspawn.wait()
        if getattr(self, "log", None):
            self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
