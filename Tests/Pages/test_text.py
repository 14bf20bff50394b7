"""User text is shown as text, in every field, and stays inside its row."""

import re
import unittest

from payloads import PAYLOADS
from support import PageTest, texts, wait


class TextTests(PageTest):
    def test_every_payload_stays_text_in_messages(self):
        self.assertGreaterEqual(len(PAYLOADS), 30)
        room = self.server.create()
        self.server.fill(room, PAYLOADS)
        page = self.enter(room)
        page.wait_for_selector(f"#m{len(PAYLOADS)}")
        shown = texts(page)
        for payload, text in zip(PAYLOADS, shown, strict=True):
            plain = payload.replace("```\n", "").replace("\n```", "") \
                if payload.startswith("```\n") else payload
            if plain.startswith("`<"):
                plain = plain.strip("`")
            if not payload.startswith("``` unclosed"):
                self.assertEqual(text, plain)
        self.assertEqual(page.locator("#list :is(script, img, svg, iframe, style, form, b)").count(), 0)
        self.assertEqual(page.eval_on_selector_all(
            "#list a", "all => all.filter(a => !/^https?:/.test(a.href)).length"), 0)
        self.assertIsNone(page.evaluate("window.hit ?? null"))
        self.assertEqual(page.title(), "Lobby – Confab")
        for width in (320, 1440):
            page.set_viewport_size({"width": width, "height": 640})
            self.assertEqual(page.evaluate(
                "[document.documentElement, document.querySelector('#scroller')]"
                ".map(each => each.scrollWidth - each.clientWidth)"), [0, 0])
        self.shoot(page, "payloads", ((390, 844),))

    def test_every_payload_stays_text_in_titles_names_and_drafts(self):
        # The server refuses line ends and bidirectional controls in titles and names.
        allowed = [payload for payload in PAYLOADS
                   if len(payload) <= 100 and not re.search("[\n\u2028\u202e]", payload)]
        created = 0
        for payload in allowed:
            title = payload[:120]
            room = self.server.create(title, payload)
            created += 1
            with self.server.socket(room, name=payload[:60]) as bot:
                bot.act(action="send_message", content="hello")
                bot.recv()
            if created % 6 == 0:
                page = self.enter(room, name=payload[:60])
                page.wait_for_selector("#m1")
                self.assertEqual(page.text_content("#title"), title)
                page.fill("#field", payload)
                self.assertIsNone(page.evaluate("window.hit ?? null"))
                page.context.close()
        self.assertGreaterEqual(created, 25)
        page = self.page()
        wait(page, f"document.querySelectorAll('#list li').length >= {created}")
        titles = page.eval_on_selector_all("#list h2", "all => all.map((each) => each.textContent)")
        for payload in allowed:
            self.assertIn(payload[:120], titles)
        self.assertEqual(page.locator("#list :is(script, img, svg, iframe, style, form, b)").count(), 0)
        self.assertIsNone(page.evaluate("window.hit ?? null"))

    def test_links_code_and_emoji(self):
        cases = {
            "see https://a.example/x?y=1#z.": "https://a.example/x?y=1#z",
            "(https://a.example/wiki/X_(y))": "https://a.example/wiki/X_(y)",
            "<https://a.example/>": "https://a.example/",
            "mailto:ann@example.org, please": "mailto:ann@example.org",
            "HTTPS://A.EXAMPLE/Path!?": "HTTPS://A.EXAMPLE/Path",
            "看https://a.example/x。谢谢": "https://a.example/x",
            "（https://a.example/y）": "https://a.example/y",
            "「https://a.example/z」です": "https://a.example/z",
            "https://a.example/1，https": "https://a.example/1",
            "https://a.example/2！": "https://a.example/2",
            "https://a.example/3؟": "https://a.example/3",
            "https://a.example/4।": "https://a.example/4",
            "«https://a.example/5»": "https://a.example/5",
            "“https://a.example/6”": "https://a.example/6",
            "‘https://a.example/7’.": "https://a.example/7",
            "https://a.example/Col·lecció–ü/東京": "https://a.example/Col·lecció–ü/東京",
        }
        room = self.server.create()
        self.server.fill(room, [*cases, "`https://not.example`", "\U0001f389\U0001f44d\U0001f3fd", "1 \u00a9"])
        page = self.enter(room)
        page.wait_for_selector(f"#m{len(cases) + 3}")
        for number, link in enumerate(cases.values(), 1):
            self.assertEqual(page.text_content(f"#m{number} a"), link)
            self.assertEqual(page.get_attribute(f"#m{number} a", "rel"),
                             "noopener noreferrer nofollow ugc")
        self.assertEqual(page.locator(f"#m{len(cases) + 1} a").count(), 0)
        self.assertEqual(page.locator(f"#m{len(cases) + 1} code").count(), 1)
        self.assertEqual(page.locator(".large").count(), 1)

    def test_long_runs_of_punctuation_take_linear_time(self):
        page = self.page()
        times = page.evaluate("""async (path) => {
            const {parts} = await import(path);
            const signs = [")", "`", "```", "(", "http://", ".", "https://a.example/)("];
            const best = (size, times) => Math.min(...Array.from({length: 25}, () => {
                const begin = performance.now();
                for (let time = 0; time < times; time++) {
                    for (const sign of signs) {
                        parts("https://a.example/" + sign.repeat(size / sign.length));
                    }
                }
                return performance.now() - begin;
            }));
            return [best(4096, 8), best(32768, 1)];
        }""", page.get_attribute("link[rel=modulepreload][href$='text.js']", "href"))
        # The same length in eight texts and in one: linear time is about the same, quadratic time
        # is 8 times as long. Times of the same length suffer equally from other processes.
        self.assertLess(times[1] / times[0], 3, times)


if __name__ == "__main__":
    unittest.main()
