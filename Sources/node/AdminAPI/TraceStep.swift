internal import Bytes
internal import ChatCore
internal import ChatEngine
internal import ChatModel
internal import Gateway
internal import JSON

/// A step of a message, as one node reports it to another.
struct TraceStep: Sendable, Equatable {
    let conversation: String
    /// Nil for a request whose answer has not arrived.
    let message: Int?
    let loop: Int
    /// `TraceRecord.Step.name`. A node of a later version may send others.
    let step: String
    /// Microseconds since 1970, by the node's own clock.
    let at: Int64
    let count: Int
    /// The request's id on the loop that accepted it; 0 in the steps after `sequenced`.
    let request: String
    /// In `sequenced`, the node and the loop that sent the request.
    let origin: Origin?

    struct Origin: Sendable, Hashable {
        let incarnation: UInt64
        let loop: Int
    }

    init(_ step: TracedStep) {
        self.conversation = step.conversation.id.string
        self.message = step.message
        self.loop = step.loop
        self.step = step.record.step.name
        self.at = step.at
        self.count = Int(step.record.count)
        self.request = String(step.record.request.rawValue)
        self.origin =
            step.record.step == .sequenced && step.record.request != 0
            ? Origin(incarnation: step.record.peer, loop: Int(step.record.loop)) : nil
    }

    /// Nil for a malformed step.
    init?(_ tree: JSONTree) {
        guard let conversation = tree["conversation"]?.stringValue,
            let loop = tree["loop"]?.integerValue, let step = tree["step"]?.stringValue,
            let at = tree["at"]?.integerValue, let request = tree["request"]?.stringValue
        else { return nil }
        self.conversation = conversation
        self.message = tree["message"]?.integerValue
        self.loop = loop
        self.step = step
        self.at = Int64(at)
        self.count = tree["count"]?.integerValue ?? 0
        self.request = request
        if let node = tree["from_node"]?.stringValue.flatMap({ UInt64($0, radix: 36) }),
            let loop = tree["from_loop"]?.integerValue
        {
            self.origin = Origin(incarnation: node, loop: loop)
        } else {
            self.origin = nil
        }
    }

    var tree: JSONTree {
        [
            "conversation": .string(self.conversation),
            "message": self.message.map { .integer($0) } ?? .null,
            "loop": .integer(self.loop), "step": .string(self.step),
            "at": .integer(Int(self.at)), "count": .integer(self.count),
            "request": .string(self.request),
            "from_node": self.origin.map { .string(String($0.incarnation, radix: 36)) } ?? .null,
            "from_loop": self.origin.map { .integer($0.loop) } ?? .null,
        ]
    }

    /// The position in a message's path, for steps of the same time.
    var rank: Int {
        TraceRecord.Step.allCases.firstIndex { $0.name == self.step } ?? .max
    }

    /// The steps of an answer. Malformed ones are skipped, because a later version may send them.
    static func list(_ answer: JSONTree) -> [TraceStep] {
        (answer["steps"]?.elements ?? []).compactMap { TraceStep($0) }
    }
}
