"""The operators' page in Chromium, Firefox and WebKit: views, a look-up, a change, a dead node."""

import unittest

from browsers import BROWSERS, ENTER
from support import Server, free_port, screenshots
from test_browsers import Story


class OperatorStory(Story):
    def play(self):
        browser, server = self.browser, self.server
        room = server.create()
        browser.go(f"http://{server.admin}/")
        self.shows("#nodes tbody td", "active")
        self.shows("#problems li", "No problems.")
        self.shows("#shards tfoot td", "4096")
        # The map has a colour.
        self.wait("""document.querySelector("canvas").getContext("2d").getImageData(2, 2, 1, 1)
            .data[3] === 255""")
        self.wait("""document.querySelector("path").getAttribute("d").includes("L")""")
        browser.script("""document.querySelector("#operate-verb").value = "send" """)
        browser.script("""document.querySelector("#operate-verb").onchange()""")
        browser.type("#operate-conversation", room)
        browser.type("#operate-content", "from the page")
        browser.type("#operate-user", "ops" + ENTER)
        self.shows("dialog[open] #confirm", "Send")
        browser.click("#confirm")
        self.shows("dialog[open] h3", "Done")
        browser.click("dialog form button")
        browser.type("#read-conversation", room + ENTER)
        self.shows(".answer td", "from the page")
        self.test.assertIn(f"confab history {room}",
                           browser.script("""document.querySelector("#read-command").textContent"""))
        browser.screenshot(screenshots() / f"operators-{browser.name}.png")
        self.test.assertLessEqual(
            browser.script("document.documentElement.scrollWidth - innerWidth"), 0)
        server.kill()
        self.shows("#stale .failure", "does not answer. The data is from")
        server.start()
        self.wait("""!document.querySelector("#stale .failure")""")


class OperatorBrowserTests(unittest.TestCase):
    def test_the_page_in_every_browser(self):
        server = Server(admin=f"127.0.0.1:{free_port()}")
        self.addCleanup(server.stop)
        for kind in BROWSERS:
            with self.subTest(browser=kind.name):
                browser = kind()
                try:
                    OperatorStory(self, browser, server).play()
                finally:
                    browser.stop()


if __name__ == "__main__":
    unittest.main()
