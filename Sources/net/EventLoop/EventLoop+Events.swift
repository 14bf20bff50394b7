import Bytes
internal import CLinux
import Glibc

extension EventLoop {
    /// Waits for events, or only polls for them, and begins the next turn. The tick is handled
    /// first, then the sockets.
    func wait(sleeping: Bool) {
        let events = self.state.pointee.events
        // epoll_wait returns -1 when a signal interrupts it: there are no events.
        let count = Int(
            max(
                epoll_wait(
                    self.state.pointee.poll, events.baseAddress, Int32(events.count),
                    sleeping ? -1 : 0), 0))
        self.beginTurn()
        self.tickIfDue()
        for index in 0..<count {
            self.dispatch(events[index].events, SocketToken(bits: events[index].data.u64))
        }
    }

    func tickIfDue() {
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
    func dispatch(_ events: UInt32, _ token: SocketToken) {
        // The tokens of the wake-up event and the ticker refer to no socket: these descriptors only
        // end the sleep. A socket that was closed earlier in this turn has no valid token either.
        guard self.state.pointee.sockets.contains(token, in: .watched) else { return }
        let (interest, handlerIndex) = (
            self.state.pointee.sockets[token.slot].interest,
            Int(self.state.pointee.sockets[token.slot].handlerIndex)
        )
        let handler =
            handlerIndex == 0
            ? self.state.pointee.handler : self.state.pointee.additionalHandlers[handlerIndex - 1]
        guard !interest.isEmpty else {
            handler?.peerClosed(token)
            return
        }
        var ready = SocketInterest(rawValue: UInt8(truncatingIfNeeded: events)).intersection([
            .read, .write,
        ])
        if events & EPOLLERR.rawValue != 0 {
            ready = [.read, .write]
        } else if events & EPOLLHUP.rawValue != 0 {
            ready.formUnion(interest)
        }
        handler?.socketReady(
            token, readable: ready.contains(.read), writable: ready.contains(.write))
    }

    /// Notifies the main handler first and then the additional ones, because they work for it.
    @inline(__always)
    func notifyHandlers(_ notify: (any EventLoopHandler) -> Void) {
        if let handler = self.state.pointee.handler { notify(handler) }
        var index = 0
        while index < self.state.pointee.additionalHandlers.count {
            notify(self.state.pointee.additionalHandlers[index])
            index += 1
        }
    }

    /// Registers the wake-up event and the ticker with epoll. They are edge-triggered, so they need
    /// not be read.
    func registerWakeupSources() throws(SocketError) {
        for descriptor in [self.wakeupEvent.descriptor, self.state.pointee.ticker] {
            let code = self.control(
                EPOLL_CTL_ADD, descriptor, EPOLLIN.rawValue | EPOLLET.rawValue, SocketToken(bits: 0)
            )
            guard code == 0 else { throw SocketError(call: "epoll_ctl", errno: code) }
        }
    }
}
