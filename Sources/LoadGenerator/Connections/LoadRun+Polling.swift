import Bytes
import ChatClient
import EventLoop
import HTTPWire

/// Members that have no WebSocket, and poll.
extension LoadRun {
    func polls(_ member: Int) -> Bool {
        self.plan.tongue(of: member, in: Int(self.groupOfMember[member])) == .roomsPolling
    }

    mutating func beginPolling(_ member: Int) {
        self.connections[member].polling = PollingTalk(to: self.dialect.url(member: member, group: Int(self.groupOfMember[member])))
        self.connections[member].step = .entering
        self.ask(member)
        if self.connections[member].step == .entering { self.updateInterest(member) }
    }

    private mutating func ask(_ member: Int) {
        self.frame.removeAll()
        self.connections[member].polling?.appendRequest(to: &self.frame)
        self.sendFrame(to: member)
    }

    /// All that has come and is not used up: at most one answer, because nothing is asked before it.
    mutating func takeAnswer(_ member: Int, _ bytes: UnsafeMutableRawBufferPointer) {
        let now = self.record.isMeasuring ? MonotonicTime.exact : self.record.start
        do throws(ClientError) {
            guard let answer = try self.connections[member].polling?.receive(UnsafeRawBufferPointer(bytes).bytes) else {
                return self.keep(member, bytes, from: 0)
            }
            for place in answer.packets {
                self.framesIn += 1
                self.hear(member, UnsafeRawBufferPointer(rebasing: bytes[place]), at: now)
                guard self.connections[member].step != .gone else { return }
            }
            self.keep(member, bytes, from: answer.end)
            self.ask(member)
        } catch {
            self.lose(member, error)
        }
    }
}
