import Foundation

/// A folder for one test, deleted with this object.
public final class TemporaryFolder: Sendable {
    public let path: String

    public init() throws {
        var template = Array(
            (FileManager.default.temporaryDirectory.path + "/confab-test.XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else {
            throw TestFailure("no temporary folder could be made: errno \(errno)")
        }
        self.path = String(
            decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: self.path)
    }

    /// The path of a file in the folder.
    public func file(_ name: String) -> String { self.path + "/" + name }

    /// Writes a file and returns its path.
    @discardableResult
    public func write(_ text: String, to name: String) throws -> String {
        try self.write(Array(text.utf8), to: name)
    }

    @discardableResult
    public func write(_ bytes: [UInt8], to name: String) throws -> String {
        let path = self.file(name)
        try Data(bytes).write(to: URL(filePath: path))
        return path
    }

    public func read(_ name: String) throws -> String {
        try String(contentsOfFile: self.file(name), encoding: .utf8)
    }

    public func hasFile(_ name: String) -> Bool {
        FileManager.default.fileExists(atPath: self.file(name))
    }
}
