import TestKit
public import Testing

extension Trait where Self == ConditionTrait {
    /// For each suite whose tests start programs, such as `confab`, Redis or a browser. A plain
    /// `swift test` skips them, because `script/bootstrap tests` has to install those first.
    public static var programs: Self {
        .enabled(
            if: TestRun.hasPrograms,
            "Starts programs: use script/test, or set CONFAB_TEST_PROGRAMS=1")
    }

    /// For tests that only `script/test --long` runs. Another test of the everyday run holds their
    /// guarantee, or their fault is so rare that a run each day is enough.
    public static var long: Self {
        .enabled(
            if: TestRun.isLong, "Part of script/test --long only: set CONFAB_LONG_TESTS=1")
    }
}
