"""The service of the Debian package and of the tarball, in a booted container, with the commands of
docs/operating/debian.md as printed."""

import re
import unittest

from builds import documented, documented_blocks, results
from container import Container, dependencies, run, wait


class ServiceTests(unittest.TestCase):
    """One story: the steps are in the order of their names, and each needs the ones before it."""

    @classmethod
    def setUpClass(cls):
        cls.old, cls.new = results()
        cls.machine = Container(dependencies(cls.old.package))
        cls.addClassCleanup(cls.machine.close)
        cls.files_before = cls.machine.files()
        cls.sent = []

    def install(self, build):
        path = self.machine.copy(build.package)
        command = documented("apt-get install ./confab_")
        self.machine.shell(
            re.sub(r"\S+\.deb", path, command).replace("install", "install --yes"))

    def send(self, text):
        """Sends a message in the terminal client, with a token of the service's secret."""
        token, chat = documented("confab token"), documented("confab chat")
        self.machine.shell(f"cd /root; {token}; echo '{text}' | {chat}")
        self.sent.append(text)

    def assert_messages(self):
        history = self.machine.shell("confab history lobby")
        for text in self.sent:
            self.assertIn(text, history)

    def main_process(self):
        return self.machine.property("MainPID")

    def await_restart(self, before):
        wait(lambda: self.main_process() not in ("0", before)
             and self.machine.property("ActiveState") == "active", "the restart of the service")

    def test_1_installation_starts_the_service(self):
        self.install(self.old)
        wait(lambda: self.machine.property("ActiveState") == "active", "the service")
        self.assertIn("Serving clients at http://127.0.0.1:8080",
                      self.machine.property("StatusText"))
        self.machine("confab", "health")
        verified = self.machine("systemd-analyze", "verify", "--man=no", "confab.service")
        self.assertNotIn("confab", verified.stdout + verified.stderr)
        # Root owns the secret, and the user of the service exists only while it runs.
        self.assertEqual(
            self.machine.shell("stat -c '%U %a' /etc/confab/jwt.secret"), "root 600\n")
        user = self.machine.shell(f"stat -c %u /proc/{self.main_process()}").strip()
        self.assertNotEqual(user, "0")
        self.assertNotIn(user, self.machine.shell("cut -d: -f3 /etc/passwd").split())
        self.send("before the upgrade")
        self.assert_messages()

    def test_2_a_reload_reads_the_settings(self):
        process = self.main_process()
        self.machine.shell("""
            sed -i 's|"listen"|"log-level": "debug",\\n  "listen"|' /etc/confab/confab.json
            systemctl reload confab""")
        wait(lambda: "settings reloaded" in self.machine.shell("journalctl -u confab -o cat"),
             "the reload")
        self.assertEqual(self.main_process(), process)
        self.assertEqual(self.machine.property("ActiveState"), "active")
        self.machine.shell("""
            cp /etc/confab/confab.json /root/confab.json
            echo '{' > /etc/confab/confab.json
            systemctl reload confab""")
        wait(lambda: "The reload failed" in self.machine.property("StatusText"),
             "the report of the failed reload")
        self.assertEqual(self.main_process(), process)
        self.machine.shell("cp /root/confab.json /etc/confab/confab.json; systemctl reload confab")
        wait(lambda: "The reload failed" not in self.machine.property("StatusText"),
             "the report of the reload")

    def test_3_a_killed_node_starts_again(self):
        process = self.main_process()
        self.machine("kill", "-KILL", process)
        self.await_restart(process)
        self.assert_messages()

    def test_4_the_watchdog_restarts_a_stopped_node(self):
        self.machine.shell("""
            mkdir -p /run/systemd/system/confab.service.d
            printf '[Service]\\nWatchdogSec=3\\n' > /run/systemd/system/confab.service.d/test.conf
            systemctl daemon-reload
            systemctl restart confab""")
        process = self.main_process()
        # A node that runs satisfies it for longer than its limit.
        self.machine("sleep", "5")
        self.assertEqual(self.main_process(), process)
        self.machine("kill", "-STOP", process)
        self.await_restart(process)
        self.assertIn("Watchdog timeout", self.machine.shell("journalctl -u confab -o cat"))
        self.machine.shell("rm -r /run/systemd/system/confab.service.d; systemctl daemon-reload")
        self.assert_messages()

    def test_5_an_upgrade_keeps_messages_and_settings(self):
        process = self.main_process()
        secret = self.machine.shell("cat /etc/confab/jwt.secret")
        self.install(self.new)
        self.await_restart(process)
        version = self.machine.shell("dpkg-query -W -f '${Version}' confab")
        self.assertTrue(version.endswith("+2"), version)
        self.assertEqual(self.machine.shell("cat /etc/confab/jwt.secret"), secret)
        self.assertIn('"log-level": "debug"', self.machine.shell("cat /etc/confab/confab.json"))
        self.send("after the upgrade")
        self.assert_messages()

    def test_6_the_printed_change_of_the_address_needs_a_restart(self):
        change = documented("sed -i")
        self.machine.shell(f"{change}; {documented('systemctl restart confab')}")
        self.assertIn("Serving clients at http://0.0.0.0:8080",
                      self.machine.property("StatusText"))
        self.assertIn("0.0.0.0:8080", self.machine.shell(
            "confab config show --config /etc/confab/confab.json"))
        self.send("at another address")
        self.assert_messages()

    def test_6b_the_printed_drop_ins_allow_a_certificate_and_port_443(self):
        folder = self.machine.folder
        run("openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "1",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
            "-keyout", folder / "chat.key", "-out", folder / "chat.crt")
        for name in ("chat.key", "chat.crt"):
            self.machine.copy(folder / name)
        certificate, port = documented_blocks("ini")
        settings, = documented_blocks("json")
        drop_ins = self.machine.root / "etc/systemd/system/confab.service.d"
        drop_ins.mkdir(parents=True)
        (drop_ins / "certificate.conf").write_text(certificate)
        (drop_ins / "port.conf").write_text(port)
        file = self.machine.root / "etc/confab/confab.json"
        text = file.read_text()
        file.write_text(text.replace("{", "{" + settings, 1).replace(":8080", ":443"))
        self.machine.shell("""
            mkdir -p /etc/ssl/private
            mv /root/chat.key /root/chat.crt /etc/ssl/private
            chmod 600 /etc/ssl/private/chat.key
            systemctl daemon-reload
            systemctl restart confab
            confab health https://127.0.0.1 --ca /etc/ssl/private/chat.crt
            rm -r /etc/systemd/system/confab.service.d /etc/ssl/private/chat.*
            systemctl daemon-reload""")
        file.write_text(text)

    def test_7_an_invalid_setting_stops_the_service_with_its_reason(self):
        self.machine.shell("echo '{\"lisen\": 1}' > /etc/confab/confab.json")
        failed = self.machine("systemctl", "restart", "confab", check=False)
        self.assertNotEqual(failed.returncode, 0)
        self.assertEqual(self.machine.property("ExecMainStatus"), "2")
        self.assertEqual(self.machine.property("NRestarts"), "0")
        self.assertIn("lisen", self.machine.shell("journalctl -u confab -o cat"))
        self.machine.shell("cp /root/confab.json /etc/confab/confab.json; systemctl start confab")
        self.assert_messages()

    def test_8_removal_keeps_the_messages_and_a_purge_leaves_nothing(self):
        self.machine.shell("apt-get remove --yes confab")
        self.assertEqual(self.machine.property("ActiveState"), "inactive")
        self.machine("test", "-s", "/var/lib/private/confab/confab.db")
        self.machine("test", "-s", "/etc/confab/confab.json")
        self.machine.shell("apt-get purge --yes confab")
        left = {file for file in self.machine.files() - self.files_before if "confab" in file}
        self.assertEqual(left, set())

    def test_9_the_tarball_has_the_same_service(self):
        self.machine.copy(self.new.tarball)
        commands = [re.sub(r"confab-\S+\.tar\.gz", self.new.tarball.name, documented("tar -xzf"))]
        commands += [documented(start) for start in (
            "mkdir -p /etc/confab", "cp /usr/local/etc", "(umask 077;",
            "systemctl daemon-reload", "systemctl enable --now confab")]
        self.machine.shell("cd /root; " + "; ".join(commands))
        wait(lambda: self.machine.property("ActiveState") == "active", "the service")
        self.assertIn("/usr/local/bin/confab", self.machine.property("ExecStart"))
        self.sent.clear()
        self.send("from the tarball")
        self.assert_messages()
