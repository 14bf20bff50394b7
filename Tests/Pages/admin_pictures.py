"""Writes the pictures of docs/operating/admin-page.md: docs/images/admin-light.png and
admin-dark.png.

Three real nodes with Redis serve thirty clients, and one node is drained. To run it after a change
of the page: Tests/Pages/admin_pictures.py, with the Python of .build/tools.
"""

import contextlib
import json
import shutil
import threading
import time

from playwright.sync_api import sync_playwright
from websockets.sync.client import connect

from cluster import Cluster
from readme_pictures import save

#: Long enough for a line in the sparklines.
SECONDS = 100


def talk(stack, cluster):
    """Clients in four conversations, who send at a rate that changes."""
    urls = [url.replace("http", "ws") for url in cluster.urls.values()]
    sockets = [stack.enter_context(connect(
        f"{urls[n % len(urls)]}/conversations/team{n % 4}/?token={cluster.token(f'user{n}')}"))
        for n in range(30)]

    def read(socket):
        with contextlib.suppress(Exception):
            for _ in socket:
                pass

    def write():
        number = 0
        while True:
            with contextlib.suppress(Exception):
                sockets[number % len(sockets)].send(json.dumps(
                    {"action": "send_message", "content": f"message {number}"}))
            number += 1
            time.sleep(0.03 if number % 900 < 500 else 0.08)

    for socket in sockets:
        threading.Thread(target=read, args=(socket,), daemon=True).start()
    threading.Thread(target=write, daemon=True).start()


def main():
    with contextlib.ExitStack() as stack:
        cluster = Cluster()
        stack.callback(cluster.stop)
        playwright = stack.enter_context(sync_playwright())
        executable = next(filter(None, map(shutil.which, (
            "chromium-headless-shell", "chromium", "google-chrome"))))
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        stack.callback(browser.close)
        talk(stack, cluster)
        page = browser.new_page(locale="en-GB", viewport={"width": 1400, "height": 1180})
        page.goto(cluster.admin["n1"])
        page.wait_for_selector("#views:visible")
        page.wait_for_timeout(SECONDS * 1000)
        page.click("#nodes tbody tr:nth-child(3) button")
        page.click("#confirm:visible")
        page.wait_for_selector("dialog h3:text('Done')")
        page.keyboard.press("Escape")
        page.wait_for_selector("#nodes button:text-is('Resume')")
        page.wait_for_timeout(3000)
        page.evaluate("document.activeElement.blur()")
        page.evaluate("scrollTo(0, 0)")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.mouse.move(0, 0)
            page.wait_for_timeout(300)
            save(page, f"admin-{scheme}.png")


if __name__ == "__main__":
    main()
