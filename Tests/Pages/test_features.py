"""Reactions, replies, threads, mentions, pins and search, with two people in one conversation."""

import unittest

from payloads import PAYLOADS
from support import SIZES, PageTest, drain, online, reconnect, say, texts
from test_scroll import POSITION, scroll

PHONE, WIDE = SIZES[1], SIZES[3]
REACTIONS = """(id) => [...document.querySelectorAll(`#${id} .reaction:not(.react)`)].map((each) =>
    each.value + each.lastChild.data + (each.ariaPressed === "true" ? "*" : ""))"""
VISIBLE = """(id) => {
    const row = document.getElementById(id)?.getBoundingClientRect();
    const view = document.querySelector("#scroller").getBoundingClientRect();
    return !!row && row.top >= view.top - 1 && row.bottom <= view.bottom + 1;
}"""


def act(page, row, action):
    """Uses a button that a message shows under the pointer."""
    page.hover(f"{row} .body")
    page.click(f"{row} .actions [aria-label='{action}']")


def post(bot, content, **fields):
    """Sends a message over a connection without a page."""
    bot.act(action="send_message", content=content, **fields)
    drain(bot, 1)


class FeatureTest(PageTest):
    def pair(self, messages=("one", "two", "three"), **options):
        """A conversation with messages of a bot, and two people who read it."""
        room = self.server.create()
        self.server.fill(room, messages)
        ann = self.enter(room, "Ann", **options)
        carl = self.enter(room, "Carl Peterson")
        for page in (ann, carl):
            page.wait_for_selector(f"#m{len(messages)}")
            self.wait(page, "!!document.querySelector('#picker form')", "the features are loaded")
        return room, ann, carl

    def reactions(self, page, row, expected):
        self.wait(page, f"(({REACTIONS})('{row}')).join() === '{expected}'", expected)

    def leads_to(self, page, row):
        """What happens inside of `with` leads to a message, which is marked for 2.5 seconds."""
        return self.shows(page, f"document.querySelector('#{row}.flash')")

    def restart(self, *pages):
        self.server.kill()
        for page in pages:
            page.wait_for_selector("#retry:visible")
        self.server.start()
        for page in pages:
            reconnect(page)


class ReactionTests(FeatureTest):
    def test_people_react_join_and_take_back(self):
        room, ann, carl = self.pair()
        act(ann, "#m1", "React")
        self.assertEqual(ann.evaluate("document.activeElement.value"), "👍")
        ann.keyboard.press("ArrowRight")
        ann.keyboard.press("Enter")
        for page, expected in ((ann, "❤1*"), (carl, "❤1")):
            self.reactions(page, "m1", expected)
        button = carl.locator("#m1 .reaction").first
        self.assertEqual(button.get_attribute("aria-label"), "❤ 1: Ann")
        button.click()
        for page in (ann, carl):
            self.reactions(page, "m1", "❤2*")
        self.assertEqual(button.get_attribute("title"), "you and Ann")
        self.assertTrue(ann.evaluate("(() => { const [all] = document.querySelectorAll('.reaction');"
                                     " return all.title === 'you and Carl Peterson'; })()"))
        # The picker also takes names, and says why it refuses a text.
        act(ann, "#m2", "React")
        ann.fill("#picker input", ":ship:")
        ann.keyboard.press("Enter")
        self.reactions(carl, "m2", ":ship:1")
        act(ann, "#m2", "React")
        ann.fill("#picker input", "text")
        with self.hints(ann, "Not saved: emoji: must be one emoji"):
            ann.keyboard.press("Enter")
        self.reactions(ann, "m2", ":ship:1*")
        ann.click("#m1 .reaction")
        self.reactions(carl, "m1", "❤1*")
        self.reactions(ann, "m1", "❤1")
        ann.reload()
        online(ann)
        self.reactions(ann, "m1", "❤1")
        self.reactions(ann, "m2", ":ship:1*")

    def test_the_focus_and_the_picker_survive_reactions_of_others(self):
        room, ann, carl = self.pair()
        act(ann, "#m1", "React")
        ann.keyboard.press("Enter")
        self.reactions(carl, "m1", "👍1")
        ann.focus("#m1 .reaction")
        carl.click("#m1 .reaction")
        self.reactions(ann, "m1", "👍2*")
        self.assertEqual(ann.evaluate("document.activeElement.value"), "👍")
        ann.keyboard.press("Enter")
        self.reactions(carl, "m1", "👍1*")
        ann.focus("#m1")
        ann.keyboard.press("Tab")
        ann.keyboard.press("Tab")
        self.assertIn("reaction", ann.evaluate("document.activeElement.className"))
        ann.keyboard.press("Enter")
        ann.wait_for_selector("#picker:popover-open")
        ann.keyboard.press("Escape")
        self.assertEqual(ann.evaluate("document.activeElement.ariaLabel"), "Add a reaction")

    def test_a_reaction_without_a_connection_is_saved_after_it(self):
        room, ann, carl = self.pair()
        act(ann, "#m1", "React")
        ann.keyboard.press("Enter")
        self.reactions(carl, "m1", "👍1")
        self.server.kill()
        ann.wait_for_selector("#retry:visible")
        ann.click("#m1 .reaction")
        self.reactions(ann, "m1", "")
        act(ann, "#m2", "React")
        ann.keyboard.press("Enter")
        self.reactions(ann, "m2", "👍1*")
        self.server.start()
        for page in (ann, carl):
            page.evaluate("dispatchEvent(new Event('online'))")
            online(page)
        self.reactions(carl, "m2", "👍1")
        for page in (ann, carl):
            self.reactions(page, "m1", "")

    def test_100_reactions_in_a_second_do_not_move_the_reader(self):
        room, ann, carl = self.pair([f"{n} " + "word " * (n % 20) for n in range(1, 81)])
        scroll(ann, -900)
        before, top = ann.evaluate(POSITION)
        first = int(before[1:])
        with self.server.socket(room) as bot:
            for n in range(100):
                bot.act(action="react", message_id=str(first - 10 + n % 20), on=True,
                        emoji=("👍", "❤", "🎉", "😂", ":ship:")[n // 20])
            self.wait(ann, f"""[...Array(20).keys()].every((n) => (({REACTIONS})
                ("m" + ({first - 10} + n))).length === 5)""", timeout=30)
        row, after = ann.evaluate(POSITION)
        self.assertEqual(row, before)
        self.assertAlmostEqual(after, top, delta=1)
        self.shoot(ann, "reactions", (PHONE, WIDE))
        # A reader at the end stays there.
        act(carl, "#m80", "React")
        carl.keyboard.press("Enter")
        self.reactions(carl, "m80", "👍1*")
        self.assertTrue(carl.evaluate(VISIBLE, "m80"))


class ReplyTests(FeatureTest):
    def test_a_reply_shows_what_it_answers_and_leads_there(self):
        room, ann, carl = self.pair()
        act(ann, "#m2", "Reply")
        self.assertEqual(ann.inner_text(".target span"), "Reply to Bot two")
        ann.keyboard.press("Escape")
        self.assertFalse(ann.is_visible(".target"))
        ann.focus("#m2")
        ann.keyboard.press("r")
        say(ann, "an answer")
        self.assertFalse(ann.is_visible(".target"))
        carl.wait_for_selector("#m4 .quote")
        self.assertEqual(carl.inner_text("#m4 .quote"), "Bot two")
        self.assertEqual(carl.inner_text("#m2 .replies"), "1 reply")
        with self.leads_to(carl, "m2"):
            carl.click("#m4 .quote")
        self.assertEqual(carl.evaluate("document.activeElement.id"), "m2")
        self.shoot(carl, "reply", (PHONE, WIDE))
        # An edit and a deletion of the original show in the excerpt.
        act(ann, "#m4", "Reply")
        say(ann, "to myself")
        carl.wait_for_selector("#m5 .quote")
        act(ann, "#m4", "Edit")
        say(ann, "a better answer")
        carl.wait_for_selector("#m5 .quote:has-text('a better answer')")
        act(ann, "#m4", "Delete")
        ann.click("dialog[open] [value=yes]")
        carl.wait_for_selector("#m5 .quote:has-text('Original message deleted')")
        self.assertEqual(carl.inner_text("#m2 .replies"), "2 replies")

    def test_a_reply_that_is_being_written_survives_a_reload_and_an_interruption(self):
        room, ann, carl = self.pair()
        act(ann, "#m2", "Reply")
        ann.type("#field", "later")
        ann.reload()
        online(ann)
        self.assertEqual(ann.inner_text(".target span"), "Reply to Bot two")
        self.server.kill()
        ann.wait_for_selector("#retry:visible")
        ann.press("#field", "Enter")
        ann.wait_for_selector(".row.sending .quote")
        self.server.start()
        for page in (ann, carl):
            page.evaluate("dispatchEvent(new Event('online'))")
            online(page)
        carl.wait_for_selector("#m4 .quote:has-text('two')")
        self.assertEqual(carl.inner_text("#m4 .body"), "later")

    def test_a_jump_to_a_message_that_is_not_loaded_and_back(self):
        room, ann, carl = self.pair([f"{n} " + "word " * (n % 9) for n in range(1, 701)])
        with self.server.socket(room) as bot:
            post(bot, "an old matter", reply_to="100")
        ann.wait_for_selector("#m701 .quote:has-text('100 word')")
        with self.leads_to(ann, "m100"):
            ann.click("#m701 .quote")
        self.assertTrue(ann.evaluate(VISIBLE, "m100"))
        self.assertIsNone(ann.query_selector("#m701"))
        # Others write meanwhile: they do not move the reader, and the button counts.
        before = ann.evaluate(POSITION)
        self.server.fill(room, ["while you read"])
        ann.wait_for_selector("#newest:text('1 new message')")
        self.assertEqual(ann.evaluate(POSITION), before)
        ann.reload()
        online(ann)
        self.wait(ann, f"({VISIBLE})('m100')", "the place survives a reload")
        with self.leads_to(carl, "m100"):
            carl.click("#m701 .quote")
        carl.click("#newest")
        carl.wait_for_selector("#m702")
        self.assertTrue(carl.evaluate(VISIBLE, "m702"))
        # Downwards, the surroundings meet the newest messages without a gap.
        with self.leads_to(carl, "m100"):
            carl.click("#m701 .quote")
        for _ in range(120):
            scroll(carl, 1500)
            if carl.query_selector("#m702"):
                break
        self.assertTrue(carl.evaluate("""[...document.querySelectorAll("#list .row")].every(
            (each, n, all) => !n || +each.id.slice(1) === +all[n - 1].id.slice(1) + 1)"""))
        say(carl, "here")
        carl.wait_for_selector("#m703")
        self.assertTrue(carl.evaluate(VISIBLE, "m703"))


class PressTests(FeatureTest):
    def test_a_button_is_clicked_although_its_row_changes_under_the_press(self):
        room, ann, _ = self.pair()
        with ann.expect_websocket() as connection:
            ann.reload()
        online(ann)
        say(ann, "four")
        ann.wait_for_selector("#m4")
        ann.hover("#m4 .body")
        ann.hover("#m4 [aria-label=Edit]")
        ann.mouse.down()
        with self.server.socket(room) as bot, connection.value.expect_event(
                "framereceived", lambda frame: "an answer" in frame):
            post(bot, "an answer", reply_to="4")
        # Two frames of the screen, in which the list would change.
        ann.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        ann.mouse.up()
        self.assertEqual(ann.input_value("#field"), "four")
        ann.wait_for_selector("#m4 .replies")


class ShortHistoryTests(FeatureTest):
    history = 5
    options = (*FeatureTest.options, "--history", str(history))

    def test_a_thread_outlives_its_first_message(self):
        room = self.server.create()
        self.server.fill(room, ["root"])
        with self.server.socket(room) as bot:
            post(bot, "an answer", reply_to="1")
            for n in range(self.history - 1):
                post(bot, f"message {n}")
        ann = self.enter(room, "Ann")
        ann.wait_for_selector("#m2")
        self.wait(ann, "!!document.querySelector('#picker form')", "the features are loaded")
        act(ann, "#m2", "Open thread")
        ann.wait_for_selector("#panel :text('The first message is no longer kept.'):visible")
        self.assertEqual(ann.locator("#panel [id^=t]").evaluate_all(
            "(rows) => rows.map((row) => row.id)"), ["t2"])
        ann.fill("#reply-field", "another answer")
        ann.keyboard.press("Enter")
        ann.wait_for_selector(f"#t{self.history + 2}:has-text('another answer')")


class ThreadTests(FeatureTest):
    def test_people_reply_in_a_thread_that_stays_current(self):
        room, ann, carl = self.pair()
        act(ann, "#m1", "Reply")
        say(ann, "first")
        ann.click("#m1 .replies")
        ann.wait_for_selector("#panel .row:has-text('first')")
        self.assertEqual(ann.evaluate("document.activeElement.id"), "reply-field")
        act(carl, "#m4", "Open thread")
        carl.fill("#reply-field", "second")
        carl.keyboard.press("Enter")
        for page in (ann, carl):
            page.wait_for_selector("#t5:has-text('second')")
            self.assertEqual(page.inner_text("#m1 .replies"), "2 replies")
        self.shoot(ann, "thread", (PHONE, WIDE))
        self.restart(ann, carl)
        ann.fill("#reply-field", "third")
        ann.keyboard.press("Enter")
        carl.wait_for_selector("#t6:has-text('third')")
        act(carl, "#t6", "React")
        carl.keyboard.press("Enter")
        self.reactions(ann, "t6", "👍1")
        self.reactions(ann, "m6", "👍1")
        act(ann, "#t6", "Edit")
        self.assertEqual(ann.input_value("#reply-field"), "third")
        ann.fill("#reply-field", "THIRD")
        ann.keyboard.press("Enter")
        carl.wait_for_selector("#t6:has-text('THIRD (edited)')")
        ann.keyboard.press("Escape")
        self.assertFalse(ann.is_visible("#panel"))
        self.assertEqual(ann.evaluate("document.activeElement.id"), "m1")

    def test_a_thread_fills_a_phone_and_leads_back(self):
        room, ann, carl = self.pair(viewport={"width": 360, "height": 640}, has_touch=True,
                                    is_mobile=True)
        ann.tap("#m1 .body")
        ann.tap("#m1 [aria-label=Reply]")
        ann.fill("#field", "answer")
        ann.tap("#composer .send")
        ann.tap("#m1 .replies")
        ann.wait_for_selector("#t4")
        box = ann.locator("#panel").bounding_box()
        self.assertEqual(box["width"], 360)
        self.assertEqual(ann.evaluate("document.documentElement.scrollWidth"), 360)
        ann.tap("#panel .close")
        self.assertTrue(ann.is_visible("#m4"))


class MentionTests(FeatureTest):
    def test_names_are_completed_and_mentions_are_shown(self):
        room, ann, carl = self.pair()
        ann.type("#field", "Ask @pet")
        option = ann.locator("#options [role=option]")
        self.assertEqual(option.all_inner_texts(), ["C\nCarl Peterson"])
        self.assertEqual(ann.get_attribute("#field", "aria-activedescendant"), "options-0")
        self.shoot(ann, "mention", (PHONE, WIDE))
        ann.keyboard.press("Enter")
        self.assertEqual(ann.input_value("#field"), "Ask @Carl Peterson ")
        self.assertFalse(ann.is_visible("#options"))
        carl.evaluate("Object.defineProperty(document, 'hidden', {value: true})")
        ann.keyboard.type("please")
        ann.keyboard.press("Enter")
        carl.wait_for_selector("#m4.for-me .mention:text('@Carl Peterson')")
        self.wait(carl, "document.title === '(1, @1) Lobby – Confab'")
        self.wait(carl, """document.querySelector("#log").textContent.includes(
            "Ann mentions you: Ask @Carl Peterson please")""")
        self.assertEqual(ann.inner_text("#m4 .mention"), "@Carl Peterson")
        self.assertIsNone(ann.query_selector("#m4.for-me"))
        # Arrows, Tab, Escape and the mouse.
        ann.type("#field", "@")
        names = [text.split("\n")[1] for text in option.all_inner_texts()]
        self.assertEqual(set(names), {"Carl Peterson", "Bot", "creator", "all"})
        ann.keyboard.press("ArrowUp")
        ann.keyboard.press("Tab")
        self.assertEqual(ann.input_value("#field"), f"@{names[-1]} ")
        ann.fill("#field", "")
        ann.type("#field", "@b")
        ann.keyboard.press("Escape")
        self.assertFalse(ann.is_visible("#options"))
        ann.keyboard.type("o")
        option.first.click()
        self.assertEqual(ann.input_value("#field"), "@Bot ")
        ann.fill("#field", "@all, e@mail and @nobody")
        ann.keyboard.press("Enter")
        carl.wait_for_selector("#m5.for-me")
        self.assertEqual(carl.locator("#m5 .mention").all_inner_texts(), ["@all"])

    def test_a_member_of_the_same_name_is_told_apart_and_a_stranger_is_named(self):
        room, ann, carl = self.pair()
        self.enter(room, "Carl Peterson")
        ann.wait_for_selector("#about bdi:text('Carl Peterson') >> nth=1")
        ann.type("#field", "@carl")
        self.assertEqual(ann.locator("#options [role=option]").count(), 2)
        self.assertTrue(all(text.count("guest:") == 1 for text in
                            ann.locator("#options .dim").all_inner_texts()))
        with self.server.socket(room) as bot:
            post(bot, "hello @zoe", mentions=["zoe"])
        ann.wait_for_selector("#m4")
        self.assertEqual(ann.locator("#m4 .mention").count(), 0)


class PinTests(FeatureTest):
    def test_the_newest_pin_is_under_the_header_and_all_are_listed(self):
        room, ann, carl = self.pair([f"{n} " + "word " * (n % 9) for n in range(1, 201)])
        with self.server.socket(room) as bot:
            bot.act(action="pin", message_id="5")
        ann.wait_for_selector("#pinned:has-text('5 word')")
        act(ann, "#m200", "Pin")
        for page in (ann, carl):
            page.wait_for_selector("#pinned:has-text('200 word'):has-text('2 pins')")
        carl.click("#pinned")
        carl.wait_for_selector("#panel .result")
        self.assertEqual(len(carl.query_selector_all("#panel .result")), 2)
        self.assertIn("Pinned by Ann", carl.inner_text("#panel"))
        self.shoot(carl, "pins", (PHONE, WIDE))
        carl.keyboard.press("ArrowDown")
        with self.leads_to(carl, "m5"):
            carl.keyboard.press("Enter")
        self.restart(ann, carl)
        act(ann, "#m200", "Unpin")
        carl.wait_for_selector("#pinned:has-text('5 word'):has-text('1 pin')")
        carl.click("#panel [aria-label=Unpin]")
        for page in (ann, carl):
            page.wait_for_selector("#pinned", state="hidden")
        self.assertFalse(carl.is_visible("#panel"))
        self.assertEqual(ann.locator(".pin-mark").count(), 0)

    def test_a_refused_pin_has_the_reason(self):
        room = self.server.rest("POST", "/conversations/create", {
            "title": "Rules", "user_id": "creator", "pin_policy": "creator"})["room_id"]
        self.server.fill(room, ["one"])
        page = self.enter(room)
        with self.hints(page, "Not pinned: only the creator"):
            act(page, "#m1", "Pin")
        self.assertFalse(page.is_visible("#pinned"))


class SearchTests(FeatureTest):
    def test_results_are_marked_paged_and_lead_to_the_message(self):
        room, ann, carl = self.pair([("Café tea" if n % 5 == 0 else "word") + f" {n}"
                                     for n in range(1, 201)])
        ann.focus("#scroller")
        ann.keyboard.press("/")
        ann.wait_for_selector("#panel input")
        # All at once, because the page also searches for what it has 250 ms after a key.
        ann.keyboard.insert_text("tea caf")
        ann.wait_for_selector("#panel :text('20 messages, newest first')")
        self.assertEqual(ann.locator(".result mark").all_inner_texts()[:2], ["Caf", "tea"])
        self.assertIn("200", ann.inner_text(".result >> nth=0"))
        self.shoot(ann, "search", (PHONE, WIDE))
        ann.click("text=Show older results")
        ann.wait_for_selector("#panel :text('40 messages')")
        self.assertFalse(ann.is_visible("text=Show older results"))
        self.assertIn("100", ann.evaluate("document.activeElement.textContent"))
        with self.leads_to(ann, "m5"):
            ann.click(".result >> nth=-1")
        ann.fill("#panel input", "nothing like this")
        ann.wait_for_selector("#panel :text('Nothing found')")
        ann.fill("#panel input", "tea 200")
        ann.wait_for_selector("#panel :text('1 message,')")
        ann.keyboard.press("ArrowDown")
        with self.leads_to(ann, "m200"):
            ann.keyboard.press("Enter")
        ann.focus("#panel input")
        ann.keyboard.press("Escape")
        self.assertFalse(ann.is_visible("#panel"))
        self.server.kill()
        ann.wait_for_selector("#retry:visible")
        ann.click("#find")
        ann.keyboard.type("tea 5")
        ann.wait_for_selector("#panel :text('Searching')")
        self.server.start()
        reconnect(ann)
        ann.wait_for_selector("#panel .result")


    def test_a_result_is_marked_in_other_forms_of_the_word(self):
        texts = ["Đà Nẵng", "ΟΔΟΣ", "Große Straße", "Łódź", "ＡＢＣ"]
        room, ann, _ = self.pair(texts)
        ann.click("#find")
        for words, marked in (("da nang", ["Đà", "Nẵng"]), ("οδος", ["ΟΔΟΣ"]),
                              ("STRASSE", ["Straße"]), ("lod", ["Łód"]), ("abc", ["ＡＢＣ"])):
            ann.fill("#panel input", words)
            for text in marked:
                ann.wait_for_selector(f".result mark:text-is('{text}')")


class PayloadTests(FeatureTest):
    def test_every_payload_stays_text_in_excerpts_results_mentions_and_names(self):
        room, ann, carl = self.pair()
        short = [text for text in PAYLOADS if len(text) < 100 and "\n" not in text]
        with self.server.socket(room, name=short[0]) as bot:
            for n, text in enumerate(PAYLOADS):
                post(bot, f"zebra {text}")
                post(bot, f"@{short[0]} {text}", reply_to=str(4 + 2 * n), mentions=["guest:bot"])
            bot.act(action="react", message_id="4", emoji=":<b>:", on=True)
            for n in range(20):
                bot.act(action="pin", message_id=str(4 + 2 * n))
        last = 3 + 2 * len(PAYLOADS)
        for page in (ann, carl):
            page.wait_for_selector(f"#m{last} .quote")
            page.wait_for_selector("#pinned:has-text('20 pins')")
        ann.click("#pinned")
        ann.wait_for_selector(".result >> nth=19")
        self.plain(ann)
        ann.click("#find")
        ann.keyboard.insert_text("zebra")
        ann.wait_for_selector(".result >> nth=19")
        self.plain(ann)
        self.assertEqual(ann.locator(".result mark").all_inner_texts()[:20], ["zebra"] * 20)
        act(carl, f"#m{last}", "Open thread")
        carl.wait_for_selector(f"#t{last}")
        carl.type("#reply-field", "@")
        carl.wait_for_selector("#reply-options [role=option]")
        self.plain(carl)
        for width in (320, 1440):
            for page in (ann, carl):
                page.set_viewport_size({"width": width, "height": 640})
                self.assertEqual(page.evaluate("""[document.documentElement,
                    ...document.querySelectorAll("#scroller, #panel .scroller")]
                    .map((each) => each.scrollWidth - each.clientWidth).filter(Boolean)"""), [])

    def plain(self, page):
        self.assertIsNone(page.evaluate("window.hit ?? null"))
        self.assertEqual(page.locator(":is(#list, #panel, #pinned) :is(script, img, svg, iframe,"
                                      " style, meta, base)").count(), 0)
        # Until the page has shown the newest messages, the title begins with their number.
        self.wait(page, "document.title === 'Lobby – Confab'")


if __name__ == "__main__":
    unittest.main()
