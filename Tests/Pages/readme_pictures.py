"""Writes the pictures of the README: docs/images/chat-light.png, chat-dark.png and phone.png.

A real server, a page, and two more people play a short conversation. To run it after a change of
the pages: Tests/Pages/readme_pictures.py, with the Python of .build/tools. With Pillow the pictures
have 256 colours, which makes them a third as large. The fonts are those of Debian's
fonts-noto-core and fonts-noto-color-emoji.
"""

import contextlib
import shutil

from playwright.sync_api import sync_playwright

from support import ROOT, Server, say

FOLDER = ROOT / "docs/images"
MOST_BYTES = 150_000
LINK = "https://docs.example.org/release-2.4"


def send(bot, page, text, **more):
    """A message of another person, once the page shows it."""
    number = page.locator(".row").count() + 1
    bot.act(action="send_message", content=text, **more)
    page.wait_for_selector(f"#m{number}")


def converse(page, priya, jonas):
    """Plays the conversation; the page is Maya's."""
    send(priya, page, f"Good morning! The notes are ready for a last look: {LINK}")
    priya.act(action="pin", message_id="1")
    page.wait_for_selector("#pinned:visible")
    say(page, "Reading them. The order is much clearer.")
    page.wait_for_selector("#m2.delivered, #m2.read")
    send(jonas, page, "The last fix is merged. Before the tag, please run:\n"
         "```\nscript/test --long\ngit tag --sign v2.4.0\n```")
    say(page, "All green here. `v2.4.0` goes out at 13:00.")
    page.wait_for_selector("#m4.delivered, #m4.read")
    page.press("#field", "ArrowUp")
    say(page, "All green here. `v2.4.0` goes out at 14:00.")
    page.wait_for_selector("#m4:has-text('(edited)')")
    for person, emoji in (priya, "\U0001f389"), (jonas, "\U0001f389"), (jonas, "\U0001f680"):
        person.act(action="react", message_id="4", emoji=emoji, on=True)
    page.wait_for_selector("#m4 .reaction >> nth=1")
    send(priya, page, "@Maya who writes the announcement?", mentions=["guest:maya"], reply_to="4")
    say(page, "I do. See you at 14:00!")
    page.wait_for_selector("#m6.delivered, #m6.read")
    priya.act(action="read", message_ids=["6"])
    page.wait_for_selector("#m6.read")


def save(page, name):
    path = FOLDER / name
    page.screenshot(path=path)
    with contextlib.suppress(ImportError):
        from PIL import Image
        Image.open(path).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
            path, optimize=True)
    size = path.stat().st_size
    print(f"{path.relative_to(ROOT)}: {size} bytes")
    if size > MOST_BYTES:
        raise SystemExit(f"{name} has {size} bytes; the limit is {MOST_BYTES}")


def main():
    FOLDER.mkdir(exist_ok=True)
    server = Server()
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop)
        playwright = stack.enter_context(sync_playwright())
        executable = next(filter(None, map(shutil.which, (
            "chromium-headless-shell", "chromium", "google-chrome"))))
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        stack.callback(browser.close)
        page = browser.new_page(locale="en-GB", viewport={"width": 1200, "height": 750})
        # A guest's id decides the colour of the name.
        page.add_init_script("localStorage.setItem('confab.user', 'maya')")
        page.goto(f"{server.url}/conversations")
        page.click("#new")
        page.fill("#title", "Release 2.4")
        page.fill("#description", "What ships on Thursday, and who does what.")
        page.press("#description", "Enter")
        page.wait_for_url("**/conversation/*")
        room = page.url.split("/")[-1]
        page.fill("#name", "Maya")
        page.press("#name", "Enter")
        page.wait_for_selector("#state:text('1 person here')")
        priya = stack.enter_context(server.socket(room, "priya", "Priya"))
        jonas = stack.enter_context(server.socket(room, "jonas", "Jonas"))
        page.wait_for_selector("#state:text('3 people here')")
        converse(page, priya, jonas)
        # The line says for four seconds that people have joined.
        page.wait_for_timeout(4500)
        for name, scheme, width, height in (
                ("chat-light.png", "light", 1200, 750), ("chat-dark.png", "dark", 1200, 750),
                ("phone.png", "light", 390, 844)):
            page.set_viewport_size({"width": width, "height": height})
            page.emulate_media(color_scheme=scheme)
            page.mouse.move(0, 0)
            jonas.act(action="typing", is_typing=True)
            page.wait_for_selector("#hint:text('Jonas is typing')")
            page.wait_for_timeout(300)
            save(page, name)


if __name__ == "__main__":
    main()
