import Foundation
import RepeatableChance
import Synchronization
import TestKit

/// What a member of a conversation does.
struct MemberPlan: Sendable {
    var name: String
    var conversation: String
    var seed: UInt64
    /// Mean time between two messages of its own; nil for one that only reads.
    var pace: Duration?
    /// How many of its sends may be unanswered.
    var window = 20
    /// It connects to this one while it can.
    var home: String
    /// How often it goes to another node of its own accord, and how long it waits for answers before it takes the node for dead.
    var stay: ClosedRange<Int>? = 5000...15_000
    var patience: ClosedRange<Int> = 1000...7000
}

/// What all members of a torture know.
final class Stage: Sendable {
    enum Act: Sendable { case playing, settling, over }

    let directory = Mutex<[String: UInt16]>([:])
    private let state = Mutex(Act.playing)
    let journal: Journal

    init(_ journal: Journal) {
        self.journal = journal
    }

    var act: Act {
        get { self.state.withLock { $0 } }
        set { self.state.withLock { $0 = newValue } }
    }
}

/// Somebody in a conversation, with a thread of its own: sends, reads, and comes back with its last id whatever happens to the connection.
///
/// It is as impatient as clients are: whom it gets no answers from it leaves, and sends the same again elsewhere.
final class Member {
    private struct Send {
        let content: String
        var askedAt: ContinuousClock.Instant
        /// Nil while its answer is waited for; else when it is sent again.
        var againAt: ContinuousClock.Instant?
    }

    private let plan: MemberPlan
    private let stage: Stage
    private let token: String
    private var chance: SeededGenerator
    private var sent = 0
    private var pending: [String: Send] = [:]
    private var order: [String] = []
    /// One after the other; only the first is under way.
    private var amendments: [Amendment] = []
    /// Messages up to this one are not thought of again: their amendments may be under way, or done.
    private var thoughtThrough = 0
    private var connections = 0
    /// The highest that was seen.
    private var revision = 0
    private var nextSend: ContinuousClock.Instant

    private var journal: Journal { self.stage.journal }

    private init(_ plan: MemberPlan, on stage: Stage) throws {
        self.plan = plan
        self.stage = stage
        self.token = try ConfabServer.token(for: plan.name)
        self.chance = SeededGenerator(seed: plan.seed)
        self.nextSend = .now
    }

    static func start(_ plan: MemberPlan, on stage: Stage) {
        Thread.detachNewThread {
            do {
                try Member(plan, on: stage).live()
            } catch {
                stage.journal.check { $0.object("\(plan.name): \(error)") }
            }
        }
    }

    private func live() {
        while self.stage.act != .over {
            if let socket = self.connect() {
                self.converse(over: socket)
                socket.drop()
            }
            if self.stage.act != .over { self.pause(self.chance.number(20...200)) }
        }
    }

    private func pause(_ milliseconds: Int) { usleep(UInt32(milliseconds) * 1000) }

    // MARK: Coming

    private func connect() -> WebSocketClient? {
        let nodes = self.stage.directory.withLock { $0 }
        let stays = self.plan.stay == nil || self.chance.happens(perMille: 700)
        guard let node = stays && nodes[self.plan.home] != nil ? self.plan.home : self.chance.pick(nodes.keys.sorted()),
            let port = nodes[node]
        else { return nil }
        var point = self.journal.check { $0.position(of: self.plan.name) }
        // Some remember less than they were shown.
        if point > 0, self.chance.happens(perMille: 200) { point -= self.chance.next(below: min(point, 30)) }
        // And some do not say which revision they have seen.
        let revision = self.revision > 0 && self.chance.happens(perMille: 800) ? "&rev=\(self.revision)" : ""
        let path = "/conversations/\(self.plan.conversation)/?token=\(self.token)&after=\(point)\(revision)"
        self.journal.goes(self.plan.name, to: node)
        do {
            let socket = try WebSocketClient(path, port: port, within: .seconds(2))
            self.journal.check { $0.resumes(self.plan.name, in: self.plan.conversation, after: point, through: node) }
            if self.connections > 0 { self.journal.count { $0.reconnects += 1 } }
            self.connections += 1
            return socket
        } catch {
            self.journal.ended("not connected: \(Self.kind(of: error))")
            return nil
        }
    }

    /// Without numbers, so that the like count together.
    private static func kind(of error: Any) -> String {
        let words = "\(error)".prefix { $0 != ":" && !$0.isNumber }
        return words.trimmingCharacters(in: .whitespaces)
    }

    // MARK: Being there

    private func converse(over socket: WebSocketClient) {
        let leaveAt = self.plan.stay.map { ContinuousClock.now + .milliseconds(self.chance.number($0)) }
        let patience = Duration.milliseconds(self.chance.number(self.plan.patience))
        do {
            for localID in self.order { try self.send(localID, over: socket) }
            if !self.amendments.isEmpty, self.amendments[0].sendAt == nil { self.amendments[0].sendAt = .now }
            while true {
                let act = self.stage.act
                if act == .over { return }
                if act == .settling, self.pending.isEmpty, self.amendments.isEmpty { self.journal.settled(self.plan.name) }
                let now = ContinuousClock.now
                if act == .playing, let leaveAt, now >= leaveAt { return self.leave() }
                let isIgnored = self.amendments.first.map { $0.sendAt == nil && $0.askedAt + patience < now } ?? false
                if isIgnored
                    || self.order.contains(where: { self.pending[$0].map { $0.againAt == nil && $0.askedAt + patience < now } ?? false })
                {
                    self.journal.ended("given up: no answer")
                    return self.leave()
                }
                for localID in self.order where self.pending[localID]?.againAt.map({ $0 <= now }) ?? false {
                    try self.send(localID, over: socket)
                }
                try self.amend(over: socket, at: now)
                if act == .playing { try self.speak(over: socket, at: now) }
                let wait = self.plan.pace == nil || act != .playing ? .milliseconds(100) : min(.milliseconds(100), self.nextSend - .now)
                guard let event = try socket.nextIfAny(within: max(.milliseconds(1), wait)) else { continue }
                guard try self.takes(event) else { return self.leave() }
            }
        } catch {
            self.journal.ended("broken: \(Self.kind(of: error))")
            self.leave()
        }
    }

    private func leave() {
        let unknown = self.pending.values.filter { $0.againAt == nil }.count
        if unknown > 0 { self.journal.count { $0.unknown += unknown } }
    }

    /// Says something new when it is time to, and now and then something again that was answered long ago.
    private func speak(over socket: WebSocketClient, at now: ContinuousClock.Instant) throws {
        guard let pace = self.plan.pace, now >= self.nextSend else { return }
        self.nextSend = now + pace * Double(self.chance.number(500...1500)) / 1000
        guard self.pending.count < self.plan.window else { return }
        if self.sent > 0, self.chance.happens(perMille: 30) {
            let number = max(1, self.sent - self.chance.next(below: 50))
            return try self.add(number, over: socket)
        }
        self.sent += 1
        try self.add(self.sent, over: socket)
    }

    private func add(_ number: Int, over socket: WebSocketClient) throws {
        let localID = "\(self.plan.name)-\(number)"
        guard self.pending[localID] == nil else { return }
        self.pending[localID] = Send(content: "\(self.plan.name) says \(number)", askedAt: .now)
        self.order.append(localID)
        try self.send(localID, over: socket)
    }

    private func send(_ localID: String, over socket: WebSocketClient) throws {
        guard var send = self.pending[localID] else { return }
        send.askedAt = .now
        send.againAt = nil
        self.pending[localID] = send
        self.journal.check { $0.sends(send.content, as: localID, by: self.plan.name) }
        try socket.send(#"{"action":"send_message","content":"\#(send.content)","local_id":"\#(localID)"}"#)
    }

    // MARK: Having second thoughts

    /// Some messages are edited or deleted soon after they were answered, some both.
    private func intend(_ message: HistoryChecker.Message) {
        guard message.number > self.thoughtThrough else { return }
        self.thoughtThrough = message.number
        guard self.stage.act == .playing, self.amendments.count < 4, self.chance.happens(perMille: 150) else { return }
        let isEdited = self.chance.happens(perMille: 600)
        let isDeleted = !isEdited || self.chance.happens(perMille: 300)
        let at = ContinuousClock.now + .milliseconds(self.chance.number(0...300))
        if isEdited { self.amendments.append(Amendment(number: message.number, content: "\(message.content), or not", sendAt: at)) }
        if isDeleted { self.amendments.append(Amendment(number: message.number, content: nil, sendAt: at)) }
        self.journal.intends()
    }

    private func amend(over socket: WebSocketClient, at now: ContinuousClock.Instant) throws {
        guard let first = self.amendments.first, let at = first.sendAt, at <= now else { return }
        self.amendments[0].sendAt = nil
        self.amendments[0].askedAt = now
        self.journal.check { $0.amends(first.number, in: self.plan.conversation, to: first.content) }
        try socket.send(first.frame)
    }

    private func amended() {
        self.amendments.removeFirst()
        self.journal.count { $0.amended += 1 }
    }

    private func amendmentFailed(_ error: String) {
        guard let first = self.amendments.first, first.sendAt == nil else { return }
        switch first.refusal(error) {
        case .ofAnother: return
        case .done: self.amended()
        case .later: self.amendments[0].sendAt = .now + .milliseconds(self.chance.number(100...500))
        case .wrong:
            self.amendments.removeFirst()
            let place = "\(self.plan.conversation): \(self.plan.name)"
            self.journal.check { $0.object("\(place) was answered with message \(first.number), and to \(first.action): \(error)") }
        }
    }

    /// False when the connection is at its end.
    private func takes(_ event: WebSocketClient.Event) throws -> Bool {
        switch event {
        case .text(let text): try self.hears(Frame(text), text)
        case .binary, .pong: break
        case .close(let code, let reason):
            self.journal.ended("closed: \(code.map(String.init) ?? "no code") \(reason)")
            return false
        case .end:
            self.journal.ended("ended without a close frame")
            return false
        }
        return true
    }

    private func hears(_ frame: Frame, _ text: String) throws {
        self.revision = max(self.revision, frame.rev ?? 0)
        switch frame.type {
        case "chat_message":
            guard let message = frame.message?.told else { throw TestFailure("no message: \(text)") }
            var asked: ContinuousClock.Instant?
            if message.sender == self.plan.name, let localID = message.localID, let send = self.pending.removeValue(forKey: localID) {
                asked = send.askedAt
                self.order.removeAll { $0 == localID }
                if message.state == .sent { self.intend(message) }
            }
            self.journal.heard(message, self.plan.name, in: self.plan.conversation, asked: asked)
        case "message.edited", "message.deleted":
            guard let message = frame.message?.told else { throw TestFailure("no message: \(text)") }
            self.journal.check { $0.hearsAmended(message, reader: self.plan.name) }
            if let first = self.amendments.first, first.sendAt == nil, first.isAnswered(by: message) { self.amended() }
        case "message.failed":
            let isRefused = frame.outcome == "refused"
            self.journal.count {
                if isRefused { $0.refused += 1 } else { $0.unknown += 1 }
                $0.endings["\(frame.outcome ?? "no outcome"): \(frame.error ?? "")", default: 0] += 1
            }
            guard let localID = frame.localID else { return }
            self.journal.check { $0.failed(localID, of: self.plan.name, isRefused: isRefused) }
            // Some take a refusal for the end of it: it must be.
            if isRefused, self.chance.happens(perMille: 500) {
                self.pending[localID] = nil
                self.order.removeAll { $0 == localID }
            } else {
                self.pending[localID]?.againAt = .now + .milliseconds(self.chance.number(100...500))
            }
        case "error":
            // Nothing that a member does is wrong, and everything is kept.
            self.journal.ended("error: \(Self.kind(of: frame.error ?? text))")
            if frame.action == "edit_message" || frame.action == "delete_message" { return self.amendmentFailed(frame.error ?? text) }
            if ["history truncated", "history reset"].contains(frame.error) {
                self.journal.check { $0.object("\(self.plan.name): \(text)") }
            }
        default: break
        }
    }
}
