/// A session that moves to the node with its WebSocket: its state, and the packets that waited for
/// a poll.
///
/// As text, the packets are at the end, so a new field belongs into the state.
public struct TransferredSession: Sendable, Equatable {
    /// The remaining lifetime of the token in milliseconds; 0 if it does not expire.
    public let expiresAfter: Int64
    /// The snapshot of the dialect's session, as the dialect encodes it.
    public let state: String
    /// The client has not received these packets. They follow on the WebSocket, in this order.
    public let packets: [String]

    private static let separator: Character = "\u{1E}"

    public init(expiresAfter: Int64, state: String, packets: [String]) {
        self.expiresAfter = expiresAfter
        self.state = state
        self.packets = packets
    }

    /// Nil for a text that no node of this version sends.
    init?(_ text: Substring) {
        let parts = text.split(separator: Self.separator, omittingEmptySubsequences: false)
        guard parts.count >= 2, let expiresAfter = Int64(parts[0]) else { return nil }
        self.init(
            expiresAfter: expiresAfter, state: String(parts[1]),
            packets: parts[2...].map(String.init))
    }

    var text: String {
        ([String(self.expiresAfter), self.state] + self.packets).joined(
            separator: String(Self.separator))
    }
}
