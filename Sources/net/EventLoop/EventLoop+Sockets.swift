import Bytes
internal import CLinux
import Glibc

extension EventLoop {
    /// On the loop: watches a non-blocking descriptor. From now on the loop owns the descriptor,
    /// unless this method throws.
    ///
    /// Events are passed to `handler`, or to the loop's main handler if it is nil.
    ///
    /// - Throws: `tooManyDescriptors`, or any other error of epoll.
    public func register(
        _ descriptor: Int32, read: Bool = true, write: Bool = false,
        for handler: (any EventLoopHandler)? = nil
    ) throws(SocketError) -> SocketToken {
        self.expectCurrent()
        guard !self.state.pointee.isClosed else { throw .loopEnded }
        let handlerIndex = handler.map { handler in
            let index = self.state.pointee.additionalHandlers.firstIndex { $0 === handler }
            guard let index else {
                preconditionFailure(
                    "A socket was registered for an unknown handler of the loop \(self.name)."
                )
            }
            return UInt8(index + 1)
        }
        let token = self.state.pointee.sockets.reserve()
        self.state.pointee.sockets[token.slot].handlerIndex = handlerIndex ?? 0
        do throws(SocketError) {
            try self.attach(descriptor, to: token, read: read, write: write)
        } catch {
            self.state.pointee.sockets.retire(token.slot)
            throw error
        }
        return token
    }

    /// On the loop: reserves a token for a socket that is opened later. `attach` starts watching a
    /// socket under it, and `close` releases it.
    public func reserve() -> SocketToken {
        self.expectCurrent()
        return self.state.pointee.sockets.reserve()
    }

    /// On the loop: watches a non-blocking descriptor under a token from `reserve`. Otherwise the
    /// same as `register`.
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

    /// On the loop: sets the events for which the socket is watched. Makes no system call if
    /// nothing changes.
    ///
    /// With neither event, the loop does not notice the end of the connection.
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
            code == 0, "Other code closed a descriptor of the loop \(self.name): error \(code).")
    }

    /// On the loop: the socket of a token, or nil if the token is not valid any more.
    public func socket(_ token: SocketToken) -> Socket? {
        self.expectCurrent()
        guard self.state.pointee.sockets.contains(token, in: .watched) else { return nil }
        return Socket(descriptor: self.state.pointee.sockets[token.slot].descriptor)
    }

    /// On the loop: stops watching the socket at once and closes the descriptor at the end of the
    /// turn. Then the slot can be reused.
    public func close(_ token: SocketToken) {
        self.expectCurrent()
        guard self.state.pointee.sockets.contains(token) else { return }
        // The kernel removes a closed descriptor from the epoll set.
        self.state.pointee.sockets.retire(token.slot)
    }

    /// On the loop: stops watching the socket at once. At the end of the turn, passes the open
    /// socket to `receiver` on this loop.
    ///
    /// The receiver may register the socket with another loop. Data that arrives in between waits
    /// in the kernel.
    ///
    /// - Returns: false if the token is not valid. The receiver is then never called.
    @discardableResult
    public func detach(_ token: SocketToken, then receiver: @escaping (Socket) -> Void) -> Bool {
        self.expectCurrent()
        guard self.state.pointee.sockets.contains(token, in: .watched) else { return false }
        _ = self.control(EPOLL_CTL_DEL, self.state.pointee.sockets[token.slot].descriptor, 0, token)
        self.state.pointee.sockets.retire(token.slot) { receiver(Socket(descriptor: $0)) }
        return true
    }

    /// On the loop: the number of watched descriptors.
    public var socketCount: Int {
        self.expectCurrent()
        return self.state.pointee.sockets.watchedCount
    }

    private static func interest(read: Bool, write: Bool) -> SocketInterest {
        (read ? .read : SocketInterest()).union(write ? .write : SocketInterest())
    }

    /// Changes the epoll set. Returns 0 or the `errno`.
    func control(_ change: Int32, _ descriptor: Int32, _ events: UInt32, _ token: SocketToken)
        -> Int32
    {
        // A simulated loop asks its machine in each turn which sockets are ready.
        if Socket(descriptor: descriptor).isSimulated { return 0 }
        var event = epoll_event()
        event.events = events
        event.data.u64 = token.bits
        return epoll_ctl(self.state.pointee.poll, change, descriptor, &event) == 0 ? 0 : errno
    }

    /// Closes all sockets that were closed since the last call, and passes detached ones to their
    /// receivers.
    func closeRetired() {
        while let (descriptor, receiver) = self.state.pointee.sockets.popRetired() {
            if let receiver {
                receiver(descriptor)
            } else if descriptor >= 0 {
                Socket(descriptor: descriptor).close()
            }
        }
    }
}
