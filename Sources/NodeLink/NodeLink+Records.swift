public import Bytes
import RedisClient

extension NodeLink {
    /// Something that happened in the cluster, as Redis keeps it: what nodes did, and what operators had them do.
    public struct Event: Sendable, Equatable {
        public struct Detail: Sendable, Equatable {
            public let name: String
            public let value: String

            public init(_ name: String, _ value: String) {
                self.name = name
                self.value = value
            }
        }

        /// Rises from event to event: milliseconds, and a number among those of the same one.
        public let id: String
        /// In no certain order.
        public let details: [Detail]

        public init(id: String, details: [Detail]) {
            self.id = id
            self.details = details
        }

        public subscript(name: String) -> String? { self.details.first { $0.name == name }?.value }

        /// When it was kept, by Redis' clock.
        public var time: Timestamp { Timestamp(milliseconds: Int64(clamping: self.order.0)) }

        var order: (UInt64, UInt64) {
            let parts = self.id.split(separator: "-")
            return (
                parts.first.flatMap { UInt64($0) } ?? 0, parts.count > 1 ? UInt64(parts[1]) ?? 0 : 0
            )
        }

        /// Nil where it is no entry of a stream.
        init?(_ entry: RedisReply) {
            guard let id = entry[0]?.string, let words = entry[1]?.elements else { return nil }
            var details: [Detail] = []
            var rest = words
            while let name = rest.next(), let value = rest.next() {
                details.append(Detail(name.string, value.string))
            }
            self.init(id: id, details: details)
        }
    }

    /// Notes for operators what this node was told to do. What cannot be noted is not: the log has it, too.
    public func record(_ event: String, _ details: [Event.Detail] = []) {
        self.agent.record(event, details)
    }

    /// What happened, oldest first. Nil where Redis does not say.
    ///
    /// - Parameter id: what came after this event; nil: the newest.
    public func events(after id: String?, limit: Int) async -> [Event]? {
        await withCheckedContinuation { continuation in
            self.agent.events(after: id, limit: limit) { continuation.resume(returning: $0) }
        }
    }

    /// The bytes that all conversations' streams take in Redis; of many it is an estimate. Nil where Redis does not say.
    public func measureStreams() async -> Int? {
        await withCheckedContinuation { continuation in
            self.agent.measureStreams { continuation.resume(returning: $0) }
        }
    }
}
