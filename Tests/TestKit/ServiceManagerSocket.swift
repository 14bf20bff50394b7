import Glibc

/// A socket on which a test receives the reports that a process sends to its service manager.
public final class ServiceManagerSocket {
    /// The value of `NOTIFY_SOCKET`.
    public let name: String
    private let descriptor: Int32
    private let folder: TemporaryFolder

    public init(isAbstract: Bool = false) throws {
        self.folder = try TemporaryFolder()
        let path = self.folder.file("notify")
        self.name = isAbstract ? "@" + path : path
        self.descriptor = socket(
            AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes: [UInt8] = (isAbstract ? [0] : []) + Array(path.utf8) + (isAbstract ? [] : [0])
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(self.descriptor, $0, socklen_t(2 + bytes.count))
            }
        }
        guard result == 0 else { throw TestFailure("no socket at \(self.name): errno \(errno)") }
    }

    deinit { close(self.descriptor) }

    /// The lines of the next report.
    public func next(within time: Duration = Deadline.defaultTimeout) throws -> [String] {
        guard let report = self.poll(within: time) else {
            throw TestFailure("waited \(time) for a report of the service")
        }
        return report
    }

    /// Waits for a report that contains the line.
    @discardableResult
    public func report(with line: String) throws -> [String] {
        let deadline = Deadline()
        while true {
            let report = try self.next(within: deadline.remaining)
            if report.contains(line) { return report }
        }
    }

    /// The lines of the next report; nil if none arrives in time.
    public func poll(within time: Duration) -> [String]? {
        var watched = pollfd(fd: self.descriptor, events: Int16(POLLIN), revents: 0)
        guard Glibc.poll(&watched, 1, Deadline(within: time).milliseconds) == 1 else { return nil }
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = recv(self.descriptor, &bytes, bytes.count, 0)
        guard count >= 0 else { return nil }
        return String(decoding: bytes.prefix(count), as: UTF8.self).split(separator: "\n").map {
            String($0)
        }
    }
}
