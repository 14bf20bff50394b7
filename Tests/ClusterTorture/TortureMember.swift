import Foundation
import SeededRandom
import Synchronization
import TestKit

/// The settings of a member of a conversation.
struct MemberPlan: Sendable {
    var name: String
    var conversation: String
    var seed: UInt64
    /// The mean time between two messages; nil for a member that only reads.
    var messageInterval: Duration?
    /// The maximum number of unanswered sends.
    var pendingSendLimit = 20
    /// The node that the member prefers.
    var homeNode: String
    /// The time until it moves to another node, and the time it waits for an answer before it
    /// leaves the node.
    var millisecondsPerNode: ClosedRange<Int>? = 5000...15_000
    var answerTimeoutMilliseconds: ClosedRange<Int> = 1000...7000
}

/// The state that all members of a torture run share.
final class TortureContext: Sendable {
    enum Phase: Sendable { case running, finishing, ended }

    let clientPorts = Mutex<[String: UInt16]>([:])
    private let state = Mutex(Phase.running)
    let journal: Journal

    init(_ journal: Journal) {
        self.journal = journal
    }

    var phase: Phase {
        get { self.state.withLock { $0 } }
        set { self.state.withLock { $0 = newValue } }
    }
}

/// A member of a conversation, with its own thread. It sends and reads, and after each lost
/// connection it resumes with its last id.
///
/// As real clients do, it leaves a node that does not answer, and sends the same again to another.
final class TortureMember {
    private struct PendingSend {
        let content: String
        let replyTo: Int?
        let mentions: [String]
        var sentAt: ContinuousClock.Instant
        /// The time of the next attempt; nil while the send waits for its answer.
        var retryAt: ContinuousClock.Instant?
    }

    let plan: MemberPlan
    let context: TortureContext
    private let token: String
    var random: SeededGenerator
    private var sent = 0
    private var pending: [String: PendingSend] = [:]
    private var order: [String] = []
    /// Requested one after the other; only the first can be in flight.
    var amendments: [PlannedAmendment] = []
    var features: [PlannedFeature] = []
    var newestOwn: HistoryChecker.ReceivedMessage?
    /// What the messages refer to that refer to others, by local id.
    var references: [String: MessageReferences] = [:]
    /// No amendments are planned for messages up to this one.
    var amendmentsPlannedThrough = 0
    private var connections = 0
    /// The revision from which the member resumes.
    var revision = 0
    private var nextSend: ContinuousClock.Instant

    var journal: Journal { self.context.journal }

    private init(_ plan: MemberPlan, context: TortureContext) throws {
        self.plan = plan
        self.context = context
        self.token = try ConfabServer.token(for: plan.name)
        self.random = SeededGenerator(seed: plan.seed)
        self.nextSend = .now
    }

    static func start(_ plan: MemberPlan, context: TortureContext) {
        Thread.detachNewThread {
            do {
                try TortureMember(plan, context: context).run()
            } catch {
                context.journal.check { $0.recordViolation("\(plan.name): \(error)") }
            }
        }
    }

    private func run() {
        while self.context.phase != .ended {
            if let socket = self.connect() {
                self.serveConnection(over: socket)
                socket.dropConnection()
            }
            if self.context.phase != .ended { self.pause(self.random.number(20...200)) }
        }
    }

    private func pause(_ milliseconds: Int) { usleep(UInt32(milliseconds) * 1000) }

    // MARK: Connecting

    private func connect() -> RawWebSocketClient? {
        let nodes = self.context.clientPorts.withLock { $0 }
        let stays = self.plan.millisecondsPerNode == nil || self.random.happens(perMille: 700)
        guard
            let node = stays && nodes[self.plan.homeNode] != nil
                ? self.plan.homeNode : self.random.pick(nodes.keys.sorted()),
            let port = nodes[node]
        else { return nil }
        var position = self.journal.check { $0.position(of: self.plan.name) }
        // Some clients remember less than they received.
        if position > 0, self.random.happens(perMille: 200) {
            position -= self.random.next(below: min(position, 30))
        }
        // Some clients do not send a revision.
        let revision =
            self.revision > 0 && self.random.happens(perMille: 800) ? "&rev=\(self.revision)" : ""
        let path =
            "/conversations/\(self.plan.conversation)/?token=\(self.token)"
            + "&after=\(position)\(revision)"
        self.journal.recordConnectionAttempt(of: self.plan.name, to: node)
        self.journal.recordFrame(
            "\(node), after=\(position)\(revision)", "connects to", of: self.plan.name)
        do {
            let socket = try RawWebSocketClient(path, port: port, within: .seconds(2))
            self.journal.check {
                $0.recordResume(
                    self.plan.name, in: self.plan.conversation, after: position, through: node)
            }
            if self.connections > 0 { self.journal.count { $0.reconnects += 1 } }
            self.connections += 1
            return socket
        } catch {
            self.journal.recordFailure("not connected: \(Self.kind(of: error))")
            return nil
        }
    }

    /// The text of an error without numbers, so that equal errors count together.
    private static func kind(of error: Any) -> String {
        let text = "\(error)".prefix { $0 != ":" && !$0.isNumber }
        return text.trimmingCharacters(in: .whitespaces)
    }

    // MARK: Serving a connection

    private func serveConnection(over socket: RawWebSocketClient) {
        let leaveAt = self.plan.millisecondsPerNode.map {
            ContinuousClock.now + .milliseconds(self.random.number($0))
        }
        let answerTimeout = Duration.milliseconds(
            self.random.number(self.plan.answerTimeoutMilliseconds))
        do {
            for localID in self.order { try self.sendMessage(localID, over: socket) }
            if !self.amendments.isEmpty, self.amendments[0].nextAttemptAt == nil {
                self.amendments[0].nextAttemptAt = .now
            }
            if self.features.first?.nextAttemptAt == nil, !self.features.isEmpty {
                self.features[0].nextAttemptAt = .now
            }
            while true {
                let phase = self.context.phase
                if phase == .ended { return }
                if phase == .finishing, self.pending.isEmpty, self.amendments.isEmpty,
                    self.features.isEmpty
                {
                    self.journal.recordFinished(self.plan.name)
                }
                let now = ContinuousClock.now
                if phase == .running, let leaveAt, now >= leaveAt {
                    return self.countUnknownSends()
                }
                let isAmendmentOverdue =
                    self.amendments.first.map {
                        $0.nextAttemptAt == nil && $0.requestedAt + answerTimeout < now
                    } ?? false
                let isFeatureOverdue =
                    self.features.first.map {
                        $0.nextAttemptAt == nil && $0.requestedAt + answerTimeout < now
                    } ?? false
                if isAmendmentOverdue || isFeatureOverdue
                    || self.order.contains(where: {
                        self.pending[$0].map {
                            $0.retryAt == nil && $0.sentAt + answerTimeout < now
                        }
                            ?? false
                    })
                {
                    self.journal.recordFailure("given up: no answer")
                    return self.countUnknownSends()
                }
                for localID in self.order
                where self.pending[localID]?.retryAt.map({ $0 <= now }) ?? false {
                    try self.sendMessage(localID, over: socket)
                }
                try self.sendAmendmentWhenDue(over: socket, at: now)
                try self.sendFeatureWhenDue(over: socket, at: now)
                if phase == .running { try self.sendWhenDue(over: socket, at: now) }
                let wait =
                    self.plan.messageInterval == nil || phase != .running
                    ? .milliseconds(100) : min(.milliseconds(100), self.nextSend - .now)
                guard let event = try socket.nextIfAny(within: max(.milliseconds(1), wait)) else {
                    continue
                }
                guard try self.handleEvent(event) else { return self.countUnknownSends() }
            }
        } catch {
            self.journal.recordFailure("broken: \(Self.kind(of: error))")
            self.countUnknownSends()
        }
    }

    private func countUnknownSends() {
        let unknown = self.pending.values.filter { $0.retryAt == nil }.count
        if unknown > 0 { self.journal.count { $0.unknown += unknown } }
    }

    /// Sends a new message when it is due, and sometimes repeats one that was answered long ago.
    private func sendWhenDue(over socket: RawWebSocketClient, at now: ContinuousClock.Instant)
        throws
    {
        guard let interval = self.plan.messageInterval, now >= self.nextSend else { return }
        self.nextSend = now + interval * Double(self.random.number(500...1500)) / 1000
        guard self.pending.count < self.plan.pendingSendLimit else { return }
        if self.sent > 0, self.random.happens(perMille: 30) {
            let number = max(1, self.sent - self.random.next(below: 50))
            return try self.addSend(number, over: socket)
        }
        self.sent += 1
        try self.addSend(self.sent, over: socket)
        self.planFeature()
    }

    private func addSend(_ number: Int, over socket: RawWebSocketClient) throws {
        let localID = "\(self.plan.name)-\(number)"
        guard self.pending[localID] == nil else { return }
        let references = self.references(of: localID)
        let word = PlannedFeature.word(of: self.plan.name, number)
        self.pending[localID] = PendingSend(
            content: "\(self.plan.name) says \(number) \(word)", replyTo: references.replyTo,
            mentions: references.mentions, sentAt: .now)
        self.order.append(localID)
        try self.sendMessage(localID, over: socket)
    }

    private func sendMessage(_ localID: String, over socket: RawWebSocketClient) throws {
        guard var send = self.pending[localID] else { return }
        send.sentAt = .now
        send.retryAt = nil
        self.pending[localID] = send
        self.journal.check { $0.recordSend(send.content, as: localID, by: self.plan.name) }
        let reply = send.replyTo.map { #","reply_to":"\#($0)""# } ?? ""
        let mentions =
            send.mentions.isEmpty
            ? "" : #","mentions":[\#(send.mentions.map { #""\#($0)""# }.joined(separator: ","))]"#
        try self.send(
            #"{"action":"send_message","content":"\#(send.content)","local_id":"\#(localID)""#
                + "\(reply)\(mentions)}", over: socket)
    }

    func send(_ frame: String, over socket: RawWebSocketClient) throws {
        self.journal.recordFrame(frame, "sends", of: self.plan.name)
        try socket.send(frame)
    }

    /// Returns false at the end of the connection.
    private func handleEvent(_ event: RawWebSocketClient.Event) throws -> Bool {
        switch event {
        case .text(let text):
            self.journal.recordFrame(text, "receives", of: self.plan.name)
            try self.handleFrame(ServerFrame(text), text)
        case .binary, .pong: break
        case .close(let code, let reason):
            self.journal.recordFailure("closed: \(code.map(String.init) ?? "no code") \(reason)")
            return false
        case .end:
            self.journal.recordFailure("ended without a close frame")
            return false
        }
        return true
    }

    private func handleFrame(_ frame: ServerFrame, _ text: String) throws {
        self.raiseRevision(by: frame)
        switch frame.type {
        case "chat_message":
            guard let message = frame.message?.receivedMessage else {
                throw TestFailure("no message: \(text)")
            }
            var sentAt: ContinuousClock.Instant?
            if message.sender == self.plan.name, let localID = message.localID,
                let send = self.pending.removeValue(forKey: localID)
            {
                sentAt = send.sentAt
                self.order.removeAll { $0 == localID }
                if message.state == .sent { self.planAmendments(of: message) }
                self.newestOwn = message
            }
            self.journal.recordDelivery(
                message, self.plan.name, in: self.plan.conversation, sentAt: sentAt)
            if let features = frame.message?.features, let rev = frame.rev {
                self.journal.check {
                    $0.recordFeatures(features, of: message, rev: rev, reader: self.plan.name)
                }
            }
        case "message.edited", "message.deleted":
            guard let message = frame.message?.receivedMessage else {
                throw TestFailure("no message: \(text)")
            }
            self.journal.check {
                $0.recordAmendmentDelivery(message, reader: self.plan.name)
                if message.state == .deleted {
                    $0.recordFeatureDeletion(of: message.number, reader: self.plan.name)
                }
            }
            if let first = self.amendments.first, first.nextAttemptAt == nil,
                first.isAnswered(by: message)
            {
                self.completeAmendment()
            }
        case "message.failed":
            let isRefused = frame.outcome == "refused"
            self.journal.count {
                if isRefused { $0.refused += 1 } else { $0.unknown += 1 }
                $0.failureReasons[
                    "\(frame.outcome ?? "no outcome"): \(frame.error ?? "")", default: 0] += 1
            }
            guard let localID = frame.localID else { return }
            self.journal.check {
                $0.recordFailure(localID, of: self.plan.name, isRefused: isRefused)
            }
            // Some members do not retry a refused send: it must never appear.
            if isRefused, self.random.happens(perMille: 500) {
                self.pending[localID] = nil
                self.order.removeAll { $0 == localID }
            } else {
                self.pending[localID]?.retryAt = .now + .milliseconds(self.random.number(100...500))
            }
        case "error":
            // A member sends nothing invalid, and the history is never trimmed.
            self.journal.recordFailure("error: \(Self.kind(of: frame.error ?? text))")
            if frame.action == "edit_message" || frame.action == "delete_message" {
                return self.handleAmendmentError(frame.error ?? text)
            }
            if ["react", "pin", "unpin", "search"].contains(frame.action) {
                return self.handleFeatureError(frame.error ?? text, to: frame.action)
            }
            if ["history truncated", "history reset"].contains(frame.error) {
                self.journal.check { $0.recordViolation("\(self.plan.name): \(text)") }
            }
        default: try self.handleFeature(frame, text)
        }
    }
}
