"""What `script/test --changed` runs after a change of some files."""

import unittest

import support  # noqa: F401
from checks.changed import CORE, MANY, SMOKE, Choice, suites_in
from checks.tasks import of_choice, with_builds

GRAPH = {
    "Bytes": set(),
    "ChatCore": {"Bytes"},
    "BytesTests": {"Bytes"},
    "ChatCoreTests": {"ChatCore", "Bytes"},
    "ChatEngineTests": {"ChatCore", "Bytes"},
    "PagesTests": {"Pages"},
    "Pages": {"CPages"},
    "CPages": set(),
    "SystemTests": {"TestKit"},
    "DocumentationTests": {"TestKit"},
    "TestKit": {"Bytes"},
    **{name: {"Bytes"} for name in CORE},
    **{f"Other{number}Tests": {"Bytes"} for number in range(MANY)},
}
GRAPH["ChatEngineTests"] |= {"ChatCore"}
SUITE = 'import Testing\nstruct StartTests {\n    @Test("starts") func start() {}\n}\n'


def choice(*files, text=""):
    return Choice(files, GRAPH, lambda file: text)


class ChangedTests(unittest.TestCase):
    def test_a_module_selects_the_test_targets_that_name_it(self):
        chosen = choice("Sources/chat/ChatCore/Edit.swift")
        self.assertEqual(set(chosen.targets), {"ChatCoreTests", "ChatEngineTests"})
        self.assertEqual(set(chosen.suites), set(SMOKE))
        self.assertEqual(set(chosen.checks), {"style", "format"})

    def test_a_base_module_selects_its_own_tests_and_the_contracts(self):
        self.assertEqual(
            set(choice("Sources/base/Bytes/Buffer.swift").targets), {"BytesTests", *CORE})

    def test_a_test_target_selects_itself_without_system_tests(self):
        chosen = choice("Tests/ChatCoreTests/EditTests.swift")
        self.assertEqual((set(chosen.targets), chosen.suites), ({"ChatCoreTests"}, {}))

    def test_a_library_of_tests_selects_those_that_name_it(self):
        chosen = choice("Tests/TestKit/ChildProcess.swift")
        self.assertEqual(set(chosen.targets), {"DocumentationTests"})
        self.assertEqual(set(chosen.suites), set(SMOKE))

    def test_a_file_of_the_system_tests_selects_its_suites(self):
        chosen = choice("Tests/SystemTests/StartTests.swift", text=SUITE)
        self.assertEqual((set(chosen.suites), chosen.targets), ({"StartTests"}, {}))
        self.assertEqual(suites_in("struct RESTClient {}"), [])
        self.assertEqual(set(choice("Tests/SystemTests/RESTClient.swift").suites), set(SMOKE))

    def test_folders_select_their_checks(self):
        for file, expected in {
            "docs/pages.md": {"style", "docs"},
            "docs/model/ownership.pml": {"style", "docs", "model"},
            "script/cluster": {"style", "shell"},
            "clients/python/confab.py": {"style", "kits-python"},
            "clients/js/confab.js": {"style", "kits-js", "pages"},
            "Tests/Pages/test_story.py": {"style", "pages"},
            "docker/Dockerfile": {"style", "manifests"},
            "debian/rules": {"style", "manifests"},
            ".github/ISSUE_TEMPLATE/bug.yml": {"style", "manifests"},
            "LICENSE": {"style"},
            "Tests/golden/frame.json": {"style", "unit"},
            "Package.swift": {"style", "format", "unit"},
        }.items():
            self.assertEqual(set(choice(file).checks), expected, file)
        self.assertEqual(set(choice("docs/protocols/pets.md").suites), {"TranscriptTests"})
        self.assertIn("PagesTests", choice("Sources/node/CPages/web/app.js").targets)

    def test_checks_of_minutes_are_named_and_left_out(self):
        chosen = choice("Tests/Operating/test_drain.py")
        self.assertEqual((set(chosen.checks), set(chosen.left_out)), ({"style"}, {"operating"}))
        self.assertTrue(any("script/test operating" in line for line in chosen.explain()))

    def test_a_deleted_file_is_not_linted(self):
        def read(file):
            raise FileNotFoundError(file)
        chosen = Choice(["Sources/chat/ChatCore/Edit.swift"], GRAPH, read)
        self.assertEqual(chosen.swift_files, [])
        self.assertNotIn("format", chosen.checks)
        self.assertIn("ChatCoreTests", chosen.targets)

    def test_each_choice_has_a_reason(self):
        lines = "\n".join(choice("Sources/chat/ChatCore/Edit.swift").explain())
        self.assertRegex(lines, r"ChatCoreTests +names ChatCore in Package.swift")
        self.assertRegex(lines, r"LifecycleTests +a change in Sources")

    def test_a_choice_builds_only_what_it_needs(self):
        def names(*files):
            return {task.name for task in with_builds(of_choice(choice(*files)))}
        self.assertEqual(names("script/cluster"), {
            "style", "shell", "system (chosen)", "build"})
        self.assertEqual(names("LICENSE"), {"style"})
        self.assertEqual(names("clients/python/confab.py"), {"style", "kits-python", "build"})


if __name__ == "__main__":
    unittest.main()
