"""Two open pages, and a node that is killed again and again. Takes minutes."""

import random
import unittest

from support import PageTest, online, say, texts


class FaultTests(PageTest):
    def test_no_message_is_lost_or_doubled_while_the_node_is_killed_twenty_times(self):
        seed = random.randrange(1 << 32)
        print(f"seed: {seed}")
        chance = random.Random(seed)
        room = self.server.create()
        ann, bob = self.enter(room, "Ann"), self.enter(room, "Bob")
        sent = {"Ann": [], "Bob": []}
        for kill in range(20):
            for _ in range(chance.randrange(2, 5)):
                page, name = chance.choice(((ann, "Ann"), (bob, "Bob")))
                text = f"{name} {len(sent[name])}"
                sent[name].append(text)
                say(page, text)
                page.wait_for_timeout(chance.randrange(60))
            self.server.kill()
            if chance.random() < 0.5:
                say(ann, f"Ann {len(sent['Ann'])}")
                sent["Ann"].append(f"Ann {len(sent['Ann'])}")
            ann.wait_for_timeout(chance.randrange(400))
            self.server.start()
            if chance.random() < 0.3:
                bob.reload()
            for page in (ann, bob):
                page.evaluate("dispatchEvent(new Event('online'))")
            if chance.random() < 0.5:
                online(ann)
        total = len(sent["Ann"]) + len(sent["Bob"])
        for page in (ann, bob):
            page.wait_for_selector(f"#m{total}", timeout=60000)
            self.wait(page, "!document.querySelector('.sending, .failed')", timeout=30)
        # At most 100 messages: one page of REST has all.
        stored = [each["content"] for each in self.server.rest(
            "GET", f"/conversations/{room}/messages?limit=100")["messages"]]
        self.assertEqual(sorted(stored), sorted(sent["Ann"] + sent["Bob"]))
        for name, expected in sent.items():
            self.assertEqual([text for text in stored if text.startswith(name)], expected)
        for page in (ann, bob):
            shown = texts(page)
            self.assertGreaterEqual(len(shown), min(50, total))
            self.assertEqual(shown, stored[-len(shown):])

    def test_two_tabs_of_one_person_send_each_message_once(self):
        room = self.server.create()
        context = self.context()
        first = self.enter(room, context=context)
        second = self.page(f"/conversation/{room}", context=context)
        online(second)
        self.server.kill()
        say(first, "from the first tab")
        say(second, "from the second tab")
        first.wait_for_timeout(500)
        self.server.start()
        for page in (first, second):
            page.evaluate("dispatchEvent(new Event('online'))")
        bob = self.enter(room, "Bob")
        bob.wait_for_selector("#m2", timeout=60000)
        bob.wait_for_timeout(2000)
        self.assertEqual(sorted(texts(bob)), ["from the first tab", "from the second tab"])
        for page in (first, second):
            page.wait_for_selector("#m2")
            self.assertEqual(sorted(texts(page)), sorted(texts(bob)))

    def test_changes_made_while_a_page_was_not_connected_show_on_return(self):
        room = self.server.create()
        ann, bob = self.enter(room, "Ann"), self.enter(room, "Bob")
        for text in ("one", "two", "three"):
            say(ann, text)
        bob.wait_for_selector("#m3")
        bob.context.set_offline(True)
        bob.evaluate("dispatchEvent(new Event('pagehide'))")
        ann.wait_for_selector("#m3:not(.sending)")
        ann.press("#field", "ArrowUp")
        say(ann, "three, changed")
        ann.wait_for_selector("#m3:has-text('(edited)')")
        bob.context.set_offline(False)
        bob.evaluate("dispatchEvent(new Event('pageshow'))")
        bob.wait_for_selector("#m3:has-text('three, changed')", timeout=30000)


if __name__ == "__main__":
    unittest.main()
