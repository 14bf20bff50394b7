public import EngineIO

/// A frame for a polling client, in the parts that polling needs.
///
/// Frames for WebSockets contain a packet each. Pings and pongs are for WebSockets only: the caller
/// discards them.
public enum EngineFrame: Sendable {
    /// - Parameter staysWithPrevious: whether the packet must be in the same response as the one
    ///   before it.
    case packet(SharedPacket, staysWithPrevious: Bool)
    /// A close frame.
    case close(code: UInt16, reason: String)

    var staysWithPrevious: Bool {
        if case .packet(_, let staysWithPrevious) = self { staysWithPrevious } else { false }
    }
}
