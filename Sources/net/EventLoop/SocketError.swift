import Glibc

/// Why a socket could not be opened, bound, connected or watched.
public enum SocketError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Another socket is listening at the address.
    case addressInUse(String)
    /// No interface of this machine has the address.
    case addressNotAvailable(String)
    /// A port below 1024 needs a privilege.
    case notPermitted(String)
    /// The name has no address. `reason` is the resolver's message.
    case unresolvable(host: String, reason: String)
    /// No process listens at the address.
    case refused
    /// There is no route, or the network is down.
    case unreachable
    /// The peer did not answer within the kernel's timeout.
    case timedOut
    /// The process or the system has no descriptor left (EMFILE, ENFILE).
    case tooManyDescriptors
    /// The loop has ended.
    case loopEnded
    /// Any other error of `call`.
    case system(call: String, errno: Int32)

    public var description: String {
        switch self {
        case .addressInUse(let address):
            "Cannot listen on \(address): the address is already in use."
        case .addressNotAvailable(let address):
            "Cannot listen on \(address): no interface of this machine has this address."
        case .notPermitted(let address):
            "Cannot listen on \(address): "
                + "the port needs a privilege that this process does not have."
        case .unresolvable(let host, let reason): "The host \(host) cannot be resolved: \(reason)."
        case .refused: "The connection was refused: no process listens at the address."
        case .unreachable: "The address is unreachable."
        case .timedOut: "The connection attempt timed out."
        case .tooManyDescriptors: "Too many files are open (see ulimit -n)."
        case .loopEnded: "The event loop has ended."
        case .system(let call, let code): "\(call) failed: \(Self.text(of: code))."
        }
    }

    /// The error of a call other than bind and listen.
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
