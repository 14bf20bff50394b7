"""Chromium, Firefox and WebKit behind one interface, for the story that runs in all of them.

Firefox and WebKit speak the commands of the W3C's WebDriver: Firefox over its own socket
(Marionette), WebKit over HTTP (WebKitWebDriver). A few dozen lines speak both, so the tests need no
packages besides the browsers. `script/bootstrap browsers` installs the browsers.
"""

import base64
import itertools
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import sync_playwright

from support import free_port

#: The name of an element's id, as WebDriver defines it.
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
ENTER, UP = "\ue007", "\ue013"


class Process:
    """A program with a folder of its own, which ends with the test."""

    def __init__(self, *command, **environment):
        self.folder = tempfile.mkdtemp(prefix="confab-browser-")
        with open(self.folder + "/log", "w") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, stdout=log, stderr=log,
                env={**os.environ, "HOME": self.folder, **environment})

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def until(act, seconds=60):
    """Repeats an action until it raises no OSError."""
    end = time.monotonic() + seconds
    while True:
        try:
            return act()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


class WebDriver:
    """One window of a browser that `command` reaches."""

    def go(self, url):
        self.command("POST", "url", "Navigate", url=url)

    def reload(self):
        self.command("POST", "refresh", "Refresh")

    def script(self, expression):
        return self.value(self.command("POST", "execute/sync", "ExecuteScript",
                                       script=f"return {expression}", args=[]))

    def element(self, selector):
        found = self.value(self.command("POST", "element", "FindElement",
                                        using="css selector", value=selector))
        return found[ELEMENT]

    def click(self, selector):
        while True:
            each = self.element(selector)
            try:
                return self.command("POST", f"element/{each}/click", "ElementClick", id=each)
            except RuntimeError as error:
                # The page has replaced the element meanwhile.
                if "stale element reference" not in str(error):
                    raise

    def type(self, selector, text):
        each = self.element(selector)
        self.command("POST", f"element/{each}/value", "ElementSendKeys", id=each, text=text)

    def screenshot(self, path):
        image = self.value(self.command("GET", "screenshot", "TakeScreenshot"))
        pathlib.Path(path).write_bytes(base64.b64decode(image))

    @staticmethod
    def value(answer):
        return answer["value"] if isinstance(answer, dict) and "value" in answer else answer


class Firefox(WebDriver):
    name = "firefox"

    def __init__(self):
        port = free_port()
        executable = shutil.which("firefox-esr") or shutil.which("firefox")
        self.profile = tempfile.mkdtemp(prefix="confab-firefox-")
        pathlib.Path(self.profile, "user.js").write_text(
            f'user_pref("marionette.port", {port});\n')
        self.browser = Process(executable, "--headless", "--marionette", "--no-remote",
                               "--profile", self.profile, "--width", "1280", "--height", "900")
        self.socket = until(lambda: socket.create_connection(("127.0.0.1", port), 30))
        self.stream = self.socket.makefile("rb")
        self.numbers = itertools.count(1)
        self.read()
        self.command("", "", "NewSession", capabilities={})

    def read(self):
        length = b""
        while (digit := self.stream.read(1)) != b":":
            if not digit:
                raise RuntimeError("Firefox has closed the connection")
            length += digit
        return json.loads(self.stream.read(int(length)))

    def command(self, method, path, command, **parameters):
        data = json.dumps([0, next(self.numbers), "WebDriver:" + command, parameters]).encode()
        self.socket.sendall(b"%d:%s" % (len(data), data))
        _, _, error, result = self.read()
        if error:
            raise RuntimeError(f"{command}: {error['error']}: {error['message']}")
        return result

    def stop(self):
        self.socket.close()
        self.browser.stop()
        shutil.rmtree(self.profile, ignore_errors=True)


class WebKit(WebDriver):
    name = "webkit"

    def __init__(self):
        reading, writing = os.pipe()
        self.screen = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x900x24", "-nolisten", "tcp"],
            pass_fds=[writing], stderr=subprocess.DEVNULL)
        os.close(writing)
        with open(reading) as display:
            number = display.readline().strip()
        port = free_port()
        # WebKit's sandbox needs a user other than root.
        self.driver = Process("WebKitWebDriver", f"--port={port}", DISPLAY=f":{number}",
                              GDK_BACKEND="x11", LIBGL_ALWAYS_SOFTWARE="1",
                              WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS="1")
        self.url = f"http://127.0.0.1:{port}/session"
        browser = next(pathlib.Path("/usr/lib").glob("*/webkit2gtk-4.*/MiniBrowser"))
        options = {"binary": str(browser), "args": ["--automation"]}
        session = until(lambda: self.request("POST", self.url, {"capabilities": {"alwaysMatch": {
            "webkitgtk:browserOptions": options}}}))
        self.url += "/" + session["sessionId"]

    @staticmethod
    def request(method, url, body=None):
        request = urllib.request.Request(
            url, json.dumps(body).encode() if body is not None else None,
            {"content-type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{url}: {error.read().decode()[:500]}") from None

    def command(self, method, path, command, **parameters):
        return self.request(method, f"{self.url}/{path}",
                            parameters if method == "POST" else None)

    def stop(self):
        try:
            self.request("DELETE", self.url)
        finally:
            self.driver.stop()
            self.screen.terminate()
            self.screen.wait()


class Chromium:
    name = "chromium"

    def __init__(self):
        self.playwright = sync_playwright().start()
        executable = next(filter(None, map(shutil.which, (
            "chromium-headless-shell", "chromium", "google-chrome"))))
        self.browser = self.playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox"])
        context = self.browser.new_context(permissions=["clipboard-read", "clipboard-write"])
        self.page = context.new_page()
        self.go, self.reload, self.click = self.page.goto, self.page.reload, self.page.click

    def script(self, expression):
        """The value of an expression; None while the browser changes to another page."""
        try:
            return self.page.evaluate(expression)
        except PlaywrightError as error:
            if "Execution context was destroyed" not in str(error):
                raise
            return None

    def type(self, selector, text):
        self.page.focus(selector)
        for key in text:
            name = {ENTER: "Enter", UP: "ArrowUp"}.get(key)
            self.page.keyboard.press(name) if name else self.page.keyboard.type(key)

    def screenshot(self, path):
        self.page.screenshot(path=path)

    def stop(self):
        self.browser.close()
        self.playwright.stop()


BROWSERS = (Chromium, Firefox, WebKit)
