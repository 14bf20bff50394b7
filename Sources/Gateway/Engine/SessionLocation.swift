import EngineIO

/// The node and loop of a session. They are part of its id, so that no table is needed to route a
/// request.
struct SessionLocation {
    let node: UInt64
    let loop: Int

    init(node: UInt64, loop: Int) {
        self.node = node
        self.loop = loop
    }

    /// Nil for an id that no node of this version makes.
    init?(_ id: EngineSessionID) {
        let parts = id.text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let node = UInt64(parts[0], radix: 36), let loop = Int(parts[1]),
            loop >= 0
        else { return nil }
        self.init(node: node, loop: loop)
    }

    /// Makes an id for a session at this location.
    ///
    /// - Parameter random: makes the id unguessable.
    func makeSessionID(_ random: (UInt64, UInt64)) -> EngineSessionID {
        let node = String(self.node, radix: 36)
        return EngineSessionID(
            named: "\(node).\(self.loop).\(EngineSessionID(random: random).text)")!
    }
}
