"""The operators' page on three nodes with Redis: drains, and faults of nodes and of Redis."""

import contextlib
import re
import signal
import threading
import time
import unittest

from websockets.sync.client import connect

from cluster import Cluster
from support import PageTest
from test_operators import OperatorPageTest


class ClusterTests(OperatorPageTest):
    @classmethod
    def setUpClass(cls):
        PageTest.setUpClass.__func__(cls)
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.stop)

    def operators(self, node="n1", **options):
        page = self.open_page(self.cluster.admin[node] + "/", **options)
        page.wait_for_selector("#views:visible")
        self.settle(page)
        return page

    def settle(self, page):
        """Waits until all nodes are active and no shard moves."""
        self.wait(page, """document.querySelectorAll("#nodes tbody .good").length === 3
            && /, 0 moving/.test(document.querySelector("canvas").ariaLabel)""",
            "three active nodes", timeout=60)

    @contextlib.contextmanager
    def clients(self, count):
        """Connections that read until they are closed, on all nodes in turn."""
        urls = [url.replace("http", "ws") for url in self.cluster.urls.values()]
        opened = []
        for number in range(count):
            token = self.cluster.token(f"user{number}")
            opened.append(connect(
                f"{urls[number % len(urls)]}/conversations/lobby/?token={token}"))

        def read(connection):
            with contextlib.suppress(Exception):
                for _ in connection:
                    pass

        for connection in opened:
            threading.Thread(target=read, args=(connection,), daemon=True).start()
        try:
            yield opened
        finally:
            for connection in opened:
                with contextlib.suppress(Exception):
                    connection.close()

    def row(self, page, node):
        return f"#nodes tbody tr:has(th:text-is('{node}'))"

    def test_a_node_is_drained_and_resumed(self):
        page = self.operators()
        with self.clients(6):
            self.wait(page, "document.querySelector('#nodes tfoot').textContent.includes('6')")
            self.shoot(page, "operators-cluster")
            page.focus(f"{self.row(page, 'n2')} button")
            page.keyboard.press("Enter")
            page.wait_for_selector("#confirm:text-is('Drain n2'):visible")
            self.assertRegex(page.text_content("#answer"),
                             r"n2 would hand over \d+ shards and close 2 clients")
            page.keyboard.press("Escape")
            page.wait_for_selector("dialog", state="hidden")
            self.assertEqual(page.evaluate("document.activeElement.ariaLabel"), "Drain n2")
            page.wait_for_timeout(2500)
            # Nothing has changed, and the focus survives polls.
            self.assertEqual(page.evaluate("document.activeElement.ariaLabel"), "Drain n2")
            self.settle(page)  # A busy node may have been suspect for a moment.
            page.keyboard.press("Enter")
            page.wait_for_selector("#confirm:visible")
            page.click("#confirm")
            page.wait_for_selector("dialog h3:text('Done')")
            self.assertIn("closes 2 clients", page.text_content("#answer"))
            self.shoot(page, "operators-done", sizes=((1440, 900),))
            page.keyboard.press("Escape")
            # The row shows the progress: no shards, no connections.
            self.wait(page, """[...document.querySelectorAll("#shards tbody tr")].some((row) =>
                row.cells[0].textContent === "n2" && row.cells[1].textContent === "0")""",
                "n2 owns no shards", timeout=30)
            page.wait_for_selector(f"{self.row(page, 'n2')} button:text-is('Resume')")
            self.wait(page, """document.querySelector("#problems").textContent
                .includes("confab resume n2")""", "n2 is drained")
            self.shoot(page, "operators-drained", sizes=((1440, 900),))
        page.click(f"{self.row(page, 'n2')} button")
        page.wait_for_selector("#confirm:text-is('Resume n2'):visible")
        page.click("#confirm")
        page.wait_for_selector("dialog h3:text('Done')")
        page.keyboard.press("Escape")
        self.settle(page)
        events = page.text_content("#events")
        self.assertIn("drain", events)
        self.assertIn("resume", events)
        self.assertIn("127.0.0.1", events)

    def test_a_dead_node_is_a_grey_row(self):
        page = self.operators()
        self.cluster.kill("n3")
        page.wait_for_selector(f"{self.row(page, 'n3')}.silent", timeout=20000)
        self.assertIn("2 of 3 nodes answered", page.text_content("#nodes .failure"))
        self.assertIn("n3", page.text_content("#problems"))
        self.shoot(page, "operators-dead", sizes=((320, 640), (1440, 900)))
        self.cluster.await_restart("n3")
        self.settle(page)
        self.assertFalse(page.is_visible("#nodes .failure"))

    def test_the_page_says_that_its_own_node_is_dead_and_names_another(self):
        page = self.operators()
        self.cluster.kill("n1")
        page.wait_for_selector("#stale .failure", timeout=20000)
        self.assertRegex(page.text_content("#stale"), r"does not answer\. The data is from")
        other = page.text_content("#stale code")
        self.assertIn(other.split("--admin ")[1],
                      (self.cluster.admin["n2"], self.cluster.admin["n3"]))
        self.assertEqual(page.locator("#nodes tbody tr").count(), 3)
        self.cluster.await_restart("n1")
        page.wait_for_selector("#stale .failure", state="detached", timeout=30000)
        self.settle(page)

    def test_the_page_never_blanks_while_redis_is_stopped(self):
        page = self.operators()
        shards = page.text_content("#shards tbody")
        self.cluster.signal("redis", signal.SIGSTOP)
        self.addCleanup(lambda: "redis" in self.cluster.stopped
                        and self.cluster.signal("redis", signal.SIGCONT))
        page.wait_for_selector("text=/Redis.*(does not answer|has not answered)/", timeout=30000)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            self.assertEqual(page.locator("#nodes tbody tr").count(), 3)
            self.assertEqual(page.text_content("#shards tfoot td"), "4096")
            self.assertGreater(page.locator("#events tbody tr").count(), 0)
            page.wait_for_timeout(500)
        self.assertTrue(re.search("Redis", page.text_content("#views")))
        self.assertEqual(page.text_content("#shards tbody"), shards)
        self.shoot(page, "operators-redis")
        self.cluster.signal("redis", signal.SIGCONT)
        self.settle(page)

    def test_two_operators_who_drain_at_once_see_the_same(self):
        one, two = self.operators("n1"), self.operators("n3")
        for page in (one, two):
            page.click(f"{self.row(page, 'n2')} button")
            page.wait_for_selector("#confirm:visible")
        for page in (one, two):
            page.click("#confirm")
        for page in (one, two):
            page.wait_for_selector("dialog h3:text('Done')")
            page.keyboard.press("Escape")
            page.wait_for_selector(f"{self.row(page, 'n2')} button:text-is('Resume')",
                                   timeout=30000)
        one.click(f"{self.row(one, 'n2')} button")
        one.wait_for_selector("#confirm:visible")
        one.click("#confirm")
        one.wait_for_selector("dialog h3:text('Done')")
        for page in (one, two):
            self.settle(page)

    def test_a_node_that_dies_during_its_drain_ends_as_a_grey_row(self):
        page = self.operators()
        page.click(f"{self.row(page, 'n2')} button")
        page.wait_for_selector("#confirm:visible")
        page.click("#confirm")
        self.cluster.kill("n2")
        page.wait_for_selector("dialog h3:text-matches('Done|Not done')", timeout=30000)
        page.keyboard.press("Escape")
        page.wait_for_selector(f"{self.row(page, 'n2')}.silent", timeout=20000)
        self.cluster.await_restart("n2")
        self.settle(page)


if __name__ == "__main__":
    unittest.main()
