import Foundation
import Synchronization

/// Stands between clients and a server of 127.0.0.1, and does to their connections what networks do.
///
/// One thread for all of them, and copies of everything: it is for links, not for loads.
public final class Proxy: Sendable {
    /// In which direction something happens to bytes.
    public enum Way: String, Sendable, CaseIterable {
        case toServer = "to the server"
        case toClient = "to the client"
        case both = "both ways"
    }

    public enum Condition: Sendable, Equatable {
        case good
        /// Connections are reset, and so is every new one.
        case cut
        /// Bytes vanish and nobody hears of an end, on new connections either. What has lost bytes is never whole again, also
        /// when this is over: as with a firewall that has forgotten a connection, only its ends can give it up.
        case halfOpen(Way)
        /// Bytes wait until this is over, and arrive then: what packets that are lost and sent again are to TCP.
        case held(Way)
        case slow(Way, Duration)
    }

    public let port: UInt16
    private let control: Control

    public init(to server: UInt16) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        var address = sockaddr_in.loopback(port: 0)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, size) == 0 && listen(listener, 64) == 0 ? getsockname(listener, $0, &size) : -1
            }
        }
        var ends: [Int32] = [-1, -1]
        guard result == 0, pipe(&ends) == 0 else { throw TestFailure("no proxy: errno \(errno)") }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        self.port = UInt16(bigEndian: address.sin_port)
        let control = Control(bell: ends[1])
        self.control = control
        let (bell, port) = (ends[0], server)
        Thread.detachNewThread {
            var switchboard = Switchboard(listener: listener, bell: bell, server: port)
            switchboard.run(control)
        }
    }

    deinit { self.close() }

    /// What becomes of bytes from here on; connections that were lost stay lost.
    public func set(_ condition: Condition) {
        self.control.state.withLock { $0.condition = condition }
        self.control.ring()
        while self.control.state.withLock({ $0.known != condition && !$0.isOver }) { usleep(500) }
    }

    public var condition: Condition { self.control.state.withLock { $0.condition } }

    public func close() {
        self.control.state.withLock { $0.isOver = true }
        self.control.ring()
    }

    /// What the thread is told.
    fileprivate final class Control: Sendable {
        struct State {
            var condition = Condition.good
            /// What the thread goes by.
            var known = Condition.good
            var isOver = false
        }

        let state = Mutex(State())
        private let bell: Int32

        init(bell: Int32) {
            self.bell = bell
        }

        deinit { Glibc.close(self.bell) }

        func ring() {
            var byte: UInt8 = 1
            _ = write(self.bell, &byte, 1)
        }
    }
}

/// What comes out of one socket and goes into another.
private struct Flow {
    var waiting: [(due: ContinuousClock.Instant, bytes: ArraySlice<UInt8>)] = []
    var hasLost = false
    var isAtEnd = false

    /// Beyond this the sender has to wait, as it would for a network.
    static let waitingChunks = 64
}

private struct Link {
    /// The client's socket and the server's; -1 where one is closed and the other does not know.
    var client: Int32
    var server: Int32
    var toServer = Flow()
    var toClient = Flow()
    var isOver = false
}

/// The sockets, all in one thread.
private struct Switchboard {
    let listener: Int32
    let bell: Int32
    let server: UInt16
    var links: [Link] = []
    var condition = Proxy.Condition.good

    mutating func run(_ control: Proxy.Control) {
        while true {
            let (condition, isOver) = control.state.withLock { ($0.condition, $0.isOver) }
            if isOver { break }
            self.change(to: condition)
            control.state.withLock { $0.known = condition }
            self.turn()
        }
        for link in self.links { self.reset(link) }
        close(self.listener)
        close(self.bell)
    }

    private mutating func change(to condition: Proxy.Condition) {
        guard condition != self.condition else { return }
        self.condition = condition
        for place in self.links.indices where condition == .cut || self.links[place].client < 0 || self.links[place].server < 0 {
            self.links[place].isOver = true
        }
    }

    private mutating func turn() {
        for link in self.links where link.isOver { self.reset(link) }
        self.links.removeAll { $0.isOver }
        var entries = [
            pollfd(fd: self.listener, events: Int16(POLLIN), revents: 0), pollfd(fd: self.bell, events: Int16(POLLIN), revents: 0),
        ]
        var wait: Int32 = 1000
        for link in self.links {
            entries.append(self.entry(link.client, reading: link.toServer, writing: link.toClient, .toClient, &wait))
            entries.append(self.entry(link.server, reading: link.toClient, writing: link.toServer, .toServer, &wait))
        }
        guard poll(&entries, nfds_t(entries.count), wait) >= 0 else { return }
        if entries[1].revents != 0 {
            var bytes = [UInt8](repeating: 0, count: 64)
            _ = read(self.bell, &bytes, bytes.count)
        }
        for place in self.links.indices {
            if entries[2 + 2 * place].revents & ~Int16(POLLOUT) != 0 { self.takeFromClient(place) }
            if entries[3 + 2 * place].revents & ~Int16(POLLOUT) != 0 { self.takeFromServer(place) }
            self.deliver(place)
        }
        if entries[0].revents != 0 { self.accept() }
    }

    private func entry(
        _ socket: Int32, reading: Flow, writing: Flow, _ way: Proxy.Way, _ wait: inout Int32
    ) -> pollfd {
        var events: Int16 = 0
        if reading.waiting.count < Flow.waitingChunks, !reading.isAtEnd { events |= Int16(POLLIN) }
        if let first = writing.waiting.first, !self.holds(way) {
            let (seconds, attoseconds) = (first.due - .now).components
            let milliseconds = Int32(clamping: seconds * 1000 + attoseconds / 1_000_000_000_000_000)
            if milliseconds <= 0 { events |= Int16(POLLOUT) } else { wait = min(wait, milliseconds) }
        }
        // A socket of which nothing is wanted would report its end for ever.
        return pollfd(fd: events == 0 ? -1 : socket, events: events, revents: 0)
    }

    private mutating func accept() {
        while true {
            let client = Glibc.accept(self.listener, nil, nil)
            guard client >= 0 else { return }
            let server = self.condition == .cut ? -1 : self.connect()
            var link = Link(client: client, server: server)
            link.isOver = server < 0
            for socket in [client, server] where socket >= 0 {
                _ = fcntl(socket, F_SETFL, O_NONBLOCK)
                _ = fcntl(socket, F_SETFD, FD_CLOEXEC)
                var on: Int32 = 1
                setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout.size(ofValue: on)))
            }
            self.links.append(link)
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

    /// Both ends hear that the connection is gone, and not in an orderly way.
    private func reset(_ link: Link) {
        for socket in [link.client, link.server] where socket >= 0 {
            var hard = linger(l_onoff: 1, l_linger: 0)
            setsockopt(socket, SOL_SOCKET, SO_LINGER, &hard, socklen_t(MemoryLayout.size(ofValue: hard)))
            close(socket)
        }
    }

    // MARK: Bytes

    private mutating func takeFromClient(_ place: Int) {
        var link = self.links[place]
        if self.take(from: link.client, into: &link.toServer, .toServer) {
            close(link.client)
            link.client = -1
        }
        self.links[place] = link
    }

    private mutating func takeFromServer(_ place: Int) {
        var link = self.links[place]
        if self.take(from: link.server, into: &link.toClient, .toClient) {
            close(link.server)
            link.server = -1
        }
        self.links[place] = link
    }

    /// True where the socket has ended and the other end shall not know.
    private func take(from socket: Int32, into flow: inout Flow, _ way: Proxy.Way) -> Bool {
        guard socket >= 0 else { return false }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = recv(socket, &buffer, buffer.count, 0)
        if count > 0 {
            if self.loses(way) { flow.hasLost = true }
            if !flow.hasLost { flow.waiting.append((.now + self.delay(way), buffer[..<count])) }
            return false
        }
        if count < 0, errno == EAGAIN || errno == EINTR { return false }
        if self.loses(way) { return true }
        flow.isAtEnd = true
        return false
    }

    private mutating func deliver(_ place: Int) {
        var link = self.links[place]
        let hasClientEnded = self.give(&link.toServer, to: link.server, .toServer)
        let hasServerEnded = self.give(&link.toClient, to: link.client, .toClient)
        // Where one end is gone and the other does not know, there is nobody to tell any more.
        let isKnown = (hasClientEnded && link.server >= 0) || (hasServerEnded && link.client >= 0)
        link.isOver = link.isOver || isKnown || (link.client < 0 && link.server < 0)
        self.links[place] = link
    }

    /// True when the flow has come to its end.
    private func give(_ flow: inout Flow, to socket: Int32, _ way: Proxy.Way) -> Bool {
        guard !self.holds(way) else { return false }
        guard socket >= 0 else {
            flow.waiting = []
            return flow.isAtEnd
        }
        while let first = flow.waiting.first, first.due <= .now {
            let count = first.bytes.withUnsafeBytes { send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count < 0 { return errno != EAGAIN && errno != EINTR }
            if count < first.bytes.count {
                flow.waiting[0].bytes = first.bytes.dropFirst(count)
                return false
            }
            flow.waiting.removeFirst()
        }
        return flow.isAtEnd && flow.waiting.isEmpty
    }

    private func loses(_ way: Proxy.Way) -> Bool {
        if case .halfOpen(let lost) = self.condition { lost == .both || lost == way } else { false }
    }

    private func holds(_ way: Proxy.Way) -> Bool {
        if case .held(let held) = self.condition { held == .both || held == way } else { false }
    }

    private func delay(_ way: Proxy.Way) -> Duration {
        if case .slow(let slowed, let time) = self.condition, slowed == .both || slowed == way { time } else { .zero }
    }
}
