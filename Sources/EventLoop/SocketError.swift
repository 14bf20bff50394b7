import Glibc

/// Why a socket could not be opened, bound, connected or watched.
public enum SocketError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Another socket listens at the address.
    case addressInUse(String)
    /// No interface of this machine has the address.
    case addressNotAvailable(String)
    /// Ports below 1024 need a privilege.
    case notPermitted(String)
    /// The name has no address; with the resolver's words.
    case unresolvable(host: String, reason: String)
    /// Nobody listens there.
    case refused
    /// No route, or the network is down.
    case unreachable
    /// No answer within the kernel's patience.
    case timedOut
    /// The process or the system has no descriptor left (EMFILE, ENFILE).
    case tooManyDescriptors
    /// The loop has ended.
    case loopEnded
    /// Whatever else `call` said.
    case system(call: String, errno: Int32)

    public var description: String {
        switch self {
        case .addressInUse(let address):
            "Cannot listen on \(address): the address is already in use."
        case .addressNotAvailable(let address):
            "Cannot listen on \(address): no interface of this machine has this address."
        case .notPermitted(let address):
            "Cannot listen on \(address): the port needs a privilege that this process does not have."
        case .unresolvable(let host, let reason): "The host \(host) cannot be resolved: \(reason)."
        case .refused: "The connection was refused: nobody listens there."
        case .unreachable: "The address cannot be reached from here."
        case .timedOut: "The connection attempt timed out."
        case .tooManyDescriptors: "Too many files are open (see ulimit -n)."
        case .loopEnded: "The event loop has ended."
        case .system(let call, let code): "\(call) failed: \(Self.text(of: code))."
        }
    }

    /// The error of a call that is not about a listening address.
    init(call: String, errno code: Int32) {
        switch code {
        case ECONNREFUSED: self = .refused
        case ENETUNREACH, EHOSTUNREACH, ENETDOWN: self = .unreachable
        case ETIMEDOUT: self = .timedOut
        case EMFILE, ENFILE: self = .tooManyDescriptors
        default: self = .system(call: call, errno: code)
        }
    }

    /// The error of binding or listening at `address`.
    init(call: String, errno code: Int32, address: SocketAddress) {
        switch code {
        case EADDRINUSE: self = .addressInUse(address.text)
        case EADDRNOTAVAIL: self = .addressNotAvailable(address.text)
        case EACCES, EPERM: self = .notPermitted(address.text)
        default: self = SocketError(call: call, errno: code)
        }
    }

    private static func text(of code: Int32) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { text in
            strerror_r(code, text.baseAddress!, text.count) == 0
                ? String(cString: text.baseAddress!) : "error \(code)"
        }
    }
}
