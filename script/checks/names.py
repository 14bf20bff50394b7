"""Finds tests by their names: a suite's type or sentence, a test's function or sentence, a module,
class or method of a Python test, a file of the kit for JavaScript."""

import difflib
import re
from collections import defaultdict
from dataclasses import dataclass

from .job import ROOT

# Folders with tests of Python's unittest, and whether they start .build/debug/confab.
PYTHON_FOLDERS = {
    "clients/python/tests": True,
    "Tests/Pages": True,
    "Tests/Containers": True,
    "Tests/Packages": True,
    "Tests/Operating": True,
    "Tests/Monitoring": True,
    "Tests/Scripts": False,
}


@dataclass(frozen=True)
class Found:
    """A test or suite. `kind`: swift, python or js. `place`: target, folder or file."""

    kind: str
    place: str
    # A regular expression of Swift Testing's identifiers, or the name for unittest.
    selector: str
    file: str


TYPE = re.compile(r"^(?P<indent> *)(?:@\w+(?:\(.*?\))? +)*(?:(?:public|private|fileprivate|final"
                  r"|package) +)*(?:struct|class|actor|enum|extension) +(?P<name>\w[\w.]*)")
ATTRIBUTE = re.compile(r"@(?P<kind>Suite|Test)\b(?:\(\s*(?P<sentence>\"(?:[^\"\\]|\\.)*\")?)?")
FUNCTION = re.compile(r"\bfunc +(?P<name>`[^`]+`|\w+)")


def literal(text):
    """A regular expression that matches only this text."""
    return re.sub(r"([.*+?^${}()|\[\]\\])", r"\\\1", text)


def swift_names(text, target, file):
    """Yields names of one file's suites and tests, each with what it selects."""
    lines = text.splitlines()
    # Line numbers of the declarations, so that an attribute finds the next one.
    types = [(number, match) for number, line in enumerate(lines) if (match := TYPE.match(line))]
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line) + 1)
    suites = set()
    for attribute in ATTRIBUTE.finditer(text):
        number = text.count("\n", 0, attribute.start())
        if lines[number].lstrip().startswith("//"):
            continue
        sentence = attribute["sentence"] and attribute["sentence"][1:-1].replace('\\"', '"')
        if attribute["kind"] == "Suite":
            following = next((match for line, match in types if line >= number), None)
            if following:
                suites.add(following["name"])
                yield from suite_names(following["name"], sentence, target, file)
            continue
        function = FUNCTION.search(text, attribute.end())
        if not function:
            continue
        indent = len(lines[number]) - len(lines[number].lstrip())
        owner = next((match for line, match in reversed(types)
                      if line < number and len(match["indent"]) < indent), None)
        prefix = f"^{target}\\."
        if owner:
            prefix += f"(.*/)?{literal(owner['name'].replace('.', '/'))}/"
            if owner["name"] not in suites:
                suites.add(owner["name"])
                yield from suite_names(owner["name"], None, target, file)
        name = function["name"].strip("`")
        found = Found("swift", target, f"{prefix}`?{literal(name)}`?\\(", file)
        yield name, found
        if owner:
            yield f"{owner['name']}.{name}", found
        if sentence:
            yield sentence, found


def suite_names(name, sentence, target, file):
    path = literal(name.replace(".", "/"))
    found = Found("swift", target, f"^{target}\\.(.*/)?{path}/", file)
    yield name, found
    if sentence:
        yield sentence, found


def python_names(text, folder, file):
    module = file.rsplit("/", 1)[-1].removesuffix(".py")
    yield module, Found("python", folder, module, file)
    class_name = None
    for line in text.splitlines():
        if match := re.match(r"class (\w+)\(", line):
            class_name = match[1]
        elif match := re.match(r" +(?:async )?def (test\w*)\(", line):
            if class_name is None:
                continue
            method = f"{module}.{class_name}.{match[1]}"
            for name in (match[1], f"{class_name}.{match[1]}", method):
                yield name, Found("python", folder, method, file)
            for name in (class_name, f"{module}.{class_name}"):
                yield name, Found("python", folder, f"{module}.{class_name}", file)


def index(root=ROOT):
    """Every name of a suite or test, with all that it selects."""
    names = defaultdict(set)

    def add(pairs):
        for name, found in pairs:
            names[name].add(found)

    for path in sorted((root / "Tests").rglob("*.swift")):
        file = str(path.relative_to(root))
        target = file.split("/")[1]
        text = path.read_text()
        if target.endswith("Tests") and "import Testing" in text:
            add([(target, Found("swift", target, f"^{target}\\.", file.rsplit("/", 1)[0]))])
            add(swift_names(text, target, file))
    for folder in PYTHON_FOLDERS:
        for path in sorted((root / folder).glob("test_*.py")):
            add(python_names(path.read_text(), folder, str(path.relative_to(root))))
    for path in sorted((root / "clients/js/test").glob("*.mjs")):
        if path.name.endswith((".test.mjs", ".long.mjs")):
            file = str(path.relative_to(root))
            for name in (path.name, path.name.removesuffix(".mjs")):
                names[name].add(Found("js", file, path.name, file))
    return names


def near(word, choices, count=4):
    """The choices most like a word, for an error."""
    lower = {choice.lower(): choice for choice in choices}
    inside = sorted((choice for key, choice in lower.items()
                     if len(word) > 3 and word.lower() in key), key=len)
    # Words of another length are not similar, and there are thousands of sentences.
    alike = [key for key in lower if abs(len(key) - len(word)) <= max(2, len(word) // 2)]
    close = [lower[key] for key in difflib.get_close_matches(word.lower(), alike, count, 0.6)]
    return list(dict.fromkeys(close + inside))[:count]
