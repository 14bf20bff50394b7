"""The pages by keyboard, with a screen reader, zoomed, in other colours and directions."""

import unittest

from axe_playwright_python.sync_playwright import Axe

from support import PageTest, drain, online, say, texts

AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}

#: The visible controls that a finger misses 21 px from their centre. Links inside of text are
#: exempt; controls outside of the viewport are scrolled to first.
SMALL = """[...document.querySelectorAll("button, a[href], textarea, input")]
    .filter((each) => each.checkVisibility({visibilityProperty: true, opacityProperty: true})
        && !each.closest(".body, .you"))
    .filter((each) => {
        each.scrollIntoView({block: "nearest"});
        const {left, top, width, height} = each.getBoundingClientRect();
        const x = left + width / 2, y = top + height / 2;
        return [[0, 0], [0, 21], [0, -21], [21, 0], [-21, 0]].some(([right, down]) =>
            !each.contains(document.elementFromPoint(x + right, y + down)));
    }).map((each) => each.outerHTML)"""


class AccessTests(PageTest):
    def check(self, page, state):
        """No violation in light and dark."""
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_timeout(300)
            found = Axe().run(page, options=AXE).response["violations"]
            self.assertEqual(found and [
                (each["id"], [node["html"][:160] + str([any_["message"] for any_ in node["any"]])
                              for node in each["nodes"]][:3]) for each in found], [],
                f"{state}, {scheme}")
        page.emulate_media(color_scheme="light")

    def test_axe_finds_nothing_in_any_state(self):
        page = self.page("/conversations")
        # axe needs eval, which the policy of the pages forbids.
        page.wait_for_timeout(300)
        self.check(page, "list, empty")
        page.click("#new")
        self.check(page, "list, create")
        room = self.server.create("Access", "a description")
        page.reload()
        page.wait_for_selector("#list li")
        self.check(page, "list")
        page.goto(f"{self.server.url}/conversation/{room}")
        page.wait_for_selector("#name")
        self.check(page, "entry")
        page.fill("#name", "Ann")
        page.press("#name", "Enter")
        online(page)
        self.check(page, "empty")
        with self.server.socket(room) as bot:
            # One author for each of the twelve colours.
            for number in range(24):
                self.server.fill(room, [f"hello `code` https://a.example/{number}"],
                                 f"user{number}", f"User {number}")
            page.wait_for_selector("#m24")
            say(page, "own message")
            page.wait_for_selector(".row.mine.delivered, .row.mine.read")
            bot.act(action="typing", is_typing=True)
            page.wait_for_selector("#hint:text-matches('typing')")
            self.check(page, "chat")
        page.hover(".row.mine")
        self.check(page, "actions")
        page.click(".row.mine .delete")
        self.check(page, "delete")
        page.keyboard.press("Escape")
        page.press("#field", "ArrowUp")
        self.check(page, "edit")
        page.keyboard.press("Escape")
        page.set_viewport_size({"width": 390, "height": 844})
        page.click("#people")
        self.check(page, "people")
        page.keyboard.press("Escape")
        say(page, "x" * 17000)
        page.wait_for_selector(".row.failed")
        self.check(page, "refused message")
        page.click("text=Discard")
        page.evaluate("document.querySelector('#scroller').scrollTop = 0")
        self.server.fill(room, ["unseen"])
        page.wait_for_selector("#newest:visible")
        self.check(page, "scrolled")
        self.server.kill()
        page.wait_for_selector("#retry:visible")
        self.check(page, "broken")
        self.server.start()
        page.goto(f"{self.server.url}/conversation/none")
        page.wait_for_selector("#gone h2:text-matches('.')")
        self.check(page, "unknown")

    def test_axe_finds_nothing_in_reactions_replies_mentions_pins_and_search(self):
        room = self.server.create()
        page = self.enter(room)
        with self.server.socket(room) as bot:
            for number in range(3):
                bot.act(action="send_message", content=f"hello {number}, @Ann @all", mentions="all",
                        **({"reply_to": "1"} if number else {}))
            drain(bot, 3)
            for emoji in ("👍", ":ship:"):
                bot.act(action="react", message_id="1", emoji=emoji, on=True)
            bot.act(action="pin", message_id="2")
            page.wait_for_selector("#m1 .reaction >> nth=2")
            page.wait_for_selector("#pinned:visible")
            page.click("#m1 .reaction")
            page.wait_for_selector("#m1 [aria-pressed=true]")
            page.wait_for_selector("#m1 .replies")
            page.hover("#m1")
            self.check(page, "features")
            page.click("#m1 .actions .reply")
            page.type("#field", "@")
            page.wait_for_selector("#options:visible")
            self.check(page, "mention")
            page.keyboard.press("Escape")
            page.keyboard.press("Escape")
            page.click("#m1 .actions .react")
            page.wait_for_selector("#picker:popover-open")
            self.check(page, "picker")
            page.keyboard.press("Escape")
            for button, name, ready in (("#m1 .replies", "thread", "#t3"),
                                        ("#pinned", "pins", "#panel .result"),
                                        ("#find", "search", "#panel input")):
                page.click(button)
                page.wait_for_selector(ready)
                if name == "search":
                    page.keyboard.type("hello")
                    page.wait_for_selector("#panel .result")
                self.check(page, name)
                page.set_viewport_size({"width": 360, "height": 640})
                self.check(page, name + " on a phone")
                page.set_viewport_size({"width": 1280, "height": 720})

    def test_fingers_reach_reactions_replies_mentions_pins_and_search(self):
        room = self.server.create()
        context = self.browser.new_context(viewport={"width": 360, "height": 720}, has_touch=True,
                                           is_mobile=True, locale="en-GB")
        self.addCleanup(context.close)
        page = self.enter(room, context=context)
        with self.server.socket(room) as bot:
            for number in range(3):
                bot.act(action="send_message", content=f"hello {number}, @all", mentions="all",
                        **({"reply_to": "1"} if number else {}))
            drain(bot, 3)
            for emoji in ("👍", "🎉", "😂", "👀", "🚀", "🐛", ":ship:"):
                bot.act(action="react", message_id="1", emoji=emoji, on=True)
            bot.act(action="pin", message_id="2")
            page.wait_for_selector("#m1 .reaction >> nth=7")
            page.wait_for_selector("#pinned:visible")
            self.assertEqual(page.evaluate(SMALL), [])
            self.shoot(page, "touch-features", ((360, 720),))
            page.tap("#m1 .body")
            self.assertEqual(page.evaluate(SMALL), [])
            page.tap("#m1 .actions .react")
            page.wait_for_selector("#picker:popover-open")
            small = SMALL.replace("document.querySelectorAll", "picker.querySelectorAll")
            self.assertEqual(page.evaluate(small), [])
            page.tap("#picker button")
            page.wait_for_selector("#m1 [aria-pressed=true]")
            for button, ready in (("#m1 .replies", "#t3"), ("#pinned", "#panel .result")):
                page.tap(button)
                page.wait_for_selector(ready)
                self.assertEqual([each for each in page.evaluate(SMALL) if "panel" in each], [])
                page.tap("#panel .close")
            self.assertEqual(page.evaluate("document.documentElement.scrollWidth"), 360)

    def test_the_whole_story_works_by_keyboard(self):
        page = self.page("/conversations")
        page.wait_for_selector("#new:visible")

        def focused():
            return page.evaluate("document.activeElement.id || document.activeElement.className"
                                 " || document.activeElement.tagName")

        def tab_to(name, key="Tab"):
            for _ in range(15):
                if name in focused():
                    visible = page.evaluate("getComputedStyle(document.activeElement).outlineStyle"
                                            " !== 'none' || document.activeElement.id === 'field'")
                    self.assertTrue(visible, f"the focus of {name} is not visible")
                    return
                page.keyboard.press(key)
            self.fail(f"Tab does not reach {name}, but {focused()}")

        tab_to("new")
        page.keyboard.press("Enter")
        self.assertEqual(focused(), "title")
        page.keyboard.type("By keyboard")
        page.keyboard.press("Enter")
        page.wait_for_selector("#name:visible")
        self.assertEqual(focused(), "name")
        page.keyboard.type("Ann")
        page.keyboard.press("Enter")
        online(page)
        tab_to("field")
        page.keyboard.type("first line")
        page.keyboard.press("Shift+Enter")
        page.keyboard.type("second line")
        page.keyboard.press("Enter")
        page.wait_for_selector(".row.mine:has-text('second line'):not(.sending)")
        self.assertEqual(focused(), "field")
        page.keyboard.type("another")
        page.keyboard.press("Enter")
        page.wait_for_selector("#m2:not(.sending)")
        page.keyboard.press("ArrowUp")
        self.assertEqual(page.input_value("#field"), "another")
        page.keyboard.press("Escape")
        self.assertEqual(page.input_value("#field"), "")
        tab_to("scroller", "Shift+Tab")
        page.keyboard.press("ArrowUp")
        self.assertEqual(focused(), "m2")
        page.keyboard.press("ArrowUp")
        self.assertEqual(focused(), "m1")
        for button in ("react", "reply", "pin", "edit", "delete"):
            page.keyboard.press("Tab")
            self.assertIn(button, focused())
        page.keyboard.press("Enter")
        page.wait_for_selector("dialog[open]")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_selector("#m1:has-text('Message deleted')")
        self.assertEqual(focused(), "field")
        tab_to("scroller", "Shift+Tab")
        page.keyboard.press("?")
        page.wait_for_selector("dialog[open] dt")
        self.shoot(page, "keys", ((390, 844),))
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
        self.assertEqual(focused(), "field")

    def test_new_messages_of_others_are_read_out_once(self):
        room = self.server.create()
        self.server.fill(room, ["history"])
        page = self.enter(room)
        say(page, "own message")
        page.wait_for_selector("#m2")
        self.server.fill(room, ["hello there"])
        page.wait_for_selector("#log :text('Bot: hello there')", state="attached")
        page.wait_for_timeout(1500)
        spoken = page.text_content("#log")
        self.assertEqual(spoken.count("hello there"), 1)
        self.assertNotIn("history", spoken)
        self.assertNotIn("own message", spoken)
        self.assertNotRegex(spoken, "[0-9]:[0-9]")
        self.server.fill(room, [f"many {n}" for n in range(20)])
        page.wait_for_selector("#log :text-matches('new messages')", state="attached")
        self.server.fill(room, [f"more {n}" for n in range(5)])
        self.assertLessEqual(page.locator("#log p").count(), 30)
        self.assertIsNone(page.get_attribute("#list", "aria-live"))

    def test_narrow_zoomed_and_widely_spaced_text_fits(self):
        room = self.server.create("A rather long title of a conversation", "about " * 30)
        self.server.fill(room, ["word " * 60, "x" * 400, "https://a.example/" + "y" * 300])
        page = self.enter(room, name="A person with a long name " * 2, viewport={"width": 320, "height": 480})
        page.wait_for_selector("#m3")
        # 200 % zoom of a screen 640 px wide is 320 px; text spacing as in WCAG 1.4.12.
        page.add_init_script("addEventListener('DOMContentLoaded', () => {"
                             "const sheet = new CSSStyleSheet();"
                             "sheet.replaceSync('* { line-height: 1.5 !important; letter-spacing:"
                             " .12em !important; word-spacing: .16em !important }');"
                             "document.adoptedStyleSheets = [sheet]; })")
        for path in (f"/conversation/{room}", "/conversations"):
            page.goto(self.server.url + path)
            page.wait_for_selector("#m3, #list li")
            page.wait_for_timeout(300)
            self.assertEqual(page.evaluate("""(() => {
                const wide = innerWidth;
                return [...document.querySelectorAll("body *")].filter((each) => {
                    const {left, right, width} = each.getBoundingClientRect();
                    return width > 1 && (right > wide + 1 || left < -1)
                        && !each.closest("pre, #about, .unseen");
                }).map((each) => each.outerHTML.slice(0, 80));
            })()"""), [])
        self.shoot(page, "list-spaced", ((320, 640),))

    def test_targets_are_large_enough_for_fingers(self):
        room = self.server.create()
        context = self.browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True,
                                           is_mobile=True, locale="en-GB")
        self.addCleanup(context.close)
        page = self.enter(room, context=context)
        say(page, "own")
        page.click(".send")
        page.wait_for_selector("#m1")
        page.tap("#m1 .body")
        page.wait_for_selector("#m1 .delete:visible")
        page.click("#people")
        self.assertEqual(page.evaluate(SMALL), [])
        page.keyboard.press("Escape")
        page.tap("#m1 .body")
        self.assertEqual(page.evaluate(SMALL), [])
        page.press("#field", "ArrowUp")
        self.assertEqual(page.evaluate(SMALL), [])
        page.goto(self.server.url + "/conversations")
        page.wait_for_selector("#list li")
        self.assertEqual(page.evaluate(SMALL), [])
        page.go_back()
        online(page)
        self.assertGreaterEqual(page.evaluate(
            "parseFloat(getComputedStyle(document.querySelector('#field')).fontSize)"), 16)
        self.shoot(page, "touch", ((390, 844),))

    def test_enter_writes_a_new_line_on_touch_screens(self):
        context = self.browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True,
                                           is_mobile=True, locale="en-GB")
        self.addCleanup(context.close)
        page = self.enter(self.server.create(), context=context)
        page.type("#field", "one")
        page.press("#field", "Enter")
        page.type("#field", "two")
        self.assertEqual(page.input_value("#field"), "one\ntwo")
        page.tap(".send")
        page.wait_for_selector("#m1")
        self.assertEqual(texts(page), ["one\ntwo"])

    def test_forced_colours_and_reduced_motion(self):
        room = self.server.create()
        page = self.enter(room, forced_colors="active", reduced_motion="reduce")
        say(page, "own")
        page.wait_for_selector("#m1")
        page.hover("#m1")
        self.assertNotEqual(page.evaluate(
            "getComputedStyle(document.querySelector('.send'), '::before').backgroundColor"),
            page.evaluate("getComputedStyle(document.querySelector('.send')).backgroundColor"))
        page.screenshot(path=self.folder() / "forced-colours.png")

    def folder(self):
        from support import screenshots
        return screenshots()


if __name__ == "__main__":
    unittest.main()
