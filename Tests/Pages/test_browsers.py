"""The same story in Chromium, Firefox and WebKit, with one node and with a cluster of three."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from browsers import BROWSERS, ENTER, UP
from support import BINARY, ROOT, Server, screenshots

LIMITS = ("--limit", "messages-per-second=100000", "--limit", "message-burst=100000")
#: The first fully visible message and its distance from the top of the viewport.
POSITION = """(() => {
    const edge = document.querySelector("#scroller").getBoundingClientRect().top;
    const row = [...document.querySelectorAll(".row")]
        .find((each) => each.getBoundingClientRect().top >= edge);
    return row && [row.id, row.getBoundingClientRect().top - edge];
})()"""


class Cluster(Server):
    """Three nodes behind HAProxy. `script/cluster` starts a killed node again after five seconds."""

    def start(self):
        log = pathlib.Path(self.folder, "log")
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [ROOT / "script/cluster", "3"], stdout=output, stderr=output,
                env={**os.environ, "CONFAB_BINARY": BINARY, "CONFAB_ANONYMOUS": "on",
                     "CONFAB_LIMIT": ",".join(LIMITS[1::2])})
        while "Ctrl-C stops everything" not in log.read_text():
            if self.process.poll() is not None:
                raise RuntimeError("the cluster does not start: " + log.read_text())
            time.sleep(0.1)
        text = log.read_text()
        self.port = int(re.search(r"^haproxy .*:([0-9]+)", text, re.M)[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def processes(self, node):
        """The ids of a node's process, and of those that replaced it."""
        text = pathlib.Path(self.folder, "log").read_text()
        return [int(each) for each in re.findall(rf"^{node} .*PID ([0-9]+)$", text, re.M)]

    def faults(self):
        """Kills one node after the other, each while the others run."""
        for node in ("n1", "n2", "n3"):
            known = self.processes(node)
            os.kill(known[-1], signal.SIGKILL)
            yield
            while len(self.processes(node)) == len(known):
                time.sleep(0.1)
            time.sleep(2)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Node(Server):
    def faults(self):
        self.kill()
        yield
        self.start()


class Story:
    """What a person does, and what the page then shows."""

    def __init__(self, test, browser, server):
        self.test, self.browser, self.server = test, browser, server

    def wait(self, expression, seconds=40):
        end = time.monotonic() + seconds
        while not (value := self.browser.script(expression)):
            if time.monotonic() > end:
                name = tempfile.mktemp(prefix="failed-", suffix=".png", dir=screenshots())
                self.browser.screenshot(name)
                page = self.browser.script("document.body.innerText")
                self.test.fail(f"{self.browser.name}: {expression}; see {name}; {page}")
            time.sleep(0.05)
        return value

    def shows(self, selector, text="", seconds=40):
        """Waits for a visible element that contains a text."""
        self.wait(f"""[...document.querySelectorAll("{selector}")].some((each) =>
            each.checkVisibility() && each.textContent.includes("{text}"))""", seconds)

    def online(self):
        self.wait("""/(person|people) here/.test(document.querySelector("#state").textContent)""")

    def say(self, text):
        self.browser.type("#field", text + ENTER)
        self.shows(".row.mine .body", text)

    def play(self):
        browser, server = self.browser, self.server
        browser.go(server.url + "/")
        self.shows("#new")
        browser.click("#new")
        browser.type("#title", "A story" + ENTER)
        self.shows("#entry h2", "A story")
        browser.type("#name", "Ann" + ENTER)
        self.online()
        room = browser.script("location.pathname").split("/")[-1]
        browser.click("#copy")
        self.wait("""document.querySelector("#hint").textContent === "Link copied"
            || document.querySelector("dialog[open] input")?.value === location.href""")
        if browser.script("""!!document.querySelector("dialog[open]")"""):
            browser.click("dialog button")

        with server.socket(room, "bob", "Bob") as bob:
            self.wait("""document.querySelector("#state").textContent === "2 people here" """)
            bob.act(action="typing", is_typing=True)
            self.shows("#hint", "Bob is typing")
            bob.act(action="send_message", content="Hello Ann")
            self.shows(".row .body", "Hello Ann")
        self.say("Hello Bob")
        self.shows("#m2:not(.sending)")
        browser.type("#field", UP)
        self.wait("""document.querySelector("#field").value === "Hello Bob" """)
        browser.type("#field", ", good morning" + ENTER)
        self.shows("#m2 .body", "Hello Bob, good morning (edited)")
        self.say("a mistake")
        self.shows("#m3:not(.sending)")
        browser.script("""document.querySelector("#m3").focus()""")
        browser.click("#m3 .delete")
        browser.click("dialog[open] [value=yes]")
        self.shows("#m3", "Message deleted")

        number = 3
        for _ in server.faults():
            self.say(f"during fault {number}")
            number += 1
            if isinstance(server, Cluster):
                self.shows(f"#m{number}:not(.sending)", f"during fault {number - 1}")
        self.shows(f"#m{number}:not(.sending)", f"during fault {number - 1}")
        self.online()

        browser.type("#field", "half a thought")
        server.fill(room, [f"filled {n} " + "word " * (n % 30) for n in range(150)])
        self.shows(f"#m{number + 150}")
        browser.script("""document.querySelector("#scroller").scrollTop -= 1500""")
        time.sleep(0.5)
        row, offset = self.wait(POSITION)
        self.test.assertNotEqual(row, f"m{number + 150}")
        browser.reload()
        self.online()
        self.wait(f"""Math.abs((document.querySelector("#{row}")?.getBoundingClientRect().top ?? 1e6)
            - document.querySelector("#scroller").getBoundingClientRect().top - {offset}) < 2""")
        self.test.assertEqual(browser.script("""document.querySelector("#field").value"""),
                              "half a thought")
        browser.screenshot(screenshots() / f"story-{browser.name}.png")
        self.test.assertEqual(
            browser.script("""document.querySelectorAll(".sending, .failed").length"""), 0)


class BrowserTests(unittest.TestCase):
    def play(self, server):
        self.addCleanup(server.stop)
        for kind in BROWSERS:
            with self.subTest(browser=kind.name):
                browser = kind()
                try:
                    Story(self, browser, server).play()
                finally:
                    browser.stop()

    def test_the_story_in_every_browser(self):
        self.play(Node(*LIMITS))

    def test_the_story_in_every_browser_while_nodes_of_a_cluster_are_killed(self):
        self.play(Cluster())


if __name__ == "__main__":
    unittest.main()
