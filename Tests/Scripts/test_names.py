"""Names of suites and tests, and the checks that they select."""

import re
import unittest

import support  # noqa: F401
from checks import names, table, tasks

FILE = '''
import Testing

/// @Test in a comment is none.
@Suite("A node", .ownThread)
struct LifecycleTests {
    struct Fixture {}

    @Test("reports that it is \\"ready\\"")
    func ready() {}

    @Test(
        "closes its clients",
        arguments: [SIGTERM])
    func drain(_ signal: Int32) {}

    @Test func `It loads only files, and no markup`() {}
}

extension TortureSuites {
    @Suite struct FaultTests {
        @Test func kill() {}
    }
}
'''
PYTHON = '''
class KitTests(unittest.TestCase):
    def helper(self):
        pass

    async def test_sends(self):
        pass
'''


def matches(found, identifier):
    return re.search(found.selector, identifier) is not None


class SwiftNameTests(unittest.TestCase):
    names = dict(names.swift_names(FILE, "SystemTests", "Tests/SystemTests/LifecycleTests.swift"))

    def test_a_suite_is_found_by_its_type_and_its_sentence(self):
        for name in ("LifecycleTests", "A node"):
            found = self.names[name]
            self.assertTrue(matches(found, "SystemTests.LifecycleTests/ready()/L.swift:9:6"))
            self.assertFalse(matches(found, "SystemTests.OtherLifecycleTests/ready()/L.swift:9:6"))

    def test_a_test_is_found_by_its_function_and_its_sentence(self):
        for name in ("drain", "closes its clients", "LifecycleTests.drain"):
            found = self.names[name]
            self.assertTrue(matches(found, "SystemTests.LifecycleTests/drain(_:)/L.swift:12:6"))
            self.assertFalse(matches(found, "SystemTests.LifecycleTests/drains(_:)/L.swift:1:6"))
        self.assertIn('reports that it is "ready"', self.names)

    def test_a_function_that_is_a_sentence_matches_with_its_quotes(self):
        found = self.names["It loads only files, and no markup"]
        self.assertTrue(matches(
            found, "SystemTests.LifecycleTests/`It loads only files, and no markup`()/L.swift:1:6"))

    def test_a_nested_suite_matches_with_its_outer_type(self):
        self.assertTrue(matches(
            self.names["FaultTests"], "SystemTests.TortureSuites/FaultTests/kill()/L.swift:1:6"))
        self.assertTrue(matches(
            self.names["kill"], "SystemTests.TortureSuites/FaultTests/kill()/L.swift:1:6"))


class PythonNameTests(unittest.TestCase):
    def test_modules_classes_and_methods_are_found(self):
        found = dict(names.python_names(PYTHON, "clients/python/tests", "tests/test_kit.py"))
        self.assertEqual({name: each.selector for name, each in found.items()}, {
            "test_kit": "test_kit",
            "KitTests": "test_kit.KitTests",
            "test_kit.KitTests": "test_kit.KitTests",
            "test_sends": "test_kit.KitTests.test_sends",
            "KitTests.test_sends": "test_kit.KitTests.test_sends",
            "test_kit.KitTests.test_sends": "test_kit.KitTests.test_sends"})


class TreeTests(unittest.TestCase):
    """The names of this checkout."""

    @classmethod
    def setUpClass(cls):
        cls.index = names.index()

    def test_every_test_of_the_tree_is_found(self):
        count = 0
        for path in (support.ROOT / "Tests").rglob("*.swift"):
            count += len(re.findall(r"^ *@Test\b", path.read_text(), re.M))
        # Tests in source that a test compiles, and overloads, make a small difference.
        found = {each for all in self.index.values() for each in all
                 if each.kind == "swift" and each.selector.endswith("\\(")}
        self.assertGreater(count, 2000)
        self.assertGreater(len(found), 0.99 * count)

    def test_system_tests_run_alone_and_others_beside_each_other(self):
        chosen = tasks.of_words(["LifecycleTests", "AmendmentTests", "test_rules"])
        self.assertEqual(
            {task.name: (task.needs, task.runs) for task in chosen},
            {"system: LifecycleTests": ("tests", "alone"),
             "unit: AmendmentTests": ("tests", "beside"),
             "clients/python/tests: test_rules": ("confab", "beside")})

    def test_an_unknown_name_has_similar_ones(self):
        with self.assertRaisesRegex(tasks.Unknown, "LifecycleTests"):
            tasks.of_words(["LifecycelTests"])
        with self.assertRaisesRegex(tasks.Unknown, "unit"):
            tasks.of_words(["units"])

    def test_the_names_of_the_table_are_checks_with_functions(self):
        for check in table.CHECKS:
            self.assertTrue(callable(tasks.of_check(check.name).function), check.name)

    def test_long_replaces_checks_by_their_complete_ones(self):
        chosen = table.everything()
        self.assertEqual(len(chosen), len(set(chosen)))
        for name in ("unit", "kits", "pages", "system"):
            self.assertNotIn(name, chosen)
            self.assertIn(name + "-all", chosen)
        self.assertIn("docs", chosen)


if __name__ == "__main__":
    unittest.main()
