import ClusterWire

/// Why a question to another node has no answer.
public enum LinkError: Error, Sendable, Equatable {
    /// It did not come in time, or nobody hears that node's mailbox.
    case noAnswer
    /// Too many questions are under way.
    case tooMany
    /// The question, or the answer, is larger than a memo may be.
    case tooLong
}

/// The questions that a node has asked others, and those that it was asked.
///
/// Every question ends after its patience, answered or not: a dead node is an absence and never a wait. A question is answered once, so
/// that whoever can publish in Redis cannot have a node do again what it was asked before.
struct Correspondence {
    typealias Reply = @Sendable (Result<String, LinkError>) -> Void

    struct Question {
        let node: UInt64
        let deadline: Int64
        let reply: Reply
    }

    static let patience: Int64 = 2000
    static let questionLimit = 256
    static let answerLimit = 64

    private var questions: [UInt64: Question] = [:]
    private var lastID: UInt64 = 0
    /// The newest question of each node.
    private var heard: [UInt64: UInt64] = [:]
    private var answering = 0

    /// - Returns: the question's id; nil when too many are under way.
    mutating func ask(_ node: UInt64, at now: Int64, reply: @escaping Reply) -> UInt64? {
        guard self.questions.count < Self.questionLimit else { return nil }
        self.lastID += 1
        self.questions[self.lastID] = Question(node: node, deadline: now + Self.patience, reply: reply)
        return self.lastID
    }

    /// Whose answer this is; nil when nobody waits for it, or another was asked.
    mutating func answered(_ id: UInt64, by node: UInt64) -> Reply? {
        guard let question = self.questions[id], question.node == node else { return nil }
        self.questions[id] = nil
        return question.reply
    }

    /// Nobody will answer.
    mutating func failed(_ id: UInt64) -> Reply? {
        self.questions.removeValue(forKey: id)?.reply
    }

    /// Those who have waited long enough.
    mutating func expired(at now: Int64) -> [Reply] {
        guard !self.questions.isEmpty else { return [] }
        let over = self.questions.filter { $0.value.deadline <= now }
        for id in over.keys { self.questions[id] = nil }
        return over.values.map(\.reply)
    }

    /// Whether a question is to be answered; if so, `hasAnswered` follows.
    mutating func mayAnswer(_ id: UInt64, from node: UInt64) -> Bool {
        guard self.answering < Self.answerLimit, id > self.heard[node, default: 0] else { return false }
        self.heard[node] = id
        self.answering += 1
        return true
    }

    mutating func hasAnswered() {
        self.answering -= 1
    }

    /// Nodes that are gone ask nothing any more.
    mutating func forget(allBut nodes: Set<UInt64>) {
        if self.heard.count > nodes.count { self.heard = self.heard.filter { nodes.contains($0.key) } }
    }
}
