import Foundation

/// The checkout that the tests were built from, and the programs built in it.
public enum Checkout {
    /// Its root folder.
    public static let path = String(#filePath.dropLast("/Tests/TestKit/Checkout.swift".utf8.count))

    /// `CONFAB_BINARY`, or the `confab` that was built with these tests.
    public static var confab: String {
        if let given = ProcessInfo.processInfo.environment["CONFAB_BINARY"], !given.isEmpty {
            return given
        }
        return self.built("confab")
    }

    /// The path of a program that was built with this one.
    public static func built(_ name: String) -> String {
        URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
            .deletingLastPathComponent().appendingPathComponent(name).path
    }

    /// The path of a file in the checkout.
    public static func file(_ name: String) -> String { self.path + "/" + name }

    public static func read(_ name: String) throws -> String {
        try String(contentsOfFile: self.file(name), encoding: .utf8)
    }

    /// The path of the first of these programs in `PATH`.
    ///
    /// Only a run that includes programs gets one: a suite without the trait `programs` would fail
    /// where they are not installed, and no developer has such a machine.
    public static func program(_ names: String...) throws -> String {
        guard TestRun.hasPrograms else {
            throw TestFailure(
                "the suite of a test that starts \(names[0]) needs the trait `programs`")
        }
        let tools = ["\(self.path)/.build/tools/python/bin", "\(self.path)/.build/tools"]
        let folders =
            tools
            + (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(
                String.init)
        for name in names {
            if let folder = folders.first(where: { access("\($0)/\(name)", X_OK) == 0 }) {
                return "\(folder)/\(name)"
            }
        }
        throw TestFailure(
            "none of \(names) is on the path; script/bootstrap tests installs what the tests use")
    }

    /// A file among the test tools, found by the start and end of its name.
    public static func tool(_ prefix: String, _ suffix: String) throws -> String {
        let folder = "\(self.path)/.build/tools"
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter {
            $0.hasPrefix(prefix) && $0.hasSuffix(suffix)
        }
        guard let name = names.max() else {
            throw TestFailure(
                "there is no \(prefix)…\(suffix) in \(folder); script/bootstrap tests fetches it")
        }
        return "\(folder)/\(name)"
    }

    /// A Python 3 with the packages `websockets` and `socketio`.
    public static func python() throws -> String { try self.program("python3") }
}
