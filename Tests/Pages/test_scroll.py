"""The reading position: it stays where the reader left it, whatever arrives above or below."""

import unittest

from support import PageTest, online, say

#: The first fully visible message and its distance from the top of the viewport.
POSITION = """() => {
    const edge = document.querySelector("#scroller").getBoundingClientRect().top;
    const row = [...document.querySelectorAll(".row")]
        .find((each) => each.getBoundingClientRect().top >= edge);
    return [row.id, row.getBoundingClientRect().top - edge];
}"""
TOP_OF = """(id) => document.getElementById(id).getBoundingClientRect().top
    - document.querySelector("#scroller").getBoundingClientRect().top"""
DISTANCE = """(() => { const s = document.querySelector("#scroller");
    return s.scrollHeight - s.scrollTop - s.clientHeight; })()"""


def scroll(page, pixels):
    page.hover("#scroller")
    page.mouse.wheel(0, pixels)
    page.wait_for_timeout(250)
    # A busy browser may draw its next frame later than that.
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


class ScrollTests(PageTest):
    def filled(self, number, **options):
        room = self.server.create()
        self.server.fill(room, (f"{n} " + "word " * (n * 7 % 40) for n in range(1, number + 1)))
        page = self.enter(room, **options)
        page.wait_for_selector(f"#m{number}")
        return room, page

    def test_older_pages_do_not_move_the_held_row(self):
        room, page = self.filled(900)
        for way in ("wheel", "keys"):
            for _ in range(300):
                if way == "wheel":
                    page.hover("#scroller")
                    page.mouse.wheel(0, -700)
                else:
                    page.press("#scroller", "PageUp")
                page.wait_for_timeout(60)
                if page.query_selector("#m300" if way == "wheel" else "#m1"):
                    break
        self.wait(page, "!!document.querySelector('#m1')")
        # Inserts above: jumps to the middle and compares before and after each load.
        page.press("#scroller", "End")
        page.wait_for_selector("#m900")
        moved = page.evaluate("""async () => {
            const scroller = document.querySelector("#scroller"), list = document.querySelector("#list");
            const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
            let most = 0, loads = 0;
            for (let i = 0; i < 120 && !document.querySelector("#m1"); i++) {
                scroller.scrollTop = scroller.clientHeight * 0.7;
                const edge = scroller.getBoundingClientRect().top;
                const row = [...document.querySelectorAll(".row")]
                    .find((each) => each.getBoundingClientRect().top >= edge);
                const before = row.getBoundingClientRect().top, first = list.querySelector(".row").id;
                for (let wait = 0; wait < 60 && list.querySelector(".row").id === first; wait++) await frame();
                if (list.querySelector(".row").id !== first) loads++;
                most = Math.max(most, Math.abs(row.getBoundingClientRect().top - before));
            }
            return {most, loads};
        }""")
        self.assertGreaterEqual(moved["loads"], 10)
        self.assertLessEqual(moved["most"], 1)
        self.assertLessEqual(page.locator("#list > li").count(), 450)

    def test_older_pages_and_new_messages_at_the_same_time_do_not_move_the_held_row(self):
        room, page = self.filled(700)
        with self.server.socket(room) as bot:
            # Of every frame: where the row was that was held in the frame before.
            page.evaluate("""() => {
                const scroller = document.querySelector("#scroller");
                const list = document.querySelector("#list");
                const top = (row) => row.getBoundingClientRect().top;
                window.moves = {most: 0, loads: 0, frames: 0};
                let row, before, first, held = 0, last = scroller.scrollTop;
                const frame = () => {
                    if (!window.moves) return;
                    if (row?.isConnected && row.isHeld) {
                        moves.most = Math.max(moves.most, Math.abs(top(row) - before));
                        moves.frames++;
                    }
                    const loaded = first && list.querySelector(".row").id !== first;
                    if (loaded) moves.loads++;
                    // After each load: a step up, which loads the next page, then holds again.
                    if (loaded || !row?.isConnected || ++held > 40) {
                        held = 0;
                        scroller.scrollTop = Math.min(scroller.scrollTop, scroller.clientHeight);
                        scroller.scrollTop = scroller.clientHeight * 0.7;
                    }
                    const edge = top(scroller);
                    if (row) row.isHeld = false;
                    row = [...document.querySelectorAll(".row")].find((each) => top(each) >= edge);
                    row.isHeld = true;
                    before = top(row);
                    first = list.querySelector(".row").id;
                    // After the page's own work of the next frame.
                    requestAnimationFrame(() => setTimeout(frame));
                };
                frame();
            }""")
            for number in range(1000):
                bot.act(action="send_message", content=f"arriving {number} " + "text " * 20)
                page.wait_for_timeout(20)
                if number > 60 and page.query_selector("#m1"):
                    break
            moved = page.evaluate("[window.moves, window.moves = undefined][0]")
            page.wait_for_selector("#newest:text-matches('[0-9]{2,} new messages')")
        self.assertGreaterEqual(moved["loads"], 8, moved)
        self.assertGreaterEqual(moved["frames"], 20, moved)
        self.assertLessEqual(moved["most"], 1, moved)

    def test_zoom_keeps_the_end_and_the_held_row(self):
        room, page = self.filled(80)
        session = page.context.new_cdp_session(page)

        def zoom(value):
            # As the zoom of a browser: fewer and larger CSS pixels.
            session.send("Emulation.setDeviceMetricsOverride", {
                "width": round(1280 / value), "height": round(720 / value),
                "deviceScaleFactor": value, "mobile": False})

        for value in (0.67, 0.8, 1.1, 1.5, 2, 1):
            zoom(value)
            self.wait(page, f"{DISTANCE} < 2", f"the end, zoom {value}")
            self.server.fill(room, [f"at zoom {value} " + "text " * 20])
            page.wait_for_selector(f".row:has-text('at zoom {value} ')")
            self.wait(page, f"{DISTANCE} < 2", f"the end with a new message, zoom {value}")
        scroll(page, -1800)
        row, offset = page.evaluate(POSITION)
        for value in (0.67, 1.5, 2, 1):
            zoom(value)
            page.wait_for_timeout(200)
            # A busy browser may draw its next frame later than that.
            self.wait(page, f"Math.abs(({TOP_OF})('{row}') - {offset}) <= 1", f"zoom {value}")

    def test_the_composer_stays_above_the_keyboard_of_a_phone(self):
        context = self.browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True,
                                           is_mobile=True, locale="en-GB")
        self.addCleanup(context.close)
        room, page = self.filled(60, context=context)
        page.tap("#field")
        # `interactive-widget=resizes-content`: the keyboard makes the page smaller.
        for height in (500, 420, 844):
            page.set_viewport_size({"width": 390, "height": height})
            self.wait(page, f"{DISTANCE} < 2", f"the end, height {height}")
            box = page.evaluate("""(() => {
                const {top, bottom} = document.querySelector("#composer").getBoundingClientRect();
                return {top, bottom, scrolled: scrollY, scale: visualViewport.scale,
                    height: visualViewport.height, wide: document.documentElement.scrollWidth};
            })()""")
            self.assertLessEqual(box["bottom"], box["height"], box)
            self.assertGreater(box["top"], 100, box)
            self.assertEqual((box["scrolled"], box["scale"], box["wide"]), (0, 1, 390), box)
            self.assertEqual(page.evaluate("document.activeElement.id"), "field")

    def test_messages_from_others_do_not_move_a_reader(self):
        room, page = self.filled(60)
        scroll(page, -900)
        row, offset = page.evaluate(POSITION)
        self.server.fill(room, [f"later {n} " + "text " * 30 for n in range(12)])
        page.wait_for_selector("#newest:text('12 new messages')")
        self.assertAlmostEqual(page.evaluate(TOP_OF, row), offset, delta=1)
        self.shoot(page, "scrolled-back", ((390, 844), (1440, 900)))
        page.click("#newest")
        self.wait(page, f"{DISTANCE} < 2")
        self.assertFalse(page.is_visible("#newest"))

    def test_a_reader_at_the_end_stays_there_at_every_zoom(self):
        for scale in (1, 1.25, 1.5, 3):
            for width, height in ((1920, 1200), (640, 400), (390, 844)):
                room, page = self.filled(30, device_scale_factor=scale,
                                         viewport={"width": width, "height": height})
                self.server.fill(room, [f"later {n} " + "text " * 20 for n in range(5)])
                page.wait_for_selector("#m35")
                self.wait(page, f"{DISTANCE} < 1.5", f"scale {scale}, width {width}")
                page.fill("#field", "\n".join("four lines of a message".split()))
                self.wait(page, f"{DISTANCE} < 1.5", "the composer grew")
                page.set_viewport_size({"width": width - 60, "height": height - 80})
                self.wait(page, f"{DISTANCE} < 1.5", "the window shrank")
                page.context.close()

    def test_the_newest_message_is_reachable_after_rows_were_removed(self):
        room, page = self.filled(600)
        for _ in range(400):
            page.evaluate("document.querySelector('#scroller').scrollTop = 0")
            page.wait_for_timeout(50)
            if page.query_selector("#m1"):
                break
        self.assertIsNone(page.query_selector("#m600"))
        page.press("#scroller", "End")
        self.wait(page, f"!!document.querySelector('#m600') && {DISTANCE} < 2")
        page.evaluate("document.querySelector('#scroller').scrollTop = 0")
        page.wait_for_timeout(300)
        say(page, "own message")
        self.wait(page, f"!!document.querySelector('#m601') && {DISTANCE} < 2")

    def test_a_reload_and_the_way_back_return_to_the_same_place(self):
        room, page = self.filled(250)
        for _ in range(6):
            scroll(page, -1500)
        row, offset = page.evaluate(POSITION)
        page.reload()
        online(page)
        page.wait_for_selector(f"#{row}")
        self.wait(page, f"Math.abs(({TOP_OF})('{row}') - {offset}) <= 1.5")
        page.goto(self.server.url + "/conversations")
        page.go_back()
        page.wait_for_selector(f"#{row}")
        self.wait(page, f"Math.abs(({TOP_OF})('{row}') - {offset}) <= 1.5")

    def test_a_change_above_does_not_move_a_reader(self):
        room = self.server.create()
        bob = self.enter(room, "Bob")
        say(bob, "short")
        self.server.fill(room, [f"{n} " + "text " * 30 for n in range(40)])
        ann = self.enter(room, "Ann", viewport={"width": 390, "height": 600})
        scroll(ann, -2500)
        ann.wait_for_selector("#m1")
        row, offset = ann.evaluate(POSITION)
        bob.press("#field", "ArrowUp")
        say(bob, "line\n" * 30)
        ann.wait_for_selector("#m1:has-text('edited')", state="attached")
        self.assertAlmostEqual(ann.evaluate(TOP_OF, row), offset, delta=1)


if __name__ == "__main__":
    unittest.main()
