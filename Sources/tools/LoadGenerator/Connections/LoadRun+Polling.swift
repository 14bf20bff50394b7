import Bytes
import ConfabClient
import EventLoop
import HTTPWire

/// Members that use HTTP long polling instead of a WebSocket.
extension LoadRun {
    func usesLongPolling(_ member: Int) -> Bool {
        self.plan.loadProtocol(of: member, in: Int(self.groupOfMember[member])).usesLongPolling
    }

    mutating func beginLongPolling(_ member: Int) {
        self.connections[member].longPolling = LongPollingClient(
            to: self.dialect.url(member: member, group: Int(self.groupOfMember[member])))
        self.connections[member].state = .joining
        self.sendPollRequest(member)
        if self.connections[member].state == .joining { self.updateInterest(member) }
    }

    private mutating func sendPollRequest(_ member: Int) {
        self.frame.removeAll()
        self.connections[member].longPolling?.appendRequest(to: &self.frame)
        self.sendFrame(to: member)
    }

    /// Processes all received bytes: at most one response, because requests are not pipelined.
    mutating func receivePollResponse(_ member: Int, _ bytes: UnsafeMutableRawBufferPointer) {
        let now = self.record.isMeasuring ? MonotonicTime.exact : self.record.start
        do throws(ClientError) {
            guard
                let answer = try self.connections[member].longPolling?.receive(
                    UnsafeRawBufferPointer(bytes).bytes)
            else {
                return self.retainUnread(member, bytes, from: 0)
            }
            for range in answer.packets {
                self.framesIn += 1
                self.receive(member, UnsafeRawBufferPointer(rebasing: bytes[range]), at: now)
                guard self.connections[member].state != .closed else { return }
            }
            self.retainUnread(member, bytes, from: answer.end)
            self.sendPollRequest(member)
        } catch {
            self.closeFailed(member, error)
        }
    }
}
