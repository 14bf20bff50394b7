internal import CUV

extension EventLoop {
    /// On the loop: watches a non-blocking descriptor, which belongs to the loop from here on unless this throws.
    ///
    /// The handler hears of it under the token, or the guest that it is for. `tooManyDescriptors` and whatever epoll says otherwise are
    /// thrown.
    public func register(
        _ descriptor: Int32, read: Bool = true, write: Bool = false, for guest: (any EventLoopHandler)? = nil
    ) throws(SocketError) -> SocketToken {
        self.expectCurrent()
        guard !self.body.pointee.isClosed else { throw .loopEnded }
        let listener = guest.map { guest in
            let place = self.body.pointee.guests.firstIndex { $0 === guest }
            guard let place else { preconditionFailure("A socket was registered for somebody who is no guest of the loop \(self.name).") }
            return UInt8(place + 1)
        }
        let token = self.body.pointee.sockets.take(descriptor, for: listener ?? 0)
        let handle = self.body.pointee.sockets[token.slot].pointer(to: \.handle)!
        let code = uv_poll_init(self.body.pointee.loop, handle, descriptor)
        guard code == 0 else {
            self.body.pointee.sockets.retire(token.slot)
            _ = self.body.pointee.sockets.release(token.slot)
            throw SocketError(call: "epoll_ctl", errno: -code)
        }
        self.setInterest(token, read: read, write: write)
        return token
    }

    /// On the loop: a token for a socket that may come later. Nothing is watched under it until `attach`; `close` gives it back.
    public func reserve() -> SocketToken {
        self.expectCurrent()
        return self.body.pointee.sockets.reserve()
    }

    /// On the loop: watches a non-blocking descriptor under a token of `reserve`; as `register` otherwise.
    public func attach(_ descriptor: Int32, to token: SocketToken, read: Bool = true, write: Bool = false) throws(SocketError) {
        self.expectCurrent()
        guard !self.body.pointee.isClosed else { throw .loopEnded }
        guard let entry = self.body.pointee.sockets.reserved(token) else {
            preconditionFailure("A socket was attached to \(token), which is not reserved in the loop \(self.name).")
        }
        let code = uv_poll_init(self.body.pointee.loop, entry.pointer(to: \.handle)!, descriptor)
        guard code == 0 else { throw SocketError(call: "epoll_ctl", errno: -code) }
        self.body.pointee.sockets.watch(descriptor, under: token)
        self.setInterest(token, read: read, write: write)
    }

    /// On the loop: what the socket is watched for. Says nothing to the kernel where nothing changes.
    ///
    /// With neither, even a connection's end is not noticed.
    public func setInterest(_ token: SocketToken, read: Bool, write: Bool) {
        self.expectCurrent()
        guard let entry = self.body.pointee.sockets.named(token) else { return }
        let interest = (read ? UInt8(UV_READABLE.rawValue) : 0) | (write ? UInt8(UV_WRITABLE.rawValue) : 0)
        guard interest != entry.pointee.interest else { return }
        entry.pointee.interest = interest
        let handle = entry.pointer(to: \.handle)!
        if interest == 0 {
            uv_poll_stop(handle)
        } else {
            uv_poll_start(handle, Int32(interest), Self.onPoll)
        }
    }

    /// On the loop: the descriptor a token names; nil when it names none any more.
    public func socket(_ token: SocketToken) -> Socket? {
        self.expectCurrent()
        return self.body.pointee.sockets.named(token).map { Socket(descriptor: $0.pointee.descriptor) }
    }

    /// On the loop: ends the watching at once and closes the descriptor at the end of the turn. Then the slot may be used again.
    public func close(_ token: SocketToken) {
        self.expectCurrent()
        if self.body.pointee.sockets.reserved(token) != nil { return self.unreserve(token.slot) }
        guard self.body.pointee.sockets.named(token) != nil else { return }
        self.closeWatched(token.slot, taker: nil)
    }

    /// Its slot may be used again after the turn, as that of a socket.
    private func unreserve(_ slot: UInt32) {
        self.body.pointee.sockets.giveUp(slot)
        self.execute { _ = self.body.pointee.sockets.release(slot) }
    }

    /// On the loop: ends the watching at once and gives the open socket to `taker` at the end of the turn, on this loop.
    ///
    /// It may then be registered with another loop: what arrives meanwhile waits in the kernel. False, and `taker` is never
    /// called, when the token names nothing.
    @discardableResult
    public func detach(_ token: SocketToken, then taker: @escaping (Socket) -> Void) -> Bool {
        self.expectCurrent()
        guard self.body.pointee.sockets.named(token) != nil else { return false }
        self.closeWatched(token.slot) { taker(Socket(descriptor: $0)) }
        return true
    }

    /// On the loop: how many descriptors it watches.
    public var socketCount: Int {
        self.expectCurrent()
        return self.body.pointee.sockets.watchedCount
    }

    func closeWatched(_ slot: UInt32, taker: ((Int32) -> Void)?) {
        self.body.pointee.sockets.retire(slot, taker: taker)
        confab_uv_close(self.body.pointee.sockets[slot], Self.onSocketClosed)
    }
}
