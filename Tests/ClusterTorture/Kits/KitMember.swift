import Foundation
import SeededRandom
import Synchronization
import TestKit

/// A member of a conversation that is a kit's driver, with its own thread, its own process and its
/// own proxy to a node.
///
/// It only makes requests: reconnecting, resuming and resending is the kit's task.
final class KitMember: Sendable {
    /// The member's state, which only its thread uses.
    private struct State {
        var observer: KitObserver
        var random: SeededGenerator
        var sent = 0
        var isOpen = false
        /// The sends without an answer, by local id.
        var pending: [String: ContinuousClock.Instant] = [:]
        var amendments: [PlannedAmendment] = []
        var features: [PlannedFeature] = []
        var nextLine = 0
        var nextSend = ContinuousClock.now
        /// The port to which the proxy connects.
        var target: UInt16 = 0
    }

    /// The report of all messages at the end. It is requested again while it lacks changes.
    private struct FinalReport {
        var isWanted = false
        var isDone = false
        /// What the last report lacked.
        var missing: String?
    }

    let plan: MemberPlan
    private let context: TortureContext
    private let process: ChildProcess
    private let proxy: FaultProxy
    private let report = Mutex(FinalReport())

    private static let pendingLimit = 20
    /// More than a node accepts.
    private static let longText = String(repeating: "long ", count: 4000)

    init(_ plan: MemberPlan, kit: KitCommand, context: TortureContext) throws {
        self.plan = plan
        self.context = context
        guard let port = context.clientPorts.withLock({ $0[plan.homeNode] }) else {
            throw TestFailure("\(plan.homeNode) accepts no clients")
        }
        self.proxy = try FaultProxy(to: port)
        self.process = try ChildProcess(kit.command[0], Array(kit.command.dropFirst()))
    }

    deinit { self.process.kill() }

    /// The lines that the driver wrote, and its errors.
    var log: String {
        (self.process.output.lines + self.process.errors.lines).joined(separator: "\n")
    }

    /// Nil if the driver has reported all messages in their present state; otherwise its name and
    /// what its report lacked.
    var missingView: String? {
        let report = self.report.withLock { $0 }
        if report.isDone { return nil }
        return self.plan.name + (report.missing.map { " (\($0))" } ?? "")
    }

    func start() {
        Thread.detachNewThread {
            do {
                try self.run()
            } catch {
                self.record("\(self.plan.name): \(error)")
            }
            self.process.kill()
        }
    }

    /// Changes the network between the driver and its node.
    func set(_ condition: FaultProxy.Condition) { self.proxy.set(condition) }

    /// Makes the driver report all its messages.
    func requestView() { self.report.withLock { $0.isWanted = true } }

    private func run() throws {
        var state = State(
            observer: KitObserver(self.plan.name, in: self.plan.conversation),
            random: SeededGenerator(seed: self.plan.seed))
        let token = try ConfabServer.token(for: self.plan.name)
        self.context.journal.check {
            $0.recordResume(
                self.plan.name, in: self.plan.conversation, after: 0, through: "its kit")
        }
        try self.write(
            [
                "do": "open", "url": "http://127.0.0.1:\(self.proxy.port)", "token": token,
                "conversation": self.plan.conversation,
            ])
        while self.context.phase != .ended {
            self.follow(&state)
            try self.readEvents(&state)
            guard state.isOpen else { continue }
            try self.sendAmendmentWhenDue(&state)
            try self.sendFeatureWhenDue(&state)
            if self.context.phase == .running {
                try self.sendWhenDue(&state)
            } else if state.pending.isEmpty, state.amendments.isEmpty, state.features.isEmpty {
                self.context.journal.recordFinished(self.plan.name)
            }
            let wantsView = self.report.withLock { report in
                defer { report.isWanted = false }
                return report.isWanted
            }
            if wantsView { try self.write(["do": "messages"]) }
        }
        try? self.write(["do": "close"])
    }

    private func write(_ command: [String: Any]) throws {
        try self.process.writeLine(
            String(
                decoding: try JSONSerialization.data(withJSONObject: command), as: UTF8.self))
    }

    private func record(_ violation: String) {
        self.context.journal.check { $0.recordViolation(violation) }
    }

    /// Connects the proxy to the home node, or to another one while that is not running.
    private func follow(_ state: inout State) {
        let ports = self.context.clientPorts.withLock { $0 }
        guard
            let port = ports[self.plan.homeNode]
                ?? ports.sorted(by: { $0.key < $1.key }).first?.value,
            port != state.target
        else { return }
        state.target = port
        self.proxy.set(server: port)
    }

    private func readEvents(_ state: inout State) throws {
        var wait = Duration.milliseconds(20)
        while let line = self.process.output.nextLine(at: state.nextLine, within: wait) {
            state.nextLine += 1
            wait = .zero
            self.handle(try KitEvent(line), &state)
        }
        guard self.process.isRunning || self.context.phase == .ended else {
            throw TestFailure("its driver ended: \(self.process.errors.text.suffix(2000))")
        }
    }

    private func handle(_ event: KitEvent, _ state: inout State) {
        let journal = self.context.journal
        switch journal.check({ state.observer.receive(event, &$0) }) {
        case nil: break
        case .opened: state.isOpen = true
        case .delivered(let message):
            if message.state == .sent { self.planAmendments(of: message, &state) }
        case .acknowledged(let localID):
            if let sentAt = state.pending.removeValue(forKey: localID) {
                journal.recordAnswer(in: self.plan.conversation, sentAt: sentAt)
            }
        case .refused(let localID):
            state.pending[localID] = nil
            journal.count { $0.refused += 1 }
        case .amended(let number, let amended):
            let count = state.amendments.count
            state.amendments.removeAll {
                $0.number == number && amended >= ($0.content == nil ? .deleted : .edited)
            }
            let done = count - state.amendments.count
            journal.count { $0.amended += done }
        case .amendmentFailed(let action, let error):
            // A deletion can come before the edit.
            if let first = state.amendments.first, first.nextAttemptAt == nil {
                state.amendments.removeFirst()
            }
            if !error.hasSuffix("is deleted") {
                self.record("\(self.plan.name): \(action): \(error)")
            }
        case .featureDone(let action): self.complete(action, &state)
        case .featureFailed(let action, let error):
            if state.features.first?.meaning(ofError: error, to: action) != .refused {
                self.record("\(self.plan.name): \(action): \(error)")
            }
            self.complete(action, isRefused: true, &state)
        case .viewed: self.report.withLock { $0.isDone = true }
        case .viewOutdated(let change):
            self.report.withLock {
                $0.missing = change
                $0.isWanted = true
            }
        case .stateChanged(let name):
            if name == "online" { journal.count { $0.reconnects += 1 } }
        }
    }

    private func sendWhenDue(_ state: inout State) throws {
        let now = ContinuousClock.now
        guard let interval = self.plan.messageInterval, now >= state.nextSend else { return }
        state.nextSend = now + interval * Double(state.random.number(500...1500)) / 1000
        guard state.pending.count < Self.pendingLimit else { return }
        state.sent += 1
        let localID = "\(self.plan.name)-\(state.sent)"
        var text = "\(self.plan.name) says \(state.sent)"
        if state.random.happens(perMille: 30) { text += " " + Self.longText }
        state.pending[localID] = now
        let content = text
        let head = self.context.journal.check { $0.position(of: self.plan.name) }
        let references = MessageReferences.random(
            upTo: head, by: self.plan.name, using: &state.random)
        self.context.journal.check {
            $0.recordSend(content, as: localID, by: self.plan.name)
            $0.recordReferences(references, of: localID, by: self.plan.name)
        }
        var command: [String: Any] = ["do": "send", "text": text, "local_id": localID]
        if let replyTo = references.replyTo { command["reply_to"] = "\(replyTo)" }
        if !references.mentions.isEmpty { command["mentions"] = references.mentions }
        try self.write(command)
        if state.features.count < 3, state.random.happens(perMille: 400),
            let feature = PlannedFeature.random(upTo: head, own: nil, using: &state.random)
        {
            state.features.append(feature)
        }
    }

    private func sendFeatureWhenDue(_ state: inout State) throws {
        guard let first = state.features.first, let sendAt = first.nextAttemptAt, sendAt <= .now
        else { return }
        state.features[0].nextAttemptAt = nil
        var command: [String: Any] = ["do": first.action, "id": "\(first.number)"]
        if case .react(let emoji, let isOn) = first.kind {
            command["emoji"] = emoji
            command["on"] = isOn
            self.context.journal.check {
                $0.recordReactionRequest(emoji, isOn: isOn, to: first.number, by: self.plan.name)
            }
        }
        try self.write(command)
    }

    private func complete(_ action: String, isRefused: Bool = false, _ state: inout State) {
        guard let first = state.features.first, first.nextAttemptAt == nil,
            first.action == action
        else { return self.record("\(self.plan.name): an answer to no request: \(action)") }
        state.features.removeFirst()
        self.context.journal.count { $0.features += 1 }
        guard case .react(let emoji, let isOn) = first.kind else { return }
        self.context.journal.check {
            $0.recordReactionAnswer(
                emoji, isOn: isOn, to: first.number, by: self.plan.name, isRefused: isRefused)
        }
    }

    private func planAmendments(of message: HistoryChecker.ReceivedMessage, _ state: inout State) {
        guard self.context.phase == .running, state.amendments.count < 4,
            state.random.happens(perMille: 150)
        else { return }
        let isEdited = state.random.happens(perMille: 600)
        let sendAt = ContinuousClock.now + .milliseconds(state.random.number(0...300))
        state.amendments.append(
            PlannedAmendment(
                number: message.number,
                content: isEdited ? message.content + PlannedAmendment.editMark : nil,
                nextAttemptAt: sendAt))
    }

    /// Kits repeat their requests, so each is made once.
    private func sendAmendmentWhenDue(_ state: inout State) throws {
        guard let first = state.amendments.first, let sendAt = first.nextAttemptAt, sendAt <= .now
        else { return }
        state.amendments[0].nextAttemptAt = nil
        self.context.journal.check {
            $0.recordAmendmentRequest(first.number, in: self.plan.conversation, to: first.content)
        }
        if let content = first.content {
            try self.write(["do": "edit", "id": "\(first.number)", "text": content])
        } else {
            try self.write(["do": "delete", "id": "\(first.number)"])
        }
    }
}
