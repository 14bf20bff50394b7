/// Why a node could not be asked at its admin address. Each description completes the sentence
/// "node n2: …".
public enum DirectCallError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The node has no admin listener, or its record is unknown.
    case noListener
    /// The address, such as `0.0.0.0:8090`, names no host.
    case noHost(String)
    /// The listener is on loopback of another host.
    case otherHost(String)
    case unreachable(String, reason: String)
    case timeout(String)
    /// Another server listens there, or the node rejects this one.
    case rejected(String, status: Int)
    case unreadable(String)

    /// Whether no attempt could be made, so that the node may be alive.
    public var isUnasked: Bool {
        switch self {
        case .noListener, .noHost, .otherHost: true
        case .unreachable, .timeout, .rejected, .unreadable: false
        }
    }

    public var description: String {
        switch self {
        case .noListener: "its admin listener is off"
        case .noHost(let address): "its admin listener is at \(address), which names no host"
        case .otherHost(let address):
            "its admin listener is at \(address), which only its own host reaches"
        case .unreachable(let address, let reason): "\(address): \(reason)"
        case .timeout(let address): "\(address): no answer within 1.3 s"
        case .rejected(let address, let status):
            "\(address): it rejected the question with status \(status)"
        case .unreadable(let address): "\(address): its answer is unreadable"
        }
    }
}
