internal import CLinux
import Glibc

extension EventLoop {
    /// On the loop: watches a non-blocking descriptor, which belongs to the loop from here on unless this throws.
    ///
    /// The handler hears of it under the token, or the guest that it is for. `tooManyDescriptors` and whatever epoll says otherwise are
    /// thrown.
    public func register(
        _ descriptor: Int32, read: Bool = true, write: Bool = false,
        for guest: (any EventLoopHandler)? = nil
    ) throws(SocketError) -> SocketToken {
        self.expectCurrent()
        guard !self.state.pointee.isClosed else { throw .loopEnded }
        let listener = guest.map { guest in
            let place = self.state.pointee.additionalHandlers.firstIndex { $0 === guest }
            guard let place else {
                preconditionFailure(
                    "A socket was registered for somebody who is no guest of the loop \(self.name)."
                )
            }
            return UInt8(place + 1)
        }
        let token = self.state.pointee.sockets.reserve()
        self.state.pointee.sockets[token.slot].handlerIndex = listener ?? 0
        do throws(SocketError) {
            try self.attach(descriptor, to: token, read: read, write: write)
        } catch {
            self.state.pointee.sockets.retire(token.slot)
            throw error
        }
        return token
    }

    /// On the loop: a token for a socket that may come later. Nothing is watched under it until `attach`; `close` gives it back.
    public func reserve() -> SocketToken {
        self.expectCurrent()
        return self.state.pointee.sockets.reserve()
    }

    /// On the loop: watches a non-blocking descriptor under a token of `reserve`; as `register` otherwise.
    public func attach(
        _ descriptor: Int32, to token: SocketToken, read: Bool = true, write: Bool = false
    ) throws(SocketError) {
        self.expectCurrent()
        guard !self.state.pointee.isClosed else { throw .loopEnded }
        guard self.state.pointee.sockets.contains(token, in: .reserved) else {
            preconditionFailure(
                "A socket was attached to \(token), which is not reserved in the loop \(self.name)."
            )
        }
        let interest = Self.interest(read: read, write: write)
        let code = self.control(EPOLL_CTL_ADD, descriptor, interest.events, token)
        guard code == 0 else { throw SocketError(call: "epoll_ctl", errno: code) }
        self.state.pointee.sockets.watch(descriptor, under: token, for: interest)
    }

    /// On the loop: what the socket is watched for. Says nothing to the kernel where nothing changes.
    ///
    /// With neither, even a connection's end is not noticed.
    public func setInterest(_ token: SocketToken, read: Bool, write: Bool) {
        self.expectCurrent()
        guard self.state.pointee.sockets.contains(token, in: .watched) else { return }
        let interest = Self.interest(read: read, write: write)
        guard interest != self.state.pointee.sockets[token.slot].interest else { return }
        self.state.pointee.sockets[token.slot].interest = interest
        let code = self.control(
            EPOLL_CTL_MOD, self.state.pointee.sockets[token.slot].descriptor, interest.events, token
        )
        precondition(
            code == 0, "Somebody else closed a descriptor of the loop \(self.name): error \(code).")
    }

    /// On the loop: the descriptor a token names; nil when it names none any more.
    public func socket(_ token: SocketToken) -> Socket? {
        self.expectCurrent()
        guard self.state.pointee.sockets.contains(token, in: .watched) else { return nil }
        return Socket(descriptor: self.state.pointee.sockets[token.slot].descriptor)
    }

    /// On the loop: ends the watching at once and closes the descriptor at the end of the turn. Then the slot may be used again.
    public func close(_ token: SocketToken) {
        self.expectCurrent()
        guard self.state.pointee.sockets.contains(token) else { return }
        // Closing a descriptor takes it out of the set as well.
        self.state.pointee.sockets.retire(token.slot)
    }

    /// On the loop: ends the watching at once and gives the open socket to `taker` at the end of the turn, on this loop.
    ///
    /// It may then be registered with another loop: what arrives meanwhile waits in the kernel. False, and `taker` is never
    /// called, when the token names nothing.
    @discardableResult
    public func detach(_ token: SocketToken, then taker: @escaping (Socket) -> Void) -> Bool {
        self.expectCurrent()
        guard self.state.pointee.sockets.contains(token, in: .watched) else { return false }
        _ = self.control(EPOLL_CTL_DEL, self.state.pointee.sockets[token.slot].descriptor, 0, token)
        self.state.pointee.sockets.retire(token.slot) { taker(Socket(descriptor: $0)) }
        return true
    }

    /// On the loop: how many descriptors it watches.
    public var socketCount: Int {
        self.expectCurrent()
        return self.state.pointee.sockets.watchedCount
    }

    private static func interest(read: Bool, write: Bool) -> SocketInterest {
        (read ? .read : SocketInterest()).union(write ? .write : SocketInterest())
    }

    /// Changes what the kernel watches; 0 or the `errno`.
    func control(_ change: Int32, _ descriptor: Int32, _ events: UInt32, _ token: SocketToken)
        -> Int32
    {
        var event = epoll_event()
        event.events = events
        event.data.u64 = token.bits
        return epoll_ctl(self.state.pointee.poll, change, descriptor, &event) == 0 ? 0 : errno
    }

    /// Closes what was closed since the last call, and gives away what was detached.
    func closeRetired() {
        while let (descriptor, taker) = self.state.pointee.sockets.popRetired() {
            if let taker { taker(descriptor) } else if descriptor >= 0 { Glibc.close(descriptor) }
        }
    }
}
