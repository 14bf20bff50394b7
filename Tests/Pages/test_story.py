"""What people do: create, invite, join, write, change, lose the connection and come back."""

import unittest

from support import PageTest, online, reconnect, say, texts


class StoryTests(PageTest):
    def test_two_people_create_join_and_write(self):
        ann = self.page("/", permissions=["clipboard-read", "clipboard-write"])
        ann.click("#new")
        ann.fill("#title", "Release 2.4")
        ann.fill("#description", "What goes into the next release")
        self.shoot(ann, "list-create", ((390, 844),))
        ann.press("#description", "Enter")
        ann.wait_for_url("**/conversation/*")
        ann.wait_for_selector("h2:text('Release 2.4')")
        self.shoot(ann, "entry")
        ann.fill("#name", "Ann")
        ann.press("#name", "Enter")
        ann.wait_for_selector("text=No messages yet")
        self.shoot(ann, "empty")
        with self.hints(ann, "Link copied"):
            ann.click("#copy")
        link = ann.evaluate("navigator.clipboard.readText()")
        self.assertEqual(link, ann.url)

        bob = self.page(link.removeprefix(self.server.url))
        bob.fill("#name", "Bob")
        bob.click("text=Join")
        online(bob)
        ann.wait_for_selector("#state:text('2 people here')")
        say(ann, "Hello Bob")
        bob.wait_for_selector(".row:has-text('Hello Bob') .name:text('Ann')")
        ann.wait_for_selector(".row.read:has-text('Hello Bob')")
        self.assertEqual(ann.inner_text(".row:has-text('Hello Bob') .status"), "Read")

        bob.type("#field", "Hel")
        ann.wait_for_selector("#hint:text('Bob is typing')")
        bob.fill("#field", "")
        self.wait(ann, "document.querySelector('#hint').textContent === ''")
        say(bob, "Hello Ann")
        ann.wait_for_selector(".row:has-text('Hello Ann')")
        self.shoot(ann, "chat")

        ann.press("#field", "ArrowUp")
        self.assertEqual(ann.input_value("#field"), "Hello Bob")
        self.shoot(ann, "edit", ((390, 844),))
        say(ann, "Good morning Bob")
        bob.wait_for_selector(".row:has-text('Good morning Bob (edited)')")
        ann.hover(".row.mine")
        ann.click(".row.mine .delete")
        self.shoot(ann, "delete", ((390, 844),))
        ann.click("dialog >> text=Delete >> nth=-1")
        bob.wait_for_selector(".row:has-text('Message deleted')")
        self.assertNotIn("Good morning Bob", bob.content())

        bob.context.close()
        ann.wait_for_selector("#state:text('1 person here')")

    def test_a_message_written_without_a_server_is_sent_once_when_it_returns(self):
        room = self.server.create()
        ann, bob = self.enter(room, "Ann"), self.enter(room, "Bob")
        say(ann, "before")
        bob.wait_for_selector("text=before")
        self.server.kill()
        for text in ("first", "second", "third"):
            say(ann, text)
        ann.wait_for_selector("#state:text-matches('Reconnecting|offline')")
        self.assertTrue(ann.is_visible("text=Try now"))
        self.assertEqual(ann.locator(".row.sending").count(), 3)
        self.assertTrue(ann.is_enabled("#field"))
        self.shoot(ann, "broken")
        # A real click, while the page cannot reconnect by itself and hide the button.
        ann.click("text=Try now")
        self.server.start()
        reconnect(ann)
        bob.evaluate("dispatchEvent(new Event('online'))")
        bob.wait_for_selector("text=third", timeout=40000)
        self.assertEqual(texts(bob), ["before", "first", "second", "third"])
        self.assertEqual(texts(ann), ["before", "first", "second", "third"])
        self.assertFalse(ann.is_visible("text=Try now"))

    def test_a_message_written_while_the_page_loads_shows_at_once_and_is_sent_once(self):
        room = self.server.create()
        self.server.fill(room, ["before"])
        ann = self.enter(room, "Ann")
        session = ann.context.new_cdp_session(ann)
        session.send("Network.enable")
        session.send("Network.emulateNetworkConditions", {
            "offline": False, "latency": 800, "downloadThroughput": -1, "uploadThroughput": -1})
        # The page cannot connect before the test has seen the waiting message.
        joins = []
        ann.route("**/join", lambda route: joins.append(route))
        ann.reload(wait_until="commit")
        ann.wait_for_selector("#field:visible")
        say(ann, "early")
        self.assertEqual(ann.input_value("#field"), "")
        ann.wait_for_selector(".row.sending:has-text('early')")
        for join in joins:
            join.continue_()
        ann.unroute("**/join")
        ann.wait_for_selector("#m2:not(.sending)")
        self.assertEqual(texts(ann), ["before", "early"])

    def test_waiting_messages_survive_closing_the_page(self):
        room = self.server.create()
        context = self.context()
        ann = self.enter(room, context=context)
        self.server.fill(room, ["seen"])
        self.wait(ann, f"localStorage.getItem('confab.seen.{room}') === '1'")
        self.server.kill()
        say(ann, "written before the page closed")
        ann.wait_for_selector(".row.sending")
        self.wait(ann, """new Promise((done) => indexedDB.open("confab").onsuccess = (opened) => {
            const table = opened.target.result.transaction("outbox").objectStore("outbox");
            table.getAllKeys().onsuccess = (found) => done(
                found.target.result.filter((key) => !key.startsWith("guest ")).length === 1);
        })""", "the message is saved")
        ann.close()
        self.server.start()
        again = self.page(f"/conversation/{room}", context=context)
        again.wait_for_selector(".row.sent:has-text('written before'), .row.delivered, .row.read")
        self.assertEqual(texts(again), ["seen", "written before the page closed"])
        after = "document.querySelector('.unread')?.nextElementSibling.textContent ?? ''"
        self.assertNotIn("seen", again.evaluate(after))

    def test_a_refusal_names_the_reason_and_keeps_the_text(self):
        room = self.server.create()
        ann = self.enter(room)
        say(ann, "x" * 17000)
        ann.wait_for_selector(".row.failed .error:text-matches('Not sent: .+')")
        self.shoot(ann, "refused-message", ((390, 844),))
        ann.click(".row.failed >> text=Edit")
        self.assertEqual(len(ann.input_value("#field")), 17000)
        self.wait(ann, "!document.querySelector('.row')")  # With the next frame.

    def test_drafts_survive_a_reload(self):
        ann = self.enter(self.server.create())
        ann.fill("#field", "half a thought")
        ann.reload()
        online(ann)
        self.assertEqual(ann.input_value("#field"), "half a thought")

    def test_the_unread_line_stays_until_a_message_is_sent(self):
        room = self.server.create()
        context = self.context()
        ann = self.enter(room, context=context)
        self.server.fill(room, ["seen"])
        ann.wait_for_selector("text=seen")
        self.wait(ann, f"localStorage.getItem('confab.seen.{room}') === '1'")
        ann.goto(self.server.url + "/conversations")
        self.server.fill(room, [f"unread {n}" for n in range(3)])
        ann.reload()
        ann.wait_for_selector(".count:text('3')")
        self.shoot(ann, "list")
        ann.click("h2 a")
        online(ann)
        after = "document.querySelector('.unread')?.nextElementSibling.textContent"
        self.assertIn("unread 0", ann.evaluate(after))
        self.server.fill(room, ["later"])
        ann.wait_for_selector("text=later")
        self.assertIn("unread 0", ann.evaluate(after))
        say(ann, "answer")
        self.wait(ann, "!document.querySelector('.unread')")

    def test_two_guests_of_one_name_look_different_and_stay_the_same_after_a_reload(self):
        room = self.server.create()
        ann, other = self.enter(room), self.enter(room)
        say(ann, "I am Ann")
        other.wait_for_selector(".row:has-text('I am Ann')")
        say(other, "So am I")
        bob = self.enter(room, "Bob")
        bob.wait_for_selector(".row:has-text('So am I')")
        marks = bob.locator(".row .by .note").all_inner_texts()
        self.assertEqual(len(set(marks)), 2, marks)
        for mark in marks:
            self.assertRegex(mark, r"^guest [\w-]{8}$")
        self.assertEqual(ann.locator(".row.mine .by .note").count(), 0)
        for page in (ann, other):
            page.reload()
            online(page)
        ann.wait_for_selector(".row.mine:has-text('I am Ann')")
        ann.press("#field", "ArrowUp")
        say(ann, "I am still Ann")
        bob.wait_for_selector(".row:has-text('I am still Ann (edited)')")
        self.assertEqual(ann.locator(".row.mine").count(), 1)

    def test_a_guest_can_change_the_name(self):
        room = self.server.create()
        ann = self.enter(room, "Anne")
        ann.click("text=Change name")
        ann.fill("#name", "Ann")
        ann.press("#name", "Enter")
        # The page loads again, because a connection has one name.
        ann.wait_for_selector(".you:has-text('You are Ann.')", state="attached")
        online(ann)
        say(ann, "hello")
        bob = self.enter(room, "Bob")
        bob.wait_for_selector(".row .name:text-is('Ann')")

    def test_a_list_that_is_open_shows_what_others_create(self):
        page = self.page("/conversations")
        page.wait_for_selector("#new:visible")
        room = self.server.create("Created elsewhere")
        page.evaluate("dispatchEvent(new Event('online'))")
        page.wait_for_selector(f"#list a[href='/conversation/{room}']:text('Created elsewhere')")

    def test_the_list_shows_the_last_message_and_the_people_and_no_ended_conversation(self):
        room = self.server.create("Listed", "its description", user="owner")
        ended = self.server.create("Ended", user="owner")
        page = self.page("/conversations")
        row = page.locator("#list li", has_text="Listed")
        row.locator(".last:text-is('its description')").wait_for()
        with self.server.socket(room, "bob", "Bob") as bob:
            bob.act(action="send_message", content="hello")
            self.wait(page, "(dispatchEvent(new Event('online')),"
                            " document.querySelector('#list').innerText.includes('Bob: hello'))")
            self.assertEqual(row.locator("time").inner_text(), "just now")
            self.wait(page, "(dispatchEvent(new Event('online')),"
                            " document.querySelector('#list').innerText.includes('2 people · 1 here'))")
        row.hover()
        row.locator(".copy").click()
        page.wait_for_selector(f"#state:text-matches('Link of .Listed. copied|{room}')")
        page.mouse.move(0, 0)
        self.assertEqual(page.locator("#list li", has_text="Ended").count(), 1)
        self.server.rest("POST", f"/conversations/{ended}/end", {"user_id": "owner"})
        self.wait(page, "(dispatchEvent(new Event('online')),"
                        " !document.querySelector('#list').innerText.includes('Ended'))")

    def test_only_those_who_join_later_are_announced(self):
        room = self.server.create()
        self.enter(room, "Ann")
        bob = self.enter(room, "Bob")
        hints = set()
        for _ in range(40):  # The page collects arrivals for a second.
            hints.add(bob.inner_text("#hint").strip())
            bob.wait_for_timeout(50)
        self.assertEqual(hints, {""})
        with self.hints(bob, "Cid joined"):
            self.enter(room, "Cid")

    def test_arrivals_wait_until_the_cause_of_a_failure_was_shown(self):
        room = self.server.create()
        self.server.fill(room, ["one"])
        ann = self.enter(room, "Ann")
        self.wait(ann, "!!document.querySelector('#picker form')", "the features are loaded")
        self.record(ann, "#hint", "hints")
        ann.hover("#m1 .body")
        ann.click("#m1 .actions [aria-label='React']")
        ann.fill("#picker input", "text")
        ann.keyboard.press("Enter")
        self.wait(ann, "hints.some(([text]) => text.startsWith('Not saved'))")
        with self.server.socket(room, "cid", "Cid"):
            self.wait(ann, "hints.some(([text]) => /Cid joined/.test(text))")
        failed, arrived = ann.evaluate("""["Not saved", "Cid joined"].map((words) =>
            hints.find(([text]) => text.includes(words))[1])""")
        self.assertGreaterEqual(arrived - failed, 3900)

    def test_after_an_update_of_the_server_the_page_offers_to_reload(self):
        room = self.server.create()
        page = self.enter(room)
        page.evaluate("document.querySelector('[name=confab-version]').content = 'another'")
        self.server.kill()
        page.wait_for_timeout(300)
        self.server.start()
        page.evaluate("dispatchEvent(new Event('online'))")
        page.click("#notices :text('Reload')")
        page.wait_for_selector("[name=confab-version]:not([content=another])", state="attached")
        online(page)

    def test_typing_ends_within_seven_seconds_after_the_client_died(self):
        room = self.server.create()
        ann = self.enter(room)
        with self.server.socket(room) as bot:
            bot.act(action="typing", is_typing=True)
            ann.wait_for_selector("#hint:text-matches('is typing')")
        self.wait(ann, "!/typing/.test(document.querySelector('#hint').textContent)", timeout=8)

    def test_an_input_method_ends_a_composition_with_enter(self):
        ann = self.enter(self.server.create())
        ann.focus("#field")
        session = ann.context.new_cdp_session(ann)
        session.send("Input.imeSetComposition", {
            "text": "にほん", "selectionStart": 3, "selectionEnd": 3})
        session.send("Input.dispatchKeyEvent", {
            "type": "rawKeyDown", "key": "Enter", "windowsVirtualKeyCode": 229})
        session.send("Input.insertText", {"text": "日本"})
        self.assertEqual(ann.input_value("#field"), "日本")
        self.assertEqual(ann.locator(".row").count(), 0)
        ann.press("#field", "Enter")
        ann.wait_for_selector(".row:has-text('日本')")


if __name__ == "__main__":
    unittest.main()
