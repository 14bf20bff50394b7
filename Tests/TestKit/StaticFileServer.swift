/// An HTTP server for the files of a folder, in the role of another web site.
public final class StaticFileServer {
    public let folder: TemporaryFolder
    public let port: UInt16
    private let process: ChildProcess

    public init() throws {
        self.folder = try TemporaryFolder()
        self.process = try ChildProcess(
            Checkout.python(), ["-u", "-m", "http.server", "0", "--bind", "127.0.0.1"],
            folder: self.folder.path)
        do {
            let words = try self.process.output.line(with: "Serving HTTP on").split(separator: " ")
            guard let index = words.firstIndex(of: "port"), let port = UInt16(words[index + 1])
            else {
                throw TestFailure("no port in \(words)")
            }
            self.port = port
        } catch {
            self.process.kill()
            throw error
        }
    }

    deinit { self.process.kill() }

    public var origin: String { "http://127.0.0.1:\(self.port)" }
}
