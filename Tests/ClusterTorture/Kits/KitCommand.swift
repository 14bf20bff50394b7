import Foundation
import TestKit

/// A program that runs one client of a kit: commands on stdin, events on stdout, one JSON object
/// per line. `clients/python/tests/driver.py` documents them.
public struct KitCommand: Sendable, Equatable {
    /// The name of the kit.
    public let name: String
    /// The program and its arguments.
    public let command: [String]

    public init(_ name: String, _ command: [String]) {
        self.name = name
        self.command = command
    }

    /// The kits that `named` knows.
    public static let names = ["python", "swift", "js"]

    /// The driver of a kit in this checkout.
    ///
    /// - Throws: if its runtime or its file is missing.
    public static func named(_ name: String) throws -> KitCommand {
        switch name {
        case "python":
            return KitCommand(
                name,
                [try Checkout.python(), "-u", try self.file("clients/python/tests/driver.py")])
        case "js":
            return KitCommand(
                name, [try Checkout.program("node"), try self.file("clients/js/test/driver.mjs")])
        case "swift":
            let program = Checkout.built("ClientDriver")
            guard access(program, X_OK) == 0 else {
                throw TestFailure("--kits: swift: there is no program \(program)")
            }
            return KitCommand(name, [program])
        default:
            throw TestFailure(
                "--kits: there is no kit \(name); the kits are \(names.joined(separator: ", "))")
        }
    }

    private static func file(_ path: String) throws -> String {
        let file = Checkout.file(path)
        guard access(file, R_OK) == 0 else {
            throw TestFailure("--kits: there is no file \(file)")
        }
        return file
    }

    /// The same driver behind a program that changes its events.
    public func wrapped(in wrapper: [String]) -> KitCommand {
        KitCommand(self.name, wrapper + self.command)
    }
}
