"""Checks the options of `confab serve` before a build, with docs/reference.md.

  python3 script/checks/serve_options.py [OPTIONS]    as script/server receives them

Exit status: 2 for an unknown option, limit or word, with a message. The program checks all other
values. The page is generated from the program's table, and DocumentationTests keep both equal.
"""

import difflib
import re
import sys
from pathlib import Path

REFERENCE = Path(__file__).resolve().parent.parent.parent / "docs/reference.md"
ROW = re.compile(r"^\| `(?P<name>--[\w-]+)(?: (?P<value>[^`]*))?` \| ")
LIMIT = re.compile(r"^\| `([a-z-]+)` \| ", re.M)
# A value that is one of a few words: on|off.
CHOICES = re.compile(r"^[a-z]+(\|[a-z]+)+$")


def section(text):
    """The part of the reference about `confab serve`."""
    return text.split("\n## confab serve\n", 1)[1].split("\n## ", 1)[0]


def rows(text):
    """Each option with its value's placeholder, or None, and its meaning."""
    for line in section(text).splitlines():
        if match := ROW.match(line):
            value = match["value"]
            cells = line.replace("\\|", "¦").strip("| ").split(" | ")
            yield (match["name"], value and value.replace("\\|", "|"),
                   cells[-1].strip().replace("¦", "|"))


def similar(word, words):
    near = difflib.get_close_matches(word, words, 1, 0.6)
    return f"; did you mean {near[0]}?" if near else ""


def mistake(arguments, text):
    """The message about the first wrong argument, or None."""
    known = {name: value for name, value, _ in rows(text)}
    rest = iter(arguments)
    for word in rest:
        if word == "--":
            return None
        if not word.startswith("-"):
            return f'unexpected argument "{word}"'
        name, equals, value = word.partition("=")
        if name not in known:
            return f"unknown option {name}{similar(name, [*known, '--help'])}"
        if known[name] is None:
            continue
        if not equals and (value := next(rest, None)) is None:
            return f"{name} needs a value: {name} {known[name]}"
        if CHOICES.match(known[name]) and value not in known[name].split("|"):
            return f'{name}: "{value}" is none of {known[name]}'
        limit = value.partition("=")[0]
        if name == "--limit" and limit not in LIMIT.findall(section(text)):
            return f'--limit: unknown limit "{limit}"{similar(limit, LIMIT.findall(section(text)))}'
    return None


def listing(text):
    """The options with their meaning, for script/server --help."""
    return "\n".join(f"  {name + ' ' + (value or ''):30} {meaning}"
                     for name, value, meaning in rows(text))


def main(arguments):
    text = REFERENCE.read_text()
    if any(word in ("-h", "--help") for word in arguments):
        print(listing(text))
        return 0
    if message := mistake(arguments, text):
        print(f"script/server: {message}", file=sys.stderr)
        print("script/server --help lists the options.", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
