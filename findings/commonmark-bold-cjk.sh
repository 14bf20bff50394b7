#!/usr/bin/env bash
# Chinese, Japanese and Korean text: bold that begins or ends with a bracket, a colon or another
# punctuation mark is not bold in CommonMark if a letter stands beside it: これは**「重要」**です is
# shown with its asterisks. Such text is usual, because these scripts have no space between words,
# or before particles in Korean, and writers of English meet the rule only in **a!**b.
# One would expect bold: ** has no other meaning here, and これは**重要**です is bold.
# markdown-it-py 4.3.0, mistune 3.4.0, commonmark 0.9.2, cmarkgfm 2025.10.22 and markdown2 2.5.5
# agree. Markdown 3.11.3, older than the specification, makes it bold. So a chat with two clients
# may show one message in two ways. It helps to put the asterisks inside the brackets.
#
# Cause: CommonMark (6.2) lets ** close only if it is "right-flanking": behind punctuation it is so
# only before white space or punctuation. The rule for the beginning is its mirror image.
#
# Output seen (CommonMark; Markdown):
#   これは**「重要」**です: as it is; bold
#   **注意：**必ず読む: as it is; bold
#   한국어**(강조)**는: as it is; bold
#   这是**《书名》**的: as it is; bold
#   これは**重要**です: bold; bold
#   これは「**重要**」です: bold; bold
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check markdown-it-py==4.3.0 \
    mistune==3.4.0 commonmark==0.9.2 cmarkgfm==2025.10.22 markdown2==2.5.5 Markdown==3.11.3
cat > "$folder/run.py" <<'PYTHON'
import cmarkgfm
import commonmark
import markdown
import markdown2
import mistune
from markdown_it import MarkdownIt

COMMONMARK = [MarkdownIt().render, mistune.html, commonmark.commonmark,
              cmarkgfm.markdown_to_html, markdown2.markdown]


def reading(render, text):
    html = render(text)
    assert ("<strong>" in html) != ("**" in html)
    return "bold" if "<strong>" in html else "as it is"


for text, expected in [
    ("これは**「重要」**です", "as it is"),
    ("**注意：**必ず読む", "as it is"),
    ("한국어**(강조)**는", "as it is"),
    ("这是**《书名》**的", "as it is"),
    ("これは**重要**です", "bold"),
    ("これは「**重要**」です", "bold"),
]:
    readings = {reading(render, text) for render in COMMONMARK}
    older = reading(markdown.markdown, text)
    print(f"{text}: {', '.join(sorted(readings))}; {older}")
    assert readings == {expected} and older == "bold"
PYTHON
"$folder/venv/bin/python" "$folder/run.py"
