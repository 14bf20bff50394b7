internal import CLinux
import Glibc

extension EventLoop {
    /// Sleeps until something happens or the tick is due, or looks only what has happened, and begins the next turn: the tick first, then the
    /// sockets.
    func wait(sleeping: Bool) {
        let events = self.body.pointee.events
        // -1 is a signal's doing: nothing has happened.
        let count = Int(max(epoll_wait(self.body.pointee.poll, events.baseAddress, Int32(events.count), sleeping ? -1 : 0), 0))
        self.beginTurn()
        self.tickIfDue()
        for place in 0..<count { self.tell(of: events[place].events, SocketToken(bits: events[place].data.u64)) }
    }

    private func tickIfDue() {
        let now = self.body.pointee.turnStart
        guard now >= self.body.pointee.nextTick else { return }
        self.body.pointee.nextTick += self.body.pointee.tickNanoseconds
        if self.body.pointee.nextTick <= now { self.body.pointee.nextTick = now + self.body.pointee.tickNanoseconds }
        self.body.pointee.setTicker()
        self.body.pointee.heapRoom.keep()
        let time = MonotonicTime.now
        self.tellAll { $0.tick(now: time) }
    }

    @inline(__always)
    private func tell(of events: UInt32, _ token: SocketToken) {
        // The token of alarm and ticker names nothing: they have ended the sleep, and that is all. Nor does the token of what was closed in
        // this turn before its own event was looked at.
        guard self.body.pointee.sockets.holds(token, as: .watched) else { return }
        let (interest, listener) = (self.body.pointee.sockets[token.slot].interest, Int(self.body.pointee.sockets[token.slot].listener))
        guard !interest.isEmpty else { return }
        var ready = SocketInterest(rawValue: UInt8(truncatingIfNeeded: events)).intersection([.read, .write])
        if events & EPOLLERR.rawValue != 0 {
            ready = [.read, .write]
        } else if events & EPOLLHUP.rawValue != 0 {
            ready.formUnion(interest)
        }
        let handler = listener == 0 ? self.body.pointee.handler : self.body.pointee.guests[listener - 1]
        handler?.socketReady(token, readable: ready.contains(.read), writable: ready.contains(.write))
    }

    /// The handler first, then its guests: what they do is for it.
    @inline(__always)
    func tellAll(_ tell: (any EventLoopHandler) -> Void) {
        if let handler = self.body.pointee.handler { tell(handler) }
        var place = 0
        while place < self.body.pointee.guests.count {
            tell(self.body.pointee.guests[place])
            place += 1
        }
    }

    /// Has alarm and ticker end the loop's sleep. At their edges: nobody need read them empty.
    func watchWakers() throws(SocketError) {
        for descriptor in [self.alarm.descriptor, self.body.pointee.ticker] {
            let code = self.control(EPOLL_CTL_ADD, descriptor, EPOLLIN.rawValue | EPOLLET.rawValue, SocketToken(bits: 0))
            guard code == 0 else { throw SocketError(call: "epoll_ctl", errno: code) }
        }
    }
}
