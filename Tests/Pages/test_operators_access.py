"""The operators' page with a keyboard, a screen reader, a finger, zoomed and in other colours."""

import unittest

import test_access
from support import screenshots
from test_operators import OperatorPageTest, admin_request

#: Controls of a page that scrolls are tested in the middle of the viewport.
SMALL = test_access.SMALL.replace('block: "nearest"', 'block: "center", inline: "center"')


class OperatorAccessTests(OperatorPageTest):
    def check(self, page, state):
        test_access.AccessTests.check(self, page, state)

    def overview(self):
        """The data of a cluster in every state that rows, shards and parts can have."""
        overview = admin_request(self.server, "overview")
        [row] = overview["nodes"]["nodes"]
        names = ["n1", "n2", "n3", "n4"]
        states = ["active", "draining", "suspect", "gone"]
        overview["nodes"]["nodes"] = [
            dict(row, node=name, state=state) if state in ("active", "draining") else
            {key: None for key in row} | {"node": name, "state": state, "unreachable_for": 14}
            for name, state in zip(names, states)]
        overview["nodes"] |= {"nodes_asked": 4, "nodes_answered": 2}
        overview["shards"] |= {"nodes": names[:3], "owners": [n % 3 for n in range(4096)],
                               "moving": list(range(1024, 2048))}
        overview["status"]["problems"] = ["n4 has been gone for 14 s", "1024 shards are moving"]
        overview["redis"] = {"error": "Redis does not answer."}
        overview["events"] = {"events": [
            {"id": f"{n}-0", "timestamp": f"2026-11-26T11:00:{n:02}.000Z", "event": "drain",
             "node": "n2", "operator": "ops", "detail": "2 connections"} for n in range(40)]}
        return overview

    def crowded(self, **options):
        context = self.context(**options)
        context.route("**/api/cluster/overview", lambda route: route.fulfill(json=crowd))
        crowd = self.overview()
        return self.operators(context=context)

    def test_axe_finds_nothing_in_any_state(self):
        page = self.operators()
        self.check(page, "one node")
        room = self.server.create()
        self.server.fill(room, ["hello"])
        self.look_up(page, "history", conversation=room)
        self.check(page, "answer")
        self.look_up(page, "verify", conversation=room)
        self.check(page, "record")
        page.select_option("#operate-verb", "drain")
        page.fill("#operate-node", "n9")
        page.click("#operate .primary")
        page.wait_for_selector("#answer .failure")
        self.check(page, "refused change")
        page.keyboard.press("Escape")
        # A cluster keeps its last node.
        page.click("#nodes tbody button")
        page.wait_for_selector("#answer .failure:has-text('force')")
        page.keyboard.press("Escape")
        page.select_option("#operate-verb", "send")
        page.fill("#operate-conversation", room)
        page.fill("#operate-content", "hello")
        page.fill("#operate-user", "ops")
        page.click("#operate .primary")
        page.wait_for_selector("#confirm:visible")
        self.check(page, "dry run")
        page.keyboard.press("Escape")
        page.click("#pause")
        self.check(page, "paused")
        page.click("#pause")
        self.server.kill()
        page.wait_for_selector("#stale .failure")
        self.check(page, "no answer")
        self.server.start()
        self.check(self.crowded(), "a cluster with problems")

    def test_axe_finds_nothing_on_the_form_for_the_token(self):
        context = self.context()
        context.route("**/api/cluster/**", lambda route: route.fulfill(
            status=401, json={"error": "The admin API needs its bearer token."}))
        page = self.open_page(f"http://{self.server.admin}/", context=context)
        page.wait_for_selector("#login:visible")
        self.check(page, "token")
        self.assertEqual(page.evaluate("document.activeElement.id"), "token")
        page.keyboard.type("wrong")
        page.keyboard.press("Enter")
        page.wait_for_selector("#refused:text('not valid')")
        self.check(page, "refused token")

    def test_problems_are_announced_once_and_ages_are_not(self):
        context = self.context()
        overview = self.overview()
        context.route("**/api/cluster/overview", lambda route: route.fulfill(json=overview))
        page = self.operators(context=context)
        page.evaluate("""window.spoken = 0; new MutationObserver(() => spoken++).observe(
            document.querySelector("#news"), {childList: true})""")
        for age in (16, 18):
            overview["status"]["problems"] = [f"n4 has been gone for {age} s"]
            page.wait_for_selector(f"#problems :text('{age} s')")
        self.assertEqual(page.evaluate("spoken"), 1)
        overview["status"]["problems"] = []
        page.wait_for_selector("#problems :text('No problems.')")
        self.assertEqual(page.evaluate("spoken"), 2)
        self.assertEqual(page.text_content("#news"), "No problems.")

    def test_everything_works_by_keyboard(self):
        page = self.operators()
        room = self.server.create()
        self.server.fill(room, ["by keyboard"])

        def tab_to(selector, key="Tab"):
            for _ in range(80):
                if page.evaluate(f"document.activeElement.matches({selector!r})"):
                    style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                    self.assertNotEqual(style, "none", f"the focus of {selector} is not visible")
                    return
                page.keyboard.press(key)
            self.fail(f"Tab does not reach {selector}")

        tab_to("#pause")
        tab_to("nav a")
        tab_to("#nodes .scroller")
        tab_to("#nodes thead button")
        page.keyboard.press("Enter")
        self.assertEqual(page.get_attribute("#nodes thead th", "aria-sort"), "ascending")
        tab_to("canvas")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
        self.assertRegex(page.text_content("#shard"), r"^Shard 65: ")
        tab_to("#read-verb")
        page.keyboard.type("history")
        tab_to("#read-conversation")
        page.keyboard.type(room)
        page.keyboard.press("Enter")
        page.wait_for_selector(".answer td:text('by keyboard')")
        tab_to("#operate-verb")
        page.keyboard.type("send")
        tab_to("#operate-conversation")
        page.keyboard.type(room)
        tab_to("#operate-content")
        page.keyboard.type("typed")
        tab_to("#operate-user")
        page.keyboard.type("ops")
        page.keyboard.press("Enter")
        page.wait_for_selector("#confirm:visible")
        tab_to("#confirm")
        page.keyboard.press("Enter")
        page.wait_for_selector("dialog h3:text('Done')")
        self.assertEqual(page.evaluate("document.activeElement.textContent"), "Close")
        page.keyboard.press("Enter")
        page.wait_for_selector("dialog", state="hidden")
        self.assertEqual(page.evaluate("document.activeElement.id"), "operate-user")

    def test_nothing_is_hidden_at_320_pixels(self):
        page = self.crowded(viewport={"width": 320, "height": 640})
        self.assertEqual(page.evaluate("""[...document.querySelectorAll("#views *, header *")]
            .filter((each) => !each.closest(".scroller, .unseen"))
            .filter((each) => each.checkVisibility() && (each.getBoundingClientRect().right > 321
                || each.getBoundingClientRect().left < -1))
            .map((each) => each.outerHTML.slice(0, 80))"""), [])
        self.shoot(page, "operators-crowded")

    def test_targets_are_large_enough_for_fingers(self):
        page = self.crowded(viewport={"width": 390, "height": 844}, has_touch=True,
                            is_mobile=True)
        self.assertEqual(page.evaluate(SMALL), [])
        page.tap("#nodes tbody button")
        page.wait_for_selector("dialog[open] .failure, #confirm:visible")
        self.assertEqual([each for each in page.evaluate(SMALL)
                          if "dialog" in each or "confirm" in each], [])

    def test_forced_colours_and_reduced_motion(self):
        page = self.crowded(forced_colors="active", reduced_motion="reduce")
        page.wait_for_timeout(300)
        self.assertEqual(page.evaluate("document.getAnimations().length"), 0)
        page.screenshot(path=screenshots() / "operators-forced-colours.png", full_page=True)


if __name__ == "__main__":
    unittest.main()
