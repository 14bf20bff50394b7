"""The operators' page on one node: views, look-ups, changes, tokens and hostile texts."""

import json
import pathlib
import re
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.request

from support import BINARY, PageTest, fetches
from payloads import PAYLOADS

#: As the page shows signs that are invisible or change the direction.
INVISIBLE = re.compile("[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200c\u200e-\u200f\u2028-\u202e"
                       "\u2060-\u2069\ufeff]")


def escaped(text):
    return INVISIBLE.sub(lambda sign: {"\n": "\\n", "\t": "\\t"}.get(
        sign[0], f"\\u{{{ord(sign[0]):x}}}"), text)


def admin_request(server, path, body=None, token=None):
    """A request to the admin listener without the page."""
    headers = {"content-type": "application/json"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    request = urllib.request.Request(
        f"http://{server.admin}/api/cluster/{path}",
        json.dumps(body).encode() if body is not None else None, headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


class OperatorPageTest(PageTest):
    """Tests with a node that has an admin listener."""

    options = ()
    has_admin_api = True

    def operators(self, server=None, **options):
        """The page of the admin listener, with its first data."""
        page = self.open_page(f"http://{(server or self.server).admin}/", **options)
        page.wait_for_selector("#views:visible")
        return page

    def open_page(self, url, context=None, **options):
        page = (context or self.context(**options)).new_page()
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda message: re.search(
            "violation|Security Policy|TrustedHTML", message.text)
            and self.faults.append(message.text))
        page.goto(url)
        return page

    def command(self, page, section):
        return page.text_content(f"#{section}-command code")

    def copies(self, page, section):
        """What happens inside of `with` makes a button say "Copied", which lasts two seconds."""
        return self.shows(
            page, f"document.querySelector('#{section}-command button').textContent === 'Copied'")

    def look_up(self, page, verb, **values):
        page.select_option("#read-verb", verb)
        for name, value in values.items():
            page.fill(f"#read-{name}", value)
        page.evaluate("document.querySelector('.answer').replaceChildren()")
        page.click("#read .primary")
        page.wait_for_selector(".answer > :not(:text('Looking up…'))")


class SingleNodeTests(OperatorPageTest):
    def status_of(self, url):
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def test_only_the_admin_listener_has_the_page(self):
        page = self.operators()
        script = page.get_attribute("script", "src")
        self.assertEqual(self.status_of(f"http://{self.server.admin}{script}"), 200)
        self.assertEqual(self.status_of(self.server.url + script), 404)
        self.assertEqual(self.status_of(f"http://{self.server.admin}/conversations"), 404)
        self.assertEqual(self.status_of(f"http://{self.server.admin}/assets/1/page.js"), 404)
        # A name of another host is refused before the page is served (DNS rebinding).
        request = urllib.request.Request(f"http://{self.server.admin}/",
                                         headers={"Host": "evil.example"})
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=20)
        self.assertEqual(caught.exception.code, 403)

    def test_everything_together_is_small(self):
        page = self.context().new_page()
        sizes, foreign = {}, []
        page.on("response", lambda response: "/api/" not in response.url
                and sizes.update({response.url: len(response.body())}))
        page.on("request", lambda request: request.url.startswith(
            f"http://{self.server.admin}/") or foreign.append(request.url))
        page.goto(f"http://{self.server.admin}/")
        page.wait_for_selector("#views:visible")
        total = sum(sizes.values())
        print(f"operators' page: {total} bytes in {len(sizes)} files")
        self.assertLess(total, 40_000)
        self.assertLessEqual(len(sizes), 6, sizes)
        self.assertEqual(foreign, [])

    def test_a_single_node_shows_itself_and_says_that_there_is_no_redis(self):
        page = self.operators()
        self.assertEqual(page.text_content("#nodes tbody td:has-text('active')"), "active")
        self.assertIn("stands alone", page.text_content("#redis .failure"))
        self.assertEqual(page.text_content("#shards tfoot td"), "4096")
        # A node that has just been slow may say so for a moment.
        self.wait(page, "document.querySelector('#problems').textContent === 'No problems.'")
        self.wait(page, "document.title === 'confab: no problems – Confab'")
        self.shoot(page, "operators-single")

    def test_every_command_works_and_is_copied_as_shown(self):
        context = self.context()
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = self.operators(context=context)
        room = self.server.create()
        self.server.fill(room, ["it's $HOME; `id`"])
        self.look_up(page, "history", conversation=room, last="5")
        page.click("#nodes thead button:text-is('CONNECTIONS')")
        page.click("#nodes thead button:text-is('CONNECTIONS')")
        self.assertEqual(page.get_attribute("#nodes th:has-text('CONNECTIONS')", "aria-sort"),
                         "descending")
        for section in ("status", "nodes", "shards", "read"):
            shown = self.command(page, section)
            with self.copies(page, section):
                page.click(f"#{section}-command button")
            self.assertEqual(page.evaluate("navigator.clipboard.readText()"), shown)
            done = subprocess.run(
                ["bash", "-c", shown.replace("confab ", f"{BINARY} ", 1)],
                capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 0, f"{shown}: {done.stderr}")
        self.assertIn("--sort -connections", self.command(page, "nodes"))
        self.assertIn("it's $HOME; `id`", done.stdout)

    def test_commands_quote_what_a_shell_would_interpret(self):
        page = self.operators()
        page.select_option("#operate-verb", "send")
        for text in ("it's $HOME; `id`", "-n", "a b", "\u202eevil"):
            page.fill("#operate-conversation", "c")
            page.fill("#operate-user", "-u")
            page.fill("#operate-content", text)
            context = page.context
            context.grant_permissions(["clipboard-read", "clipboard-write"])
            with self.copies(page, "operate"):
                page.click("#operate-command button")
            copied = page.evaluate("navigator.clipboard.readText()")
            words = subprocess.run(["bash", "-c", copied.replace("confab ", "printf '%s\\n' ", 1)],
                                   capture_output=True, text=True).stdout.split("\n")
            self.assertIn(text, words)
            self.assertIn("--as=-u", words)
            # The page shows such signs instead of obeying them.
            self.assertEqual(self.command(page, "operate"), escaped(copied))
            page.wait_for_selector("#operate-command button:text('Copy')")

    def test_messages_and_names_stay_text(self):
        room = self.server.create()
        texts = [text for text in PAYLOADS if len(text.encode()) < 16_000]
        self.server.fill(room, texts)
        page = self.operators()
        self.look_up(page, "history", conversation=room, last="100")
        page.wait_for_selector(f".answer tbody tr:nth-child({len(texts)})")
        shown = page.eval_on_selector_all(
            ".answer tbody tr", "rows => rows.map((row) => row.cells[4].textContent)")
        self.assertEqual(shown, [escaped(text) for text in texts])
        self.assertEqual(page.locator(".answer tbody *:not(tr, th, td)").count(), 0)
        self.assertIsNone(page.evaluate("window.hit ?? null"))
        self.shoot(page, "operators-history")

    def test_hostile_values_in_every_field_stay_text(self):
        context = self.context()
        overview = admin_request(self.server, "overview")
        payloads = iter(PAYLOADS * 100)

        def poison(value, key=""):
            if isinstance(value, dict):
                return {name: poison(each, name) for name, each in value.items()}
            if isinstance(value, list):
                return [poison(each, key) for each in value]
            return next(payloads) if isinstance(value, str) else value

        overview["redis"] = {"redis": [{"node": "n", "failure": "f", "servers": "s"}]}
        overview["events"] = {"events": [{"id": str(n), "event": "e", "node": "n", "detail": "d",
                                          "timestamp": "t", "operator": "o"} for n in range(40)]}
        overview["status"]["problems"] = ["p"] * 20
        hostile = poison(overview)
        context.route("**/api/cluster/overview",
                      lambda route: route.fulfill(json=hostile))
        page = self.operators(context=context)
        page.wait_for_timeout(500)
        self.assertIsNone(page.evaluate("window.hit ?? null"))
        allowed = ("section, div, h1, h2, h3, p, ul, li, code, dl, dt, dd, table, thead, tbody, "
                   "tfoot, tr, th, td, button, canvas, form, label, select, option, input, span, "
                   "svg, path")
        self.assertEqual(page.eval_on_selector_all(
            f"#views *:not({allowed})", "all => all.map((each) => each.outerHTML)"), [])
        rows = page.eval_on_selector_all("#events tbody tr", "rows => rows.length")
        self.assertEqual(rows, 40)
        self.assertIn(escaped(hostile["status"]["cluster"])[:40], page.text_content("#cluster"))
        for width in (320, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            self.assertLessEqual(page.evaluate("document.documentElement.scrollWidth"), width)
        self.shoot(page, "operators-hostile", sizes=((320, 640), (1440, 900)))

    def test_a_message_is_sent_only_after_a_second_click(self):
        room = self.server.create()
        page = self.operators()
        page.select_option("#operate-verb", "send")
        page.fill("#operate-conversation", room)
        page.fill("#operate-content", "maintenance at 10")
        page.fill("#operate-user", "ops")
        page.click("#operate .primary")
        page.wait_for_selector("dialog[open] #confirm:visible")
        self.assertIn("would", page.text_content("#answer"))

        def stored():
            return [each["content"] for each in admin_request(
                self.server, f"history?conversation={room}")["messages"]]

        self.assertEqual(stored(), [])
        self.shoot(page, "operators-dry-run", sizes=((320, 640), (1440, 900)))
        page.click("#confirm")
        page.wait_for_selector("dialog h3:text('Done')")
        self.assertEqual(stored(), ["maintenance at 10"])
        page.keyboard.press("Escape")
        page.wait_for_selector("dialog", state="hidden")

    def test_times_and_rates_have_units_as_on_the_command_line(self):
        page = self.operators()
        sent = []
        page.on("request", lambda request: request.method == "POST"
                and sent.append(request.post_data_json))
        page.select_option("#operate-verb", "drain")
        page.fill("#operate-node", page.text_content("#nodes tbody th"))
        page.fill("#operate-rate", "200/s")
        page.fill("#operate-deadline", "1.5m")
        self.assertIn("--rate 200 --deadline 90 --yes", self.command(page, "operate"))
        page.click("#operate .primary")
        page.wait_for_selector("#answer h3")
        self.assertEqual((sent[0]["rate"], sent[0]["deadline"], sent[0]["dry_run"]),
                         (200, 90, True))

    def test_a_wrong_value_is_named(self):
        page = self.operators()
        self.look_up(page, "history", conversation="lobby", last="many")
        self.assertIn('"last"', page.text_content(".answer .failure"))
        self.look_up(page, "owner", conversation="nothing-here")
        self.assertRegex(page.text_content(".answer .failure"), "nothing-here")
        page.select_option("#operate-verb", "drain")
        page.fill("#operate-node", "n9")
        page.click("#operate .primary")
        page.wait_for_selector("#answer .failure")
        self.assertIn("n9", page.text_content("#answer .failure"))
        self.assertFalse(page.is_visible("#confirm"))

    def test_a_hidden_or_paused_page_does_not_poll(self):
        page = self.operators()
        page.evaluate(fetches("polls", "url.includes('overview')"))
        self.wait(page, "polls.length >= 1")

        def hide(hidden):
            page.evaluate("""(hidden) => {
                Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
                document.dispatchEvent(new Event("visibilitychange"));
            }""", hidden)

        def rests():
            """The page does not poll, except for a poll that it has begun."""
            page.wait_for_timeout(1500)
            page.evaluate("polls = []")
            page.wait_for_timeout(4000)
            self.assertEqual(page.evaluate("polls"), [])

        hide(True)
        rests()
        hide(False)
        # Once at once, and again after two seconds.
        self.assertEqual(len(page.evaluate("polls")), 1)
        self.wait(page, "polls.length >= 2")
        first, second = page.evaluate("polls")[:2]
        self.assertGreaterEqual(second - first, 1900)
        page.click("#pause")
        rests()
        self.assertIn("Paused", page.text_content("#state"))
        page.click("#pause")
        self.wait(page, "polls.length >= 1")

    def test_the_page_survives_the_end_of_its_node(self):
        page = self.operators()
        self.server.kill()
        page.wait_for_selector("#stale .failure")
        said = page.text_content("#stale .failure")
        self.assertRegex(said, r"does not answer\. The data is from \d+:\d\d:\d\d")
        self.assertTrue(page.is_visible("#nodes tbody tr"))
        page.wait_for_timeout(4500)
        self.assertEqual(page.text_content("#stale .failure"), said)
        self.shoot(page, "operators-old")
        self.server.start()
        page.wait_for_selector("#stale .failure", state="detached")
        self.wait(page, "document.querySelector('#problems').textContent === 'No problems.'")


class TokenTests(OperatorPageTest):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="confab-tokens-")
        cls.addClassCleanup(folder.cleanup)
        path = pathlib.Path(folder.name, "tokens")
        path.write_text("watch read token-of-a-reader\nops operate token-of-an-operator\n"
                        "board view token-of-a-dashboard\n")
        path.chmod(0o600)
        cls.options = ("--admin-token-file", str(path))
        super().setUpClass()

    def sign_in(self, token):
        page = self.open_page(f"http://{self.server.admin}/")
        urls = []
        page.on("request", lambda request: urls.append(request.url))
        page.wait_for_selector("#login:visible")
        page.keyboard.type(token)
        page.keyboard.press("Enter")
        self.addCleanup(lambda: self.assertFalse([url for url in urls if token in url]))
        return page

    def test_a_wrong_token_is_refused_in_words(self):
        page = self.sign_in("wrong")
        page.wait_for_selector("#refused:text('This token is not valid.')")
        self.assertFalse(page.is_visible("#views"))
        self.shoot(page, "operators-token")
        page.fill("#token", "tökén")
        page.keyboard.press("Enter")
        page.wait_for_selector("#refused:text('ASCII')")
        page.fill("#token", "token-of-an-operator")
        page.keyboard.press("Enter")
        page.wait_for_selector("#operate:visible")

    def test_a_dashboard_sees_neither_messages_nor_changes(self):
        page = self.sign_in("token-of-a-dashboard")
        page.wait_for_selector("#nodes tbody tr")
        self.assertIn("board shows no messages", page.text_content("#reader"))
        self.assertFalse(page.is_visible("#operate"))
        verbs = page.eval_on_selector_all("#read-verb option", "all => all.map((o) => o.value)")
        self.assertIn("verify", verbs)
        self.assertFalse({"history", "trace", "user"} & set(verbs))

    def test_a_reader_sees_no_changes_and_may_make_none(self):
        page = self.sign_in("token-of-a-reader")
        page.wait_for_selector("#views:visible")
        self.assertIn("watch may only read", page.text_content("#reader"))
        self.assertFalse(page.is_visible("#operate"))
        self.assertEqual(page.locator("#nodes tbody button").count(), 0)
        node = page.text_content("#nodes tbody th")
        with self.assertRaises(urllib.error.HTTPError) as caught:
            admin_request(self.server, "drain", {"node": node}, "token-of-a-reader")
        self.assertEqual(caught.exception.code, 403)
        self.shoot(page, "operators-reader", sizes=((390, 844), (1440, 900)))

    def test_the_token_lasts_as_long_as_the_tab(self):
        page = self.sign_in("token-of-an-operator")
        page.wait_for_selector("#operate:visible")
        page.reload()
        page.wait_for_selector("#operate:visible")
        other = self.open_page(f"http://{self.server.admin}/", context=page.context)
        other.wait_for_selector("#login:visible")
        page.click("#forget")
        page.wait_for_selector("#login:visible")
        self.assertFalse(page.is_visible("#views"))
        page.reload()
        page.wait_for_selector("#login:visible")


if __name__ == "__main__":
    unittest.main()
