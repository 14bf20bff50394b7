"""Real server processes and a headless Chromium for the tests of the pages.

CONFAB_BINARY names the server (default: .build/debug/confab). CONFAB_SCREENSHOTS names the folder
of the screenshots (default: a temporary folder, which the run prints).
"""

import atexit
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

from playwright.sync_api import sync_playwright

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests"))

from waiting import free_port  # noqa: E402

WEB = ROOT / "Sources/node/CPages/web"
KIT = ROOT / "clients/js/confab.js"
BINARY = os.environ.get("CONFAB_BINARY", str(ROOT / ".build/debug/confab"))
SCREENSHOTS = os.environ.get("CONFAB_SCREENSHOTS")
SIZES = ((320, 640), (390, 844), (768, 1024), (1440, 900))


def screenshots():
    """The folder of the screenshots; printed once."""
    global SCREENSHOTS
    if not SCREENSHOTS:
        SCREENSHOTS = tempfile.mkdtemp(prefix="confab-screenshots-")
        print(f"Screenshots: {SCREENSHOTS}", flush=True)
    os.makedirs(SCREENSHOTS, exist_ok=True)
    return pathlib.Path(SCREENSHOTS)


class Server:
    """A node with a database in its own folder, which can be killed and started again."""

    def __init__(self, *options, admin="off"):
        self.folder = tempfile.mkdtemp(prefix="confab-pages-")
        self.port = free_port()
        self.options = options
        self.admin = admin
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None
        self.start()

    def start(self):
        log = pathlib.Path(self.folder, "log")
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [BINARY, "serve", "--listen", f"127.0.0.1:{self.port}", "--admin", self.admin,
                 "--admin-token", "on" if "--admin-token-file" in self.options else "off",
                 "--store", "sqlite:confab.db", *self.options],
                cwd=self.folder, stderr=output)
        end = time.monotonic() + 60
        while "confab ready on " not in log.read_text():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("the server does not start: " + log.read_text())
            time.sleep(0.02)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def token(self, user, *options):
        """A token of this server for a user."""
        return subprocess.run(
            [BINARY, "token", "--database", "confab.db", "--sub", user, *options],
            cwd=self.folder, check=True, capture_output=True, text=True).stdout.strip()

    def rest(self, method, path, body=None, token=None):
        headers = {"content-type": "application/json"}
        if token:
            headers["authorization"] = f"Bearer {token}"
        request = urllib.request.Request(
            self.url + "/api" + path, json.dumps(body).encode() if body is not None else None,
            headers, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def create(self, title="Lobby", description="", user="creator"):
        return self.rest("POST", "/conversations/create",
                         {"title": title, "description": description, "user_id": user})["room_id"]

    def guest(self, room, user="bot", name="Bot"):
        """A guest's token for a conversation."""
        return self.rest("POST", f"/conversations/{room}/join",
                         {"user_id": user, "username": name})["token"]

    @contextlib.contextmanager
    def socket(self, room, user="bot", name="Bot"):
        """A connection in the dialect Conversations, for a second participant without a page."""
        from websockets.sync.client import connect
        token = self.guest(room, user, name)
        with connect(f"ws://127.0.0.1:{self.port}/conversations/{room}/?token={token}",
                     max_size=None) as connection:
            def send(**frame):
                connection.send(json.dumps(frame))
            connection.act = send
            yield connection

    def fill(self, room, texts, user="bot", name="Bot"):
        """Sends messages and waits until all are stored."""
        with self.socket(room, user, name) as connection:
            waiting = 0
            for text in texts:
                connection.act(action="send_message", content=text)
                waiting += 1
                # The server limits the rate of a connection; batches stay below the burst.
                if waiting == 40:
                    drain(connection, waiting)
                    waiting = 0
            drain(connection, waiting)


def drain(connection, wanted):
    while wanted:
        frame = json.loads(connection.recv(20))
        if frame["type"] == "chat_message":
            wanted -= 1
        elif frame["type"] in ("error", "message.failed"):
            raise RuntimeError(frame)


class PageTest(unittest.TestCase):
    """A test with a server and a browser; each test has new contexts, as of different people."""

    options = ("--limit", "messages-per-second=100000", "--limit", "message-burst=100000")
    has_admin_api = False

    @classmethod
    def setUpClass(cls):
        admin = f"127.0.0.1:{free_port()}" if cls.has_admin_api else "off"
        cls.server = Server(*cls.options, admin=admin)
        cls.addClassCleanup(cls.server.stop)
        cls.playwright = sync_playwright().start()
        cls.addClassCleanup(cls.playwright.stop)
        executable = next(filter(None, map(shutil.which, (
            "chromium-headless-shell", "chromium", "google-chrome"))))
        cls.browser = cls.playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox"])
        cls.addClassCleanup(cls.browser.close)

    def setUp(self):
        #: What no page may report: exceptions and violations of the content security policy.
        self.faults = []
        if self.server.process.poll() is not None:
            self.server.start()
        self.addCleanup(lambda: self.assertEqual(self.faults, []))

    def context(self, **options):
        context = self.browser.new_context(locale="en-GB", **options)
        context.set_default_timeout(30000)
        self.addCleanup(context.close)
        # Reports violations that the console would not show.
        context.add_init_script("""addEventListener("securitypolicyviolation", (event) =>
            console.error("violation: " + event.violatedDirective + " " + event.blockedURI))""")
        return context

    def page(self, path="/conversations", context=None, **options):
        page = (context or self.context(**options)).new_page()
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda message: re.search(
            "violation|Security Policy|TrustedHTML", message.text)
            and self.faults.append(message.text))
        page.goto(self.server.url + path)
        return page

    def enter(self, room, name="Ann", **options):
        """A page of a person who has joined the conversation."""
        page = self.page(f"/conversation/{room}", **options)
        page.fill("#name", name)
        page.keyboard.press("Enter")
        online(page)
        return page

    def wait(self, page, expression, message="", timeout=30):
        """Waits until an expression is true in the page."""
        self.assertTrue(wait(page, expression, timeout), message or expression)

    @contextlib.contextmanager
    def shows(self, page, expression):
        """What happens inside of `with` makes an expression true, perhaps only for a moment.

        The page watches by itself, because on a busy machine the test may look too late.
        """
        page.evaluate(f"""() => {{
            window.wasShown = false;
            new MutationObserver((_, self) => {{
                if (!({expression})) return;
                window.wasShown = true;
                self.disconnect();
            }}).observe(document, {{subtree: true, childList: true, attributes: true}});
        }}""")
        yield
        self.wait(page, "window.wasShown", expression)

    def hints(self, page, text):
        """What happens inside of `with` makes the page show a hint, which lasts four seconds."""
        return self.shows(page, f"document.querySelector('#hint').textContent.includes('{text}')")

    def record(self, page, selector, name):
        """From now on, the page lists the texts of an element with their times in a variable."""
        page.evaluate("""([selector, name]) => {
            const element = document.querySelector(selector);
            window[name] = [];
            new MutationObserver(() => window[name].push([element.textContent, performance.now()]))
                .observe(element, {childList: true});
        }""", [selector, name])

    def shoot(self, page, name, sizes=SIZES):
        """Takes screenshots of a state in all sizes, light and dark."""
        before = page.viewport_size
        for width, height in sizes:
            page.set_viewport_size({"width": width, "height": height})
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                page.wait_for_timeout(60)
                page.screenshot(path=screenshots() / f"{name}-{width}-{scheme}.png")
        page.set_viewport_size(before)
        page.emulate_media(color_scheme="light")


def fetches(name, url):
    """A script: from now on, the page lists the times of its requests to a URL in a variable.

    `url` is a condition. The page measures, because on a busy machine the test may look too late.
    """
    return f"""(() => {{
        const real = fetch;
        window.{name} = [];
        window.fetch = (url, ...all) => {{
            if ({url}) {name}.push(performance.now());
            return real(url, ...all);
        }};
    }})()"""


def wait(page, expression, timeout=30):
    """Polls from here, because Playwright's own polling violates the content security policy."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        value = page.evaluate(expression)
        if value:
            return value
        page.wait_for_timeout(50)
    return None


def online(page):
    """Waits until the page has the history and is connected."""
    page.wait_for_selector("#state:text-matches('(person|people) here')")


def reconnect(page):
    """Uses "Try now". A page that has reconnected by itself hides it, so the click needs no visible button."""
    page.eval_on_selector("#retry", "(button) => button.click()")
    online(page)


def say(page, text):
    page.fill("#field", text)
    page.press("#field", "Enter")


def texts(page):
    """The texts of the messages that the page shows."""
    return page.eval_on_selector_all(".row .body", "all => all.map((each) => each.textContent)")
