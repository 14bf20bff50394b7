internal import EngineIO

/// The node and loop of a session. They are part of its id, so that no table is needed to route a
/// request.
struct EngineSessionAddress: Sendable, Equatable {
    let session: EngineSessionID
    let node: UInt64
    let loop: UInt16

    /// Nil for an id that no node of this version makes.
    init?(_ session: EngineSessionID) {
        let parts = session.text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let node = UInt64(parts[0], radix: 36), let loop = Int(parts[1]),
            loop >= 0
        else { return nil }
        self.session = session
        self.node = node
        self.loop = UInt16(clamping: loop)
    }

    /// Makes the id of a session at this location.
    ///
    /// - Parameter random: from a cryptographic generator, because the id must be unguessable.
    static func makeID(node: UInt64, loop: Int, random: (UInt64, UInt64)) -> EngineSessionID {
        let text = "\(String(node, radix: 36)).\(loop).\(EngineSessionID(random: random).text)"
        guard let id = EngineSessionID(named: text) else {
            preconditionFailure("\(text) is not an id of a session.")
        }
        return id
    }
}
