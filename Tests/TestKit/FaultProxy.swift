internal import CLinux
import Foundation
import Synchronization

/// A TCP proxy between clients and a server on 127.0.0.1 that injects network faults.
///
/// One thread serves all connections and copies all bytes, so the proxy suits a few connections,
/// not load tests.
public final class FaultProxy: Sendable {
    public let port: UInt16
    private let control: Control

    public init(to server: UInt16) throws {
        let listener = socket(
            AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0
        )
        var address = sockaddr_in.loopback(port: 0)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, size) == 0 && listen(listener, 64) == 0
                    ? getsockname(listener, $0, &size) : -1
            }
        }
        var pipeEnds: [Int32] = [-1, -1]
        guard result == 0, pipe(&pipeEnds) == 0 else {
            throw TestFailure("no proxy: errno \(errno)")
        }
        for end in pipeEnds {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        self.port = UInt16(bigEndian: address.sin_port)
        let control = Control(wakeDescriptor: pipeEnds[1], server: server)
        self.control = control
        let wakeDescriptor = pipeEnds[0]
        Thread.detachNewThread {
            var loop = ProxyLoop(listener: listener, wakeDescriptor: wakeDescriptor, server: server)
            loop.run(control)
        }
    }

    deinit { self.close() }

    /// Changes the condition for all connections. Closed connections stay closed.
    public func set(_ condition: Condition, for scope: Scope = .all) {
        self.control.state.withLock {
            $0.condition = condition
            $0.scope = scope
        }
        self.control.wake()
        while self.control.state.withLock({ $0.applied != condition && !$0.isClosed }) {
            usleep(500)
        }
    }

    /// Replaces the ports that the server names in its replies.
    public func set(_ translation: PortTranslation) {
        self.control.state.withLock { $0.translation = translation }
        self.control.wake()
    }

    /// Changes the server of new connections.
    public func set(server: UInt16) {
        self.control.state.withLock { $0.server = server }
        self.control.wake()
    }

    public var condition: Condition { self.control.state.withLock { $0.condition } }

    public func close() {
        self.control.state.withLock { $0.isClosed = true }
        self.control.wake()
    }

    /// The state that the proxy shares with its thread.
    fileprivate final class Control: Sendable {
        struct State {
            var condition = Condition.normal
            var scope = Scope.all
            /// The condition that the thread currently applies.
            var applied = Condition.normal
            var isClosed = false
            var server: UInt16
            var translation = PortTranslation()
        }

        let state: Mutex<State>
        private let wakeDescriptor: Int32

        init(wakeDescriptor: Int32, server: UInt16) {
            self.state = Mutex(State(server: server))
            self.wakeDescriptor = wakeDescriptor
        }

        deinit { Glibc.close(self.wakeDescriptor) }

        func wake() {
            var byte: UInt8 = 1
            _ = write(self.wakeDescriptor, &byte, 1)
        }
    }
}

/// The bytes from one socket to the other.
private struct ByteFlow {
    var queue: [(due: ContinuousClock.Instant, bytes: ArraySlice<UInt8>)] = []
    var hasLostBytes = false
    var isAtEnd = false
    /// A subscriber of Redis' Pub/Sub has sent these bytes.
    var hasSubscribed = false

    /// The maximum number of queued chunks. At this limit the proxy stops reading, which slows the
    /// sender down.
    static let queueLimit = 64
}

private struct ProxiedConnection {
    /// The sockets of the client and the server; -1 for a socket that is closed while its peer does
    /// not know.
    var client: Int32
    var server: Int32
    var toServer = ByteFlow()
    var toClient = ByteFlow()
    var isClosed = false
    var isSubscription: Bool { self.toServer.hasSubscribed }
}

/// The event loop of the proxy, which runs in one thread.
private struct ProxyLoop {
    let listener: Int32
    let wakeDescriptor: Int32
    var server: UInt16
    var connections: [ProxiedConnection] = []
    var condition = FaultProxy.Condition.normal
    var scope = FaultProxy.Scope.all
    var translation = PortTranslation()

    mutating func run(_ control: FaultProxy.Control) {
        while true {
            let state = control.state.withLock { $0 }
            if state.isClosed { break }
            self.server = state.server
            self.translation = state.translation
            self.apply(state.condition, state.scope)
            control.state.withLock { $0.applied = state.condition }
            self.pollOnce()
        }
        for connection in self.connections { self.reset(connection) }
        close(self.listener)
        close(self.wakeDescriptor)
    }

    private mutating func apply(_ condition: FaultProxy.Condition, _ scope: FaultProxy.Scope) {
        guard condition != self.condition || scope != self.scope else { return }
        self.condition = condition
        self.scope = scope
        for index in self.connections.indices
        where self.condition(of: self.connections[index]) == .reset
            || self.connections[index].client < 0
            || self.connections[index].server < 0
        {
            self.connections[index].isClosed = true
        }
    }

    private func condition(of connection: ProxiedConnection) -> FaultProxy.Condition {
        self.scope == .all || connection.isSubscription ? self.condition : .normal
    }

    private mutating func pollOnce() {
        for connection in self.connections where connection.isClosed { self.reset(connection) }
        self.connections.removeAll { $0.isClosed }
        var entries = [
            pollfd(fd: self.listener, events: Int16(POLLIN), revents: 0),
            pollfd(fd: self.wakeDescriptor, events: Int16(POLLIN), revents: 0),
        ]
        var wait: Int32 = 1000
        for connection in self.connections {
            let condition = self.condition(of: connection)
            entries.append(
                self.pollEntry(
                    connection.client, reading: connection.toServer, writing: connection.toClient,
                    isStalled: condition.stalls(.toClient), &wait))
            entries.append(
                self.pollEntry(
                    connection.server, reading: connection.toClient, writing: connection.toServer,
                    isStalled: condition.stalls(.toServer), &wait))
        }
        guard poll(&entries, nfds_t(entries.count), wait) >= 0 else { return }
        if entries[1].revents != 0 {
            var bytes = [UInt8](repeating: 0, count: 64)
            _ = read(self.wakeDescriptor, &bytes, bytes.count)
        }
        for index in self.connections.indices {
            if entries[2 + 2 * index].revents & ~Int16(POLLOUT) != 0 {
                self.receiveFromClient(index)
            }
            if entries[3 + 2 * index].revents & ~Int16(POLLOUT) != 0 {
                self.receiveFromServer(index)
            }
            self.forward(index)
        }
        if entries[0].revents != 0 { self.accept() }
    }

    private func pollEntry(
        _ socket: Int32, reading: ByteFlow, writing: ByteFlow, isStalled: Bool,
        _ wait: inout Int32
    ) -> pollfd {
        var events: Int16 = 0
        if reading.queue.count < ByteFlow.queueLimit, !reading.isAtEnd { events |= Int16(POLLIN) }
        if let first = writing.queue.first, !isStalled {
            let (seconds, attoseconds) = (first.due - .now).components
            let milliseconds = Int32(clamping: seconds * 1000 + attoseconds / 1_000_000_000_000_000)
            if milliseconds <= 0 {
                events |= Int16(POLLOUT)
            } else {
                wait = min(wait, milliseconds)
            }
        }
        // An entry without events would still report the end of its socket in every poll.
        return pollfd(fd: events == 0 ? -1 : socket, events: events, revents: 0)
    }

    private mutating func accept() {
        while true {
            // A child that another test starts must not have the socket: closing it here would not
            // end the connection.
            let client = confab_accept4(self.listener, nil, nil, Int32(SOCK_CLOEXEC.rawValue))
            guard client >= 0 else { return }
            let isRefused = self.condition == .reset && self.scope == .all
            let server = isRefused ? -1 : self.connect()
            var connection = ProxiedConnection(client: client, server: server)
            connection.isClosed = server < 0
            for socket in [client, server] where socket >= 0 {
                _ = fcntl(socket, F_SETFL, O_NONBLOCK)
                var on: Int32 = 1
                setsockopt(
                    socket, Int32(IPPROTO_TCP), TCP_NODELAY, &on,
                    socklen_t(MemoryLayout.size(ofValue: on)))
            }
            self.connections.append(connection)
        }
    }

    private func connect() -> Int32 {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in.loopback(port: self.server)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if result == 0 { return socket }
        close(socket)
        return -1
    }

    /// Resets both sockets, so that both ends see an abnormal end.
    private func reset(_ connection: ProxiedConnection) {
        for socket in [connection.client, connection.server] where socket >= 0 {
            var option = linger(l_onoff: 1, l_linger: 0)
            setsockopt(
                socket, SOL_SOCKET, SO_LINGER, &option,
                socklen_t(MemoryLayout.size(ofValue: option)))
            close(socket)
        }
    }

    // MARK: Forwarding

    private mutating func receiveFromClient(_ index: Int) {
        var connection = self.connections[index]
        let condition = self.condition(of: connection)
        if self.receive(from: connection.client, into: &connection.toServer, .toServer, condition) {
            close(connection.client)
            connection.client = -1
        }
        self.connections[index] = connection
    }

    private mutating func receiveFromServer(_ index: Int) {
        var connection = self.connections[index]
        let condition = self.condition(of: connection)
        if self.receive(from: connection.server, into: &connection.toClient, .toClient, condition) {
            close(connection.server)
            connection.server = -1
        }
        self.connections[index] = connection
    }

    /// Receives bytes into a flow. Returns true if the socket has ended and its peer must not know.
    private func receive(
        from socket: Int32, into flow: inout ByteFlow, _ direction: FaultProxy.TrafficDirection,
        _ condition: FaultProxy.Condition
    ) -> Bool {
        guard socket >= 0 else { return false }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = recv(socket, &buffer, buffer.count, 0)
        if count > 0 {
            flow.hasSubscribed = flow.hasSubscribed || Self.subscribes(buffer[..<count])
            if condition.drops(direction) { flow.hasLostBytes = true }
            if !flow.hasLostBytes {
                if direction == .toClient { self.translation.apply(to: &buffer[..<count]) }
                flow.queue.append((.now + condition.delay(direction), buffer[..<count]))
            }
            return false
        }
        if count < 0, errno == EAGAIN || errno == EINTR { return false }
        if condition.drops(direction) { return true }
        flow.isAtEnd = true
        return false
    }

    private mutating func forward(_ index: Int) {
        var connection = self.connections[index]
        let condition = self.condition(of: connection)
        let hasClientFlowEnded = self.flush(
            &connection.toServer, to: connection.server, isStalled: condition.stalls(.toServer))
        let hasServerFlowEnded = self.flush(
            &connection.toClient, to: connection.client, isStalled: condition.stalls(.toClient))
        // If one socket is already closed, the end of the other cannot be passed on.
        let isEndKnown =
            (hasClientFlowEnded && connection.server >= 0)
            || (hasServerFlowEnded && connection.client >= 0)
        connection.isClosed =
            connection.isClosed || isEndKnown || (connection.client < 0 && connection.server < 0)
        self.connections[index] = connection
    }

    /// Whether commands contain SUBSCRIBE or SSUBSCRIBE. Messages of the tests do not.
    private static func subscribes(_ bytes: ArraySlice<UInt8>) -> Bool {
        // A loop of our own is too slow for the scripts of a handshake, because tests are not
        // optimised and may run under a sanitizer.
        Data(bytes).range(of: Data("SUBSCRIBE\r\n".utf8)) != nil
    }

    /// Sends the queued bytes of a flow. Returns true at the end of the flow.
    private func flush(_ flow: inout ByteFlow, to socket: Int32, isStalled: Bool) -> Bool {
        guard !isStalled else { return false }
        guard socket >= 0 else {
            flow.queue = []
            return flow.isAtEnd
        }
        while let first = flow.queue.first, first.due <= .now {
            let count = first.bytes.withUnsafeBytes {
                send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count < 0 { return errno != EAGAIN && errno != EINTR }
            if count < first.bytes.count {
                flow.queue[0].bytes = first.bytes.dropFirst(count)
                return false
            }
            flow.queue.removeFirst()
        }
        return flow.isAtEnd && flow.queue.isEmpty
    }
}
