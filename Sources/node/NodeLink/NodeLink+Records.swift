public import Bytes
public import JSON
import RedisClient

extension NodeLink {
    /// An event of the cluster in Redis: what a node did, or what an operator ordered.
    public struct Event: Sendable, Equatable {
        public struct Detail: Sendable, Equatable {
            public let name: String
            public let value: String

            public init(_ name: String, _ value: String) {
                self.name = name
                self.value = value
            }
        }

        /// Increases with every event: milliseconds, and a number within the millisecond.
        public let id: String
        /// In no particular order.
        public let details: [Detail]

        public init(id: String, details: [Detail]) {
            self.id = id
            self.details = details
        }

        public subscript(name: String) -> String? { self.details.first { $0.name == name }?.value }

        /// When it was stored, by Redis' clock.
        public var time: Timestamp { Timestamp(milliseconds: Int64(clamping: self.order.0)) }

        var order: (UInt64, UInt64) { Self.order(of: self.id) }

        /// The time and the number in an id.
        public static func order(of id: String) -> (UInt64, UInt64) {
            let parts = id.split(separator: "-")
            return (
                parts.first.flatMap { UInt64($0) } ?? 0, parts.count > 1 ? UInt64(parts[1]) ?? 0 : 0
            )
        }

        /// The event's row in `confab events`.
        ///
        /// - Parameter node: the node's name; nil if it is unknown.
        public func row(node: String?) -> JSONTree {
            [
                "id": .string(self.id), "timestamp": .string(self.time.text),
                "event": .string(self["event"] ?? "?"),
                "node": node.map { .string($0) } ?? .null,
                "operator": self["operator"].map { .string($0) } ?? .null,
                "view": self["view"].flatMap { Int($0) }.map { .integer($0) } ?? .null,
                "detail": self["detail"].map { .string($0) } ?? .null,
            ]
        }

        /// Nil if the reply is not a stream entry.
        init?(_ entry: RedisReply) {
            guard let id = entry[0]?.string, let fields = entry[1]?.elements else { return nil }
            var details: [Detail] = []
            var remaining = fields
            while let name = remaining.next(), let value = remaining.next() {
                details.append(Detail(name.string, value.string))
            }
            self.init(id: id, details: details)
        }
    }

    /// Records an order of an operator. A failure is ignored, because the log contains the order
    /// too.
    public func record(_ event: String, _ details: [Event.Detail] = []) {
        self.agent.record(event, details)
    }

    /// A part of the event log.
    public enum EventRange: Sendable, Equatable {
        /// The oldest events after the one with this id.
        case after(String)
        /// The newest events before the one with this id; nil for the newest ones of all.
        case before(String?)
    }

    /// The events, oldest first. Nil if Redis does not reply.
    public func events(in range: EventRange, limit: Int) async -> [Event]? {
        await withCheckedContinuation { continuation in
            self.agent.events.events(in: range, limit: limit) { continuation.resume(returning: $0) }
        }
    }

    /// The bytes of all conversations' streams in Redis; estimated if there are many. Nil if Redis
    /// does not reply.
    public func measureStreams() async -> Int? {
        await withCheckedContinuation { continuation in
            self.agent.inspector.measureStreams { continuation.resume(returning: $0) }
        }
    }
}
