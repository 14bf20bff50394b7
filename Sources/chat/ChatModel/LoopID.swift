/// Identifies an event loop of one incarnation of a node: it owns shards, writes and subscribes.
public struct LoopID: Sendable, Hashable, CustomStringConvertible {
    public let incarnation: UInt64
    public let loop: UInt16

    public init(incarnation: UInt64, loop: UInt16) {
        self.incarnation = incarnation
        self.loop = loop
    }

    public var description: String { "\(String(self.incarnation, radix: 36)).\(self.loop)" }
}
