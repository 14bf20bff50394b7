import Foundation

/// Which tests this run includes. `script/test` sets the variables.
public enum TestRun {
    /// `CONFAB_TEST_PROGRAMS`: whether the tests that start programs run.
    public static let hasPrograms = isSet("CONFAB_TEST_PROGRAMS")
    /// `CONFAB_LONG_TESTS`: whether the tests of `script/test --long` run.
    public static let isLong = isSet("CONFAB_LONG_TESTS")
    /// `CONFAB_TEST_TIMES`: whether waiting tests print how long they ran.
    public static let showsTimes = isSet("CONFAB_TEST_TIMES")

    private static func isSet(_ variable: String) -> Bool {
        ProcessInfo.processInfo.environment[variable] == "1"
    }
}
