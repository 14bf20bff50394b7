"""From words on the command line, or from a change, to the tasks of a run."""

import sys
from collections import defaultdict
from dataclasses import dataclass
from typing import Callable

from . import changed, checks, names, table
from .suites import KITS, js_tests, python_tests, swift_tests


@dataclass(frozen=True)
class Task:
    """A check, or a part of it. `needs` and `runs` as in the table."""

    name: str
    needs: str
    runs: str
    function: Callable
    # The arguments of script/test that repeat it.
    again: str


class Unknown(Exception):
    """A name that is no check, suite or test."""


def of_check(name):
    check = table.BY_NAME[name]
    return Task(name, check.needs, check.runs, checks.function(name), name)


def swift_task(name, filters, again, long):
    """Swift tests by their identifiers; those of SystemTests have the machine for themselves."""
    is_system = name.startswith("system")
    width = 6 if is_system else 8
    return Task(
        name, "tests", "alone" if is_system else "beside",
        lambda job: swift_tests(job, filters=sorted(filters), width=width, long=long), again)


def of_words(words):
    """The tasks for names of checks, suites and tests."""
    tasks, found = [], []
    index = None
    for word in words:
        if word in table.BY_NAME:
            tasks.append(of_check(word))
            continue
        index = index or names.index()
        places = index.get(word)
        if not places:
            close = names.near(word, [*table.BY_NAME, *index])
            similar = ". Similar: " + ", ".join(close) if close else ""
            raise Unknown(f'"{word}" is not a check, suite or test{similar}')
        found += [(word, place) for place in sorted(places, key=lambda each: each.selector)]
    return tasks + of_found(found)


def of_found(found):
    """One task for all Swift tests of a kind, and one for each folder of others."""
    groups = defaultdict(lambda: defaultdict(set))
    for word, place in found:
        if place.kind == "swift":
            group = "system" if place.place == "SystemTests" else "unit"
        else:
            group = place.place if place.kind == "python" else "js"
        groups[group][place.selector].add(word)
    tasks = []
    for group, selectors in groups.items():
        words = sorted({word for words in selectors.values() for word in words})
        again = " ".join(f'"{word}"' if " " in word else word for word in words)
        label = f"{group}: {words[0]}" + (f" and {len(words) - 1} more" if words[1:] else "")
        if group in ("unit", "system"):
            # A test that is named runs even if it belongs to --long.
            tasks.append(swift_task(label, selectors, again, long=True))
        elif group == "js":
            tasks.append(Task(label, "confab", "beside", lambda job, files=sorted(selectors):
                              js_tests(job, files=files), again))
        else:
            needs = "confab" if names.PYTHON_FOLDERS[group] else "nothing"
            tasks.append(Task(label, needs, "beside", lambda job, group=group,
                              modules=sorted(selectors): python_tests(job, group, modules), again))
    return tasks


def of_change(say):
    """The tasks for the uncommitted change or the last commit; says what it chose, and why."""
    files, what = changed.changed_files()
    say(f"{what} has {len(files)} files: {', '.join(files[:8])}{' …' if files[8:] else ''}")
    choice = changed.Choice(files, changed.dependencies())
    for line in choice.explain():
        say(line)
    return of_choice(choice)


def of_choice(choice):
    tasks = []
    for name in choice.checks:
        if name == "format":
            tasks.append(Task("format", "nothing", "idle", lambda job: checks.format(
                job, choice.swift_files), "format"))
        elif name == "kits-python":
            modules = ["test_rules", "test_kit", "test_rest", "test_store", "test_tokens"]
            tasks.append(Task("kits-python", "confab", "beside", lambda job: python_tests(
                job, KITS, modules, at_once=3), "kits"))
        elif name == "kits-js":
            tasks.append(Task("kits-js", "confab", "beside", js_tests, "kits"))
        else:
            tasks.append(of_check(name))
    if choice.targets:
        filters = [f"^{target}\\." for target in choice.targets]
        tasks.append(swift_task("unit (chosen)", filters, " ".join(sorted(choice.targets)), False))
    if choice.suites:
        filters = [f"^SystemTests\\.(.*/)?{suite}/" for suite in choice.suites]
        tasks.append(swift_task("system (chosen)", filters, " ".join(sorted(choice.suites)), False))
    return tasks


def with_builds(tasks):
    """Adds the build that the tasks need, if they do not contain it."""
    needs = {task.needs for task in tasks}
    # One task for each name.
    tasks = list({task.name: task for task in tasks}.values())
    if any(task.name == "build" for task in tasks):
        return tasks
    if "tests" in needs:
        return [of_check("build"), *tasks]
    if "confab" in needs:
        return [Task("build", "tools", "build", checks.build_confab, "build"), *tasks]
    return tasks


def main_words(arguments):
    """The tasks that arguments choose, or an exit with status 2."""
    options = ("--changed", "--long")
    unknown = [word for word in arguments if word.startswith("-") and word not in options]
    words = [word for word in arguments if not word.startswith("-")]
    if unknown:
        close = names.near(unknown[0], [*options, "--help"])
        stop(f"unknown option {unknown[0]}" + (f"; did you mean {close[0]}?" if close else ""))
    if "--changed" in arguments:
        if len(arguments) > 1:
            stop("--changed accepts no other argument")
        return None
    if "--long" in arguments:
        return [of_check(name) for name in table.everything()] + of_words(words)
    try:
        return of_words(words or table.usual())
    except Unknown as error:
        return stop(str(error))


def stop(message):
    print(f"script/test: {message}", file=sys.stderr)
    sys.exit(2)
