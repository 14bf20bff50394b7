internal import Bytes
internal import Configuration
internal import JSON

/// The path of one message, put together from the steps of all nodes.
///
/// Times of one node come from one clock, so their differences are exact. Times of two nodes are
/// compared through the nodes' clock offsets, if both are known.
struct MessagePath: Sendable {
    /// The answer of one node.
    struct NodeTrace: Sendable {
        let incarnation: UInt64
        let name: String
        /// How many microseconds the node's clock is ahead of Redis' clock; nil if unknown.
        let clockOffset: Int64?
        let steps: [TraceStep]
    }

    /// A step with the node that took it.
    struct PathStep: Sendable {
        let node: NodeTrace
        let step: TraceStep
    }

    let places: [PathStep]

    /// - Parameters:
    ///   - nodes: the answers about the message's conversation.
    ///   - message: the number.
    init(of message: Int, in conversation: String, among nodes: [NodeTrace]) {
        let places = nodes.flatMap { node in
            node.steps.filter { $0.conversation == conversation }.map {
                PathStep(node: node, step: $0)
            }
        }
        let numbered = places.filter { $0.step.message == message }
        // The owner knows the request that became the message, even if no answer reached the node
        // that accepted it.
        let requests = numbered.compactMap { place in
            place.step.origin.map { ($0, place.step.request) }
        }
        let unanswered = places.filter { place in
            place.step.message == nil
                && requests.contains { origin, request in
                    origin.incarnation == place.node.incarnation && origin.loop == place.step.loop
                        && request == place.step.request
                }
        }
        self.places = (numbered + unanswered).sorted { one, other in
            let (left, right) = (one.sharedTime, other.sharedTime)
            return left == right ? one.step.rank < other.step.rank : left < right
        }
    }

    private func places(_ step: String) -> [PathStep] {
        self.places.filter { $0.step.step == step }
    }

    var accepted: PathStep? { self.places("accepted").first }
    /// Where the message got its number; the last one, if its first write failed.
    var sequenced: PathStep? { self.places("sequenced").last }

    /// The state that the message has reached, in the order of its path.
    var state: String {
        for state in ["delivered", "written", "received", "stored"]
        where !self.places(state).isEmpty {
            return state
        }
        if self.places.last(where: { $0.step.step == "failed" }) != nil { return "failed" }
        return self.places("not_stored").isEmpty ? "waiting" : "not_stored"
    }

    /// The milliseconds from accepting the message; nil if the clocks cannot be compared.
    func milliseconds(to place: PathStep) -> Double? {
        guard let accepted = self.accepted else { return nil }
        if accepted.node.incarnation == place.node.incarnation {
            return Double(place.step.at - accepted.step.at) / 1000
        }
        guard accepted.node.clockOffset != nil, place.node.clockOffset != nil else { return nil }
        return Double(place.sharedTime - accepted.sharedTime) / 1000
    }

    // MARK: Documents

    /// One row for each step.
    func rows(nodeNames: (UInt64) -> String) -> [JSONTree] {
        var firstSteps: [UInt64: Int64] = [:]
        for place in self.places {
            firstSteps[place.node.incarnation] = min(
                firstSteps[place.node.incarnation] ?? .max, place.step.at)
        }
        return self.places.map { place in
            let first = firstSteps[place.node.incarnation] ?? place.step.at
            return [
                "node": .string(place.node.name), "loop": .integer(place.step.loop),
                "step": .string(place.step.step),
                "timestamp": .string(Self.timestamp(place.step.at)),
                "offset": .milliseconds(Double(place.step.at - first) / 1000),
                "since_accepted": self.milliseconds(to: place).map { .milliseconds($0) } ?? .null,
                "detail": Self.detail(of: place.step, nodeNames).map { .string($0) } ?? .null,
            ]
        }
    }

    /// One row for the whole message.
    ///
    /// - Parameters:
    ///   - id: the members that identify the message.
    ///   - seenAt: when a node first saw it, in microseconds since 1970.
    func summary(_ id: [JSONTree.ObjectMember], seenAt: Int64) -> JSONTree {
        func first(_ step: String) -> JSONTree {
            self.places(step).first.flatMap { self.milliseconds(to: $0) }
                .map { .milliseconds($0) } ?? .null
        }
        let written = self.places("written")
        return .object(
            [.init("timestamp", .string(Self.timestamp(self.accepted?.step.at ?? seenAt)))] + id + [
                .init("state", .string(self.state)),
                .init("accepted_on", (self.accepted?.node.name).map { .string($0) } ?? .null),
                .init("owner", (self.sequenced?.node.name).map { .string($0) } ?? .null),
                .init("stored", first("stored")), .init("first_written", first("written")),
                .init(
                    "last_written",
                    written.last.flatMap { self.milliseconds(to: $0) }.map { .milliseconds($0) }
                        ?? .null),
                .init("sockets", .integer(written.map(\.step.count).reduce(0, +))),
                .init("delivered", first("delivered")),
            ])
    }

    static func timestamp(_ microseconds: Int64) -> String {
        Timestamp(milliseconds: microseconds / 1000).text
    }

    private static func detail(of step: TraceStep, _ nodeNames: (UInt64) -> String) -> String? {
        func count(_ thing: String) -> String {
            "to \(OperatorText.count(step.count, thing))"
        }
        switch step.step {
        case "resent": return "no answer yet; sent to an owner again"
        case "sequenced":
            return step.origin.map {
                "request of \(nodeNames($0.incarnation)), loop \($0.loop)"
            }
        case "published": return count("loop")
        case "published_with_write": return count("loop") + ", by Redis when it stores it"
        case "not_stored": return "the store refused it, or its outcome is unknown"
        case "written": return count("socket")
        case "delivered": return "accepted by the socket of a user other than the author"
        case "failed": return "the client got an error"
        default: return nil
        }
    }
}

extension MessagePath.PathStep {
    /// Microseconds by Redis' clock, or by the node's own if its offset is unknown.
    fileprivate var sharedTime: Int64 { self.step.at - (self.node.clockOffset ?? 0) }
}

extension JSONTree {
    /// Milliseconds with up to three decimals.
    static func milliseconds(_ value: Double) -> JSONTree {
        let microseconds = Int((value * 1000).rounded())
        let sign = microseconds < 0 ? "-" : ""
        let (whole, rest) = abs(microseconds).quotientAndRemainder(dividingBy: 1000)
        let digits = String(1000 + rest).dropFirst()
        return .number(rest == 0 ? "\(sign)\(whole)" : "\(sign)\(whole).\(digits)")
    }
}
