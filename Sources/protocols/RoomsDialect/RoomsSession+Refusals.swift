import Bytes
public import DialectKit
import SocketIO

/// The ends of a user's rights.
extension RoomsSession {
    /// A client that is not connected learns of it with its next CONNECT.
    public mutating func tokenExpired(into steps: inout SessionSteps) {
        self.isTokenExpired = true
        guard self.isConnected else { return }
        self.fail("token expired", of: nil, ackID: nil, into: &steps)
        let now = steps.monotonicMilliseconds
        self.unsubscribeAll(into: &steps)
        self.updateSocket(into: &steps) { $0.disconnect(at: now, into: &$1) }
    }

    /// The client gets DISCONNECT, after which the protocol's clients do not connect again by
    /// themselves, and its transport is closed.
    public mutating func exceededRate(into steps: inout SessionSteps) {
        if self.isConnected {
            self.fail(SessionStep.rateLimitedReason, of: nil, ackID: nil, into: &steps)
            let now = steps.monotonicMilliseconds
            self.unsubscribeAll(into: &steps)
            self.updateSocket(into: &steps) { $0.disconnect(at: now, into: &$1) }
        }
        steps.append(.close(SessionStep.rateLimitedCode, SessionStep.rateLimitedReason))
    }

    /// A client that is not connected gets the notice as the answer to its CONNECT, after which the
    /// protocol's clients do not connect again by themselves.
    public mutating func banned(_ notice: String, into steps: inout SessionSteps) {
        if self.socket == nil { self.opened(into: &steps) }
        guard self.isConnected else {
            self.refusal = notice
            return self.refuse(notice, into: &steps)
        }
        self.fail(notice, of: nil, ackID: nil, into: &steps)
        steps.append(.close(SessionStep.bannedCode, notice))
    }
}
