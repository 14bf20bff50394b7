internal import CUV
import Glibc

// C callbacks of libuv. Types' constants and not functions at the top level, which would be isolated to the main actor in a script.
extension EventLoop {
    /// Hands the handle's loop to `body` without counting references: the thread holds the loop.
    @inline(__always)
    private static func with(_ handle: UnsafeRawPointer?, _ body: (EventLoop) -> Void) {
        Unmanaged<EventLoop>.fromOpaque(confab_uv_loop_data(handle)!)._withUnsafeGuaranteedRef { body($0) }
    }

    private static let onPrepare: uv_prepare_cb = { handle in EventLoop.with(handle) { $0.endTurn() } }
    static let onIdle: uv_idle_cb = { handle in EventLoop.with(handle) { $0.beginTurn() } }

    private static let onTimer: uv_timer_cb = { handle in
        EventLoop.with(handle) { loop in
            loop.beginTurn()
            let now = MonotonicTime.now
            loop.tellAll { $0.tick(now: now) }
        }
    }

    private static let onWake: uv_poll_cb = { handle, _, _ in
        EventLoop.with(handle) { loop in
            loop.beginTurn()
            loop.alarm.silence()
        }
    }

    static let onPoll: uv_poll_cb = { handle, status, events in
        EventLoop.with(handle) { loop in
            loop.beginTurn()
            let token = SocketToken(pointer: handle!.pointee.data)
            var readable = events & Int32(UV_READABLE.rawValue) != 0
            var writable = events & Int32(UV_WRITABLE.rawValue) != 0
            // After an error libuv watches no more, until it is asked again.
            if status != 0 { loop.body.pointee.sockets[token.slot].pointee.interest = 0 }
            if !readable && !writable { (readable, writable) = (true, true) }
            let listener = Int(loop.body.pointee.sockets[token.slot].pointee.listener)
            let handler = listener == 0 ? loop.body.pointee.handler : loop.body.pointee.guests[listener - 1]
            handler?.socketReady(token, readable: readable, writable: writable)
        }
    }

    static let onSocketClosed: uv_close_cb = { handle in
        EventLoop.with(handle) { loop in
            let token = SocketToken(pointer: handle!.pointee.data)
            let (descriptor, taker) = loop.body.pointee.sockets.release(token.slot)
            if let taker { taker(descriptor) } else { Glibc.close(descriptor) }
        }
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

    func startHandles(tickMilliseconds: UInt64) {
        let body = self.body.pointee
        body.loop.pointee.data = Unmanaged.passUnretained(self).toOpaque()
        // None of these can fail with a fresh loop, but for the poll handle's one call of epoll_ctl.
        uv_prepare_init(body.loop, body.prepare)
        uv_prepare_start(body.prepare, Self.onPrepare)
        uv_idle_init(body.loop, body.idle)
        uv_timer_init(body.loop, body.timer)
        uv_timer_start(body.timer, Self.onTimer, tickMilliseconds, tickMilliseconds)
        let code = uv_poll_init(body.loop, body.wake, self.alarm.descriptor)
        precondition(code == 0, "The loop \(self.name) cannot watch its own alarm: error \(code).")
        uv_poll_start(body.wake, Int32(UV_READABLE.rawValue), Self.onWake)
    }

    /// Lets go of every handle, whereupon `uv_run` returns.
    func closeEverything() {
        self.body.pointee.isClosed = true
        for slot in self.body.pointee.sockets.watched { self.closeWatched(slot, taker: nil) }
        for signal in self.body.pointee.signals { confab_uv_close(signal.handle, nil) }
        confab_uv_close(self.body.pointee.wake, nil)
        confab_uv_close(self.body.pointee.timer, nil)
        confab_uv_close(self.body.pointee.idle, nil)
        confab_uv_close(self.body.pointee.prepare, nil)
    }
}
