"""Every state that stops a reader has its own sentence and a next step."""

import contextlib
import re
import time
import unittest

from support import SIZES, PageTest, fetches, online, reconnect, say, texts
from test_faults import SOCKETS
from waiting import wait

PHONE = SIZES[1:2]


class StateTests(PageTest):
    def gone(self, page, title, name):
        page.wait_for_selector(f"#gone h2:text('{title}')")
        self.assertGreater(len(page.inner_text("#gone p")), 30)
        self.assertTrue(page.is_visible("#gone a[href='/conversations']"))
        self.shoot(page, name, PHONE)

    def test_an_unknown_and_an_invalid_link(self):
        self.gone(self.page("/conversation/nothing1"), "There is no conversation here", "unknown")
        self.gone(self.page("/conversation/a%20b"), "There is no conversation here", "invalid")

    def test_a_closed_conversation_does_not_exist_for_strangers(self):
        token = self.server.token("alice", "--conversations", "board")
        ann = self.page(f"/conversation/board#token={token}")
        say(ann, "for members")
        ann.wait_for_selector(".row.sent, .row.delivered")
        self.gone(self.page("/conversation/board"), "There is no conversation here", "closed")

    def closed(self, *members):
        """A closed conversation of a backend with members, and the backend's token."""
        shop = self.server.token("shop")
        room = self.server.rest("POST", "/conversations/create", {
            "title": "Order 1042", "access": "closed",
            "members": [{"user_id": member} for member in members]}, shop)["room_id"]
        return room, shop

    def test_a_member_leaves_a_closed_conversation(self):
        room, _ = self.closed("ann")
        token = self.server.token("ann")
        page = self.page(f"/conversation/{room}#token={token}", viewport={"width": 390, "height": 844})
        online(page)
        page.click("#people")
        page.click("#leave")
        page.wait_for_selector("#ask :text('Only its creator can add you again.')")
        self.shoot(page, "leave", PHONE)
        page.click("#ask button[value=yes]")
        page.wait_for_url("**/conversations")
        self.assertEqual(self.server.rest(
            "GET", "/conversations?mine=true", token=token)["conversations"], [])
        # As for a conversation that does not exist.
        self.gone(self.page(f"/conversation/{room}#token={token}"),
                  "You may not enter this conversation", "left")

    def test_a_second_device_starts_where_the_first_one_stopped(self):
        room, shop = self.closed("ann")

        def write(*texts):
            for text in texts:
                self.server.rest(
                    "POST", f"/conversations/{room}/messages", {"content": text}, shop)

        write("one", "two")
        token = self.server.token("ann")
        link = f"/conversation/{room}#token={token}"
        first = self.page(link)
        self.wait(first, f"localStorage.getItem('confab.seen.{room}') === '2'")
        self.wait(first, "document.querySelector('#m2')")
        wait("the first device's read position", lambda: self.server.rest(
            "GET", f"/conversations/{room}/receipts", token=token)["me"]["read"] == "2")
        first.close()
        write("three", "four")
        second = self.page(link)
        second.wait_for_selector(".unread + :has-text('three')")

    def test_a_token_leaves_the_address_and_names_the_user(self):
        token = self.server.token("alice", "--username", "Alice", "--conversations", "desk")
        page = self.page(f"/conversation/desk#token={token}")
        online(page)
        self.assertEqual(page.url, f"{self.server.url}/conversation/desk")
        say(page, "hello")
        page.wait_for_selector(".row .name:text('Alice')")
        page.reload()
        online(page)
        self.assertIn("hello", texts(page))

    def test_a_link_replaces_another_users_token_only_after_a_question(self):
        alice, bob = (self.server.token(user, "--conversations", "desk")
                      for user in ("alice", "bob"))
        page = self.page(f"/conversation/desk#token={alice}")
        online(page)
        questions = []

        def follow(token, accepts):
            def decide(dialog):
                questions.append(dialog.message)
                (dialog.accept if accepts else dialog.dismiss)()
            page.goto("about:blank")
            page.on("dialog", decide)
            page.goto(f"{self.server.url}/conversation/desk#token={token}")
            online(page)
            page.remove_listener("dialog", decide)
            self.assertEqual(page.url, f"{self.server.url}/conversation/desk")
            return page.evaluate("sessionStorage.getItem('confab.token')")

        self.assertEqual(follow(bob, accepts=False), alice)
        self.assertEqual(len(questions), 1)
        self.assertIn("as bob", questions[0])
        self.assertIn("you are alice", questions[0])
        self.assertEqual(follow(bob, accepts=True), bob)
        self.assertEqual(len(questions), 2)
        # A later token of the same user is no question.
        renewed = self.server.token("bob", "--conversations", "desk", "--ttl", "2h")
        self.assertEqual(follow(renewed, accepts=False), renewed)
        self.assertEqual(len(questions), 2)

    def test_an_expired_token(self):
        # Long enough for a busy machine: the page must be online before it expires.
        token = self.server.token("alice", "--conversations", "short", "--ttl", "12s")
        page = self.page(f"/conversation/short#token={token}")
        online(page)
        page.fill("#field", "not sent yet")
        page.wait_for_selector("#notices :text('Your access has expired')")
        self.assertEqual(page.input_value("#field"), "not sent yet")
        self.shoot(page, "expired", PHONE)
        self.gone(self.page(f"/conversation/short#token={token}"), "Your access has expired",
                  "expired-at-start")

    def test_an_ended_conversation_stays_readable(self):
        room = self.server.create("Project", user="owner")
        self.server.fill(room, [f"message {n}" for n in range(1, 121)])
        live = self.enter(room)
        self.server.rest("POST", f"/conversations/{room}/end", {"user_id": "owner"})
        live.wait_for_selector("#notices :text('This conversation has ended')")
        with self.hints(live, "Your text stays in the field"):
            say(live, "too late")
        self.assertEqual(live.input_value("#field"), "too late")
        self.shoot(live, "ended-live", PHONE)

        page = self.page(f"/conversation/{room}")
        page.wait_for_selector("#m120")
        page.wait_for_selector("#notices :text('This conversation has ended')")
        self.wait(page, "(document.querySelector('#scroller').scrollTop = 0,"
                        " document.querySelector('#m1') !== null)")
        with self.hints(page, "Your text stays in the field"):
            say(page, "a text")
        self.assertEqual(page.input_value("#field"), "a text")
        self.shoot(page, "ended", PHONE)

    def test_without_javascript_the_pages_say_what_they_need(self):
        room = self.server.create()
        for path in ("/conversations", f"/conversation/{room}"):
            page = self.page(path, java_script_enabled=False)
            self.assertTrue(page.is_visible(".card h2:visible"), path)
            self.assertIn("Allow JavaScript for this site", page.inner_text(".card:visible"), path)
            self.shoot(page, "no-javascript", PHONE)

    def test_without_storage_everything_works_until_the_page_closes(self):
        room = self.server.create()
        context = self.context()
        context.add_init_script("""
            const forbidden = () => { throw new DOMException("no storage", "SecurityError"); };
            for (const name of ["localStorage", "sessionStorage"]) {
                Object.defineProperty(window, name, {get: forbidden});
            }
            IDBFactory.prototype.open = forbidden;""")
        page = self.page(f"/conversation/{room}", context=context)
        page.fill("#name", "Ann")
        page.press("#name", "Enter")
        online(page)
        say(page, "hello")
        page.wait_for_selector(".row.sent:has-text('hello')")
        page.wait_for_selector("#notices :text('stores nothing')")
        self.shoot(page, "no-storage", PHONE)

    def test_a_wrong_clock_is_named_and_no_message_is_in_the_future(self):
        room = self.server.create()
        self.server.fill(room, ["from the present"])
        context = self.context()
        # The device's clock is 30 hours slow.
        context.add_init_script("""
            const real = Date.now; Date.now = () => real() - 108e6;
            Date = new Proxy(Date, {construct: (date, values) =>
                values.length ? new date(...values) : new date(Date.now())});""")
        page = self.page("/conversations", context=context)
        page.wait_for_selector("#list .dim:text-matches('just now')")
        page.goto(f"{self.server.url}/conversation/{room}")
        page.fill("#name", "Ann")
        page.press("#name", "Enter")
        page.wait_for_selector("#notices :text-matches('clock of this device is .* slow')")
        page.wait_for_selector(".day :text('Today')")
        self.shoot(page, "wrong-clock", PHONE)

    def test_a_server_that_does_not_answer(self):
        page = self.page("/conversations")
        self.wait(page, "document.querySelector('#state').textContent !== 'Loading…'")
        self.server.kill()
        page.evaluate("dispatchEvent(new Event('online'))")
        page.wait_for_selector("#state:text-matches('does not answer')")
        self.shoot(page, "list-unreachable", PHONE)
        self.server.start()

    def test_the_banner_waits_two_seconds_and_counts_down(self):
        room = self.server.create()
        context = self.context()
        context.add_init_script(SOCKETS)
        page = self.enter(room, context=context)
        # The page measures, because on a busy machine the test may look too late.
        self.record(page, "#state", "states")
        self.server.kill()
        page.wait_for_selector("#state:text-matches('Reconnecting')", timeout=15000)
        closed, (text, shown) = page.evaluate("[sockets[0].closedAt, states[0]]")
        self.assertIn("Reconnecting", text)
        self.assertGreaterEqual(shown - closed, 1900)
        shown = set()
        end = time.monotonic() + 40
        while time.monotonic() < end and not any(second - 1 in shown for second in shown):
            shown.update(map(int, re.findall("in ([0-9]+) s", page.inner_text("#state"))))
            page.wait_for_timeout(100)
        self.assertTrue(any(second - 1 in shown for second in shown), f"no countdown: {shown}")
        self.server.start()
        reconnect(page)


class TokenOnlyTests(PageTest):
    """A server without anonymous access."""

    options = ("--anonymous", "off")

    def test_people_without_a_token_need_an_invitation(self):
        page = self.page("/conversations")
        page.wait_for_selector("#state:text('admits only people with a token')")
        self.shoot(page, "list-token", PHONE)
        page = self.page("/conversation/some")
        page.wait_for_selector("#gone h2:text('You need an invitation')")
        self.shoot(page, "needs-token", PHONE)


class OverloadTests(PageTest):
    """A server with as many connections as it may have."""

    options = ("--limit", "connections=12")

    def test_pages_wait_for_a_free_connection(self):
        room = self.server.create()
        with contextlib.ExitStack() as stack:
            for number in range(12):
                stack.enter_context(self.server.socket(room, f"bot{number}"))
            stranger = self.page(f"/conversation/{room}")
            stranger.wait_for_selector("#gone h2:text('does not open yet')")
            stranger.wait_for_selector("#gone :text('tries again by itself')")
            self.shoot(stranger, "overloaded", PHONE)
            context = self.context()
            context.add_init_script("localStorage.setItem('confab.name', 'Ann')")
            context.add_init_script(fetches("attempts", "url.endsWith('/join')"))
            ann = self.page(f"/conversation/{room}", context=context)
            ann.wait_for_selector("#state:text-matches('Reconnecting|Connecting')")
            say(ann, "waits for a connection")
            ann.wait_for_timeout(6000)
            attempts = ann.evaluate("attempts")
            # `Retry-After: 1`, and a random part of at least a second.
            gaps = [later - earlier for earlier, later in zip(attempts, attempts[1:])]
            self.assertGreaterEqual(len(gaps), 1)
            self.assertGreaterEqual(min(gaps), 1000, gaps)
        stranger.wait_for_selector("#name:visible")
        ann.wait_for_selector(".row.sent:has-text('waits for a connection')", timeout=30000)
        online(ann)


if __name__ == "__main__":
    unittest.main()
