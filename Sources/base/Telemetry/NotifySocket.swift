internal import Glibc

/// The datagram socket of the service manager: `$NOTIFY_SOCKET` of sd_notify(3).
public struct NotifySocket: Sendable {
    /// Why reports cannot be sent; a sentence that names the variable.
    public struct NotifyError: Error, Sendable, Equatable, CustomStringConvertible {
        public let description: String

        init(_ description: String) { self.description = description }
    }

    private let address: sockaddr_un
    private let addressBytes: socklen_t
    /// The time after which the service manager restarts a silent process (`$WATCHDOG_USEC`); nil
    /// if it does not watch this process.
    public let watchdog: Duration?

    /// - Parameter environment: all variables of the process.
    /// - Returns: nil if no service manager waits for reports.
    public init?(environment: [String: String]) throws(NotifyError) {
        guard let path = environment["NOTIFY_SOCKET"], !path.isEmpty else { return nil }
        (self.address, self.addressBytes) = try Self.address(path)
        self.watchdog = try Self.watchdog(environment)
    }

    /// A path, or `@` and the name of an abstract socket, whose address begins with a zero byte and
    /// has no zero byte at its end.
    private static func address(_ path: String) throws(NotifyError) -> (sockaddr_un, socklen_t) {
        guard path.hasPrefix("/") || path.hasPrefix("@"), path.utf8.count > 1 else {
            throw NotifyError("NOTIFY_SOCKET: \(path) is neither a path nor an abstract name (@…)")
        }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw NotifyError(
                "NOTIFY_SOCKET: \(path) is longer than a socket's address allows (107 bytes)")
        }
        let isAbstract = path.hasPrefix("@")
        if isAbstract { bytes[0] = 0 } else { bytes.append(0) }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let prefix = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2
        return (address, socklen_t(prefix + bytes.count))
    }

    private static func watchdog(_ environment: [String: String]) throws(NotifyError) -> Duration? {
        guard let text = environment["WATCHDOG_USEC"], !text.isEmpty else { return nil }
        // The variables are inherited; they concern only the process that is named.
        if let process = environment["WATCHDOG_PID"], process != String(getpid()) { return nil }
        guard let microseconds = Int64(text), (1...Int64.max / 1000).contains(microseconds) else {
            throw NotifyError("WATCHDOG_USEC: \(text) is not a number of microseconds")
        }
        return .microseconds(microseconds)
    }

    /// Sends one report. Blocks for at most one second, if the service manager does not read.
    public func send(_ report: String) throws(NotifyError) {
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Self.systemError() }
        defer { close(descriptor) }
        var limit = timeval(tv_sec: 1, tv_usec: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = self.address
        let bytes = Array(report.utf8)
        let sent = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(
                    descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), $0,
                    self.addressBytes)
            }
        }
        guard sent == bytes.count else { throw Self.systemError() }
    }

    private static func systemError() -> NotifyError {
        NotifyError("NOTIFY_SOCKET: \(String(cString: strerror(errno)))")
    }
}
