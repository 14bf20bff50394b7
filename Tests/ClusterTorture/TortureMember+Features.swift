import Foundation
import SeededRandom
import TestKit

/// Reactions, pins and searches of a member, requested one after the other.
extension TortureMember {
    private static let plannedLimit = 3

    /// What a message refers to. A repeated send is the same message.
    func references(of localID: String) -> MessageReferences {
        if let known = self.references[localID] { return known }
        let head = self.journal.check { $0.position(of: self.plan.name) }
        let references = MessageReferences.random(
            upTo: head, by: self.plan.name, using: &self.random)
        self.references[localID] = references
        self.journal.check { $0.recordReferences(references, of: localID, by: self.plan.name) }
        return references
    }

    func planFeature() {
        guard self.features.count < Self.plannedLimit, self.random.happens(perMille: 400) else {
            return
        }
        let head = self.journal.check { $0.position(of: self.plan.name) }
        if let feature = PlannedFeature.random(
            upTo: head, own: self.newestOwn, using: &self.random)
        {
            self.features.append(feature)
        }
    }

    func sendFeatureWhenDue(
        over socket: RawWebSocketClient, at now: ContinuousClock.Instant
    ) throws {
        guard let first = self.features.first, let sendAt = first.nextAttemptAt, sendAt <= now
        else { return }
        self.features[0].nextAttemptAt = nil
        self.features[0].requestedAt = now
        if case .react(let emoji, let isOn) = first.kind {
            self.journal.check {
                $0.recordReactionRequest(emoji, isOn: isOn, to: first.number, by: self.plan.name)
            }
        }
        try self.send(first.frame, over: socket)
    }

    private func complete(isRefused: Bool = false) {
        let first = self.features.removeFirst()
        self.journal.count { $0.features += 1 }
        guard case .react(let emoji, let isOn) = first.kind else { return }
        self.journal.check {
            $0.recordReactionAnswer(
                emoji, isOn: isOn, to: first.number, by: self.plan.name, isRefused: isRefused)
        }
    }

    func handleFeatureError(_ error: String, to action: String?) {
        guard let first = self.features.first, first.nextAttemptAt == nil else { return }
        switch first.meaning(ofError: error, to: action) {
        case .ofEarlierRequest: return
        case .refused: self.complete(isRefused: true)
        case .retryLater:
            // The attempt is answered, and changed nothing.
            if case .react(let emoji, let isOn) = first.kind {
                self.journal.check {
                    $0.recordReactionAnswer(
                        emoji, isOn: isOn, to: first.number, by: self.plan.name, isRefused: true)
                }
            }
            self.features[0].nextAttemptAt = .now + .milliseconds(self.random.number(100...500))
        case .unexpected:
            self.features.removeFirst()
            self.journal.check {
                $0.recordViolation(
                    "\(self.plan.conversation): \(self.plan.name) was answered to "
                        + "\(first.action) of message \(first.number): \(error)")
            }
        }
    }

    /// Handles a frame that concerns reactions, pins or a search.
    func handleFeature(_ frame: ServerFrame, _ text: String) throws {
        let reader = self.plan.name
        let first = self.features.first.flatMap { $0.nextAttemptAt == nil ? $0 : nil }
        switch frame.type {
        case "reactions":
            guard let number = frame.messageNumber, let rev = frame.rev else {
                throw TestFailure("no reactions: \(text)")
            }
            let users = (frame.reactions ?? []).users
            self.journal.check {
                $0.recordReactions(users, to: number, rev: rev, reader: reader)
            }
        case "reacted":
            if case .react? = first?.kind, first?.number == frame.messageNumber { self.complete() }
        case "pinned", "unpinned":
            guard let message = frame.message, let received = message.receivedMessage,
                let rev = frame.rev
            else { throw TestFailure("no message: \(text)") }
            self.journal.check {
                $0.recordFeatures(message.features, of: received, rev: rev, reader: reader)
            }
            let kind = frame.type == "pinned" ? PlannedFeature.Kind.pin : .unpin
            if frame.by == reader, first?.kind == kind, first?.number == received.number {
                self.complete()
            }
        case "search_results":
            guard case .search? = first?.kind, let number = first?.number else { return }
            let found = (frame.messages ?? []).compactMap { Int($0.id) }
            self.journal.check { $0.recordSearch(for: number, found: found, by: reader) }
            self.complete()
        default: break
        }
    }

    /// The resume point: the highest revision up to which nothing is missing.
    ///
    /// A replayed message shows its newest revision, and other changes may come between. An event
    /// may be followed by others of its revision.
    func raiseRevision(by frame: ServerFrame) {
        guard let rev = frame.rev else { return }
        switch frame.type {
        case "chat_message":
            if frame.message?.wasChanged == false { self.revision = max(self.revision, rev) }
        case "message.edited", "message.deleted", "reactions", "pinned", "unpinned":
            self.revision = max(self.revision, rev - 1)
        default: break
        }
    }
}
