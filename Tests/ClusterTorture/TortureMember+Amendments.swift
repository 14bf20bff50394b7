import Foundation
import SeededRandom
import TestKit

/// Edits and deletions of a member's own messages, requested one after the other.
extension TortureMember {
    /// Plans an edit, a deletion or both for some answered messages.
    func planAmendments(of message: HistoryChecker.ReceivedMessage) {
        guard message.number > self.amendmentsPlannedThrough else { return }
        self.amendmentsPlannedThrough = message.number
        guard self.context.phase == .running, self.amendments.count < 4,
            self.random.happens(perMille: 150)
        else { return }
        let isEdited = self.random.happens(perMille: 600)
        let isDeleted = !isEdited || self.random.happens(perMille: 300)
        let sendAt = ContinuousClock.now + .milliseconds(self.random.number(0...300))
        if isEdited {
            self.amendments.append(
                PlannedAmendment(
                    number: message.number, content: message.content + PlannedAmendment.editMark,
                    nextAttemptAt: sendAt
                ))
        }
        if isDeleted {
            self.amendments.append(
                PlannedAmendment(number: message.number, content: nil, nextAttemptAt: sendAt))
        }
        self.journal.recordPlannedAmendment()
    }

    func sendAmendmentWhenDue(
        over socket: RawWebSocketClient, at now: ContinuousClock.Instant
    ) throws {
        guard let first = self.amendments.first, let sendAt = first.nextAttemptAt, sendAt <= now
        else {
            return
        }
        self.amendments[0].nextAttemptAt = nil
        self.amendments[0].requestedAt = now
        self.journal.check {
            $0.recordAmendmentRequest(first.number, in: self.plan.conversation, to: first.content)
        }
        try self.send(first.frame, over: socket)
    }

    func completeAmendment() {
        self.amendments.removeFirst()
        self.journal.count { $0.amended += 1 }
    }

    func handleAmendmentError(_ error: String) {
        guard let first = self.amendments.first, first.nextAttemptAt == nil else { return }
        switch first.meaning(ofError: error) {
        case .ofEarlierRequest: return
        case .alreadyDone: self.completeAmendment()
        case .retryLater:
            self.amendments[0].nextAttemptAt = .now + .milliseconds(self.random.number(100...500))
        case .unexpected:
            self.amendments.removeFirst()
            let location = "\(self.plan.conversation): \(self.plan.name)"
            self.journal.check {
                $0.recordViolation(
                    "\(location) was answered with message \(first.number), "
                        + "and to \(first.action): \(error)"
                )
            }
        }
    }
}
