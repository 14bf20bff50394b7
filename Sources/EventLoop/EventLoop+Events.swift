internal import CLinux
import Glibc

extension EventLoop {
    /// Sleeps until something happens or the tick is due, or looks only what has happened, and begins the next turn: the tick first, then the
    /// sockets.
    func wait(sleeping: Bool) {
        let events = self.state.pointee.events
        // -1 is a signal's doing: nothing has happened.
        let count = Int(
            max(
                epoll_wait(
                    self.state.pointee.poll, events.baseAddress, Int32(events.count),
                    sleeping ? -1 : 0), 0))
        self.beginTurn()
        self.tickIfDue()
        for place in 0..<count {
            self.dispatch(events[place].events, SocketToken(bits: events[place].data.u64))
        }
    }

    private func tickIfDue() {
        let now = self.state.pointee.turnStart
        guard now >= self.state.pointee.nextTick else { return }
        self.state.pointee.nextTick += self.state.pointee.tickNanoseconds
        if self.state.pointee.nextTick <= now {
            self.state.pointee.nextTick = now + self.state.pointee.tickNanoseconds
        }
        self.state.pointee.armTicker()
        self.state.pointee.heapPrefault.run()
        let time = MonotonicTime.now
        self.notifyHandlers { $0.tick(now: time) }
    }

    @inline(__always)
    private func dispatch(_ events: UInt32, _ token: SocketToken) {
        // The token of alarm and ticker names nothing: they have ended the sleep, and that is all. Nor does the token of what was closed in
        // this turn before its own event was looked at.
        guard self.state.pointee.sockets.contains(token, in: .watched) else { return }
        let (interest, listener) = (
            self.state.pointee.sockets[token.slot].interest,
            Int(self.state.pointee.sockets[token.slot].handlerIndex)
        )
        guard !interest.isEmpty else { return }
        var ready = SocketInterest(rawValue: UInt8(truncatingIfNeeded: events)).intersection([
            .read, .write,
        ])
        if events & EPOLLERR.rawValue != 0 {
            ready = [.read, .write]
        } else if events & EPOLLHUP.rawValue != 0 {
            ready.formUnion(interest)
        }
        let handler =
            listener == 0
            ? self.state.pointee.handler : self.state.pointee.additionalHandlers[listener - 1]
        handler?.socketReady(
            token, readable: ready.contains(.read), writable: ready.contains(.write))
    }

    /// The handler first, then its guests: what they do is for it.
    @inline(__always)
    func notifyHandlers(_ tell: (any EventLoopHandler) -> Void) {
        if let handler = self.state.pointee.handler { tell(handler) }
        var place = 0
        while place < self.state.pointee.additionalHandlers.count {
            tell(self.state.pointee.additionalHandlers[place])
            place += 1
        }
    }

    /// Has alarm and ticker end the loop's sleep. At their edges: nobody need read them empty.
    func registerWakeupSources() throws(SocketError) {
        for descriptor in [self.wakeupEvent.descriptor, self.state.pointee.ticker] {
            let code = self.control(
                EPOLL_CTL_ADD, descriptor, EPOLLIN.rawValue | EPOLLET.rawValue, SocketToken(bits: 0)
            )
            guard code == 0 else { throw SocketError(call: "epoll_ctl", errno: code) }
        }
    }
}
