import Bytes
import EventLoop
import HTTPWire
import TLS

/// The connections of one loop: their sockets, timers, unread input and unsent output.
///
/// A class, because HTTP, the chat bridge and Engine.IO all write to connections. It never calls
/// them: it queues what they must know as `PoolEvent`s, which the loop handles in the same
/// turn. So no call into the pool changes the state of its caller.
///
/// Exclusivity is not checked at run time, here and in `LoopContext`, `EngineIOState`,
/// `Connection`, `HTTPExchange` and `WebSocketState`: only the loop's thread uses them, and no
/// access calls back into the same object. The checks would cost 850 instructions per message.
final class ConnectionPool {
    let context: LoopContext
    @exclusivity(unchecked) var table = ConnectionTable()
    @exclusivity(unchecked) private var connections = ConnectionList()
    @exclusivity(unchecked) var output = TurnOutput()
    /// Encodes the frames of WebSockets.
    @exclusivity(unchecked) var frames = FrameEncoder()
    @exclusivity(unchecked) var wheel = TimerWheel(tick: 0)
    @exclusivity(unchecked) var expiredTimers: [TimerWheel.Entry] = []
    /// The listening sockets, which are paused when file descriptors run out.
    @exclusivity(unchecked) var listeners: [SocketToken] = []
    @exclusivity(unchecked) var resumeAcceptingAt: Int64 = 0
    /// Events of connections that have not been handled yet.
    @exclusivity(unchecked) var events: [PoolEvent] = []
    /// Connections that may be read again, and whose buffered input is to be consumed this turn.
    @exclusivity(unchecked) var resumed: [Connection] = []
    /// TLS connections that have more input than one turn should read.
    @exclusivity(unchecked) var rereadQueue: [Connection] = []
    @exclusivity(unchecked) var unidentified = UnidentifiedConnections()
    /// Writes for connections without a socket; nil if there are none.
    var polling: (any PollingTransport)?

    init(_ context: LoopContext) {
        self.context = context
    }

    /// Whether the loop must handle events or read connections.
    var hasEvents: Bool { !self.events.isEmpty || !self.resumed.isEmpty }

    // MARK: Connections

    /// The connection of a token; nil if it is closed.
    @inline(__always)
    subscript(token: SocketToken) -> Connection? {
        guard let connection = self[token.slot],
            connection.token.generation == token.generation
        else { return nil }
        return connection
    }

    /// The connection in a slot; nil if it is closed.
    @inline(__always)
    subscript(slot: UInt32) -> Connection? {
        guard let connection = self.connections[slot], connection.isConnected else { return nil }
        return connection
    }

    /// The connection in a slot, even if it has been dropped in this turn and is still subscribed.
    func connectionOrDropped(in slot: UInt32) -> Connection? { self.connections[slot] }

    var all: ConnectionList { self.connections }

    /// The WebSocket of a token, unless it is closing.
    @inline(__always)
    func openWebSocket(_ token: SocketToken) -> (connection: Connection, webSocket: WebSocketState)?
    {
        guard let connection = self[token], let webSocket = connection.webSocket,
            !webSocket.hasSentClose
        else { return nil }
        return (connection, webSocket)
    }

    /// The WebSocket in a slot, unless it is closing.
    @inline(__always)
    func openWebSocket(at slot: UInt32) -> (connection: Connection, webSocket: WebSocketState)? {
        guard let connection = self[slot], let webSocket = connection.webSocket,
            !webSocket.hasSentClose
        else { return nil }
        return (connection, webSocket)
    }

    /// - Parameter descriptor: the connection's socket; -1 for a polling session.
    func add(_ connection: Connection, descriptor: Int32) {
        self.table.open(
            connection.token, descriptor: descriptor, isTLS: connection.tls != nil,
            at: self.context.tickNumber)
        self.connections.insert(connection)
        if connection.isClient, !connection.isListener {
            self.unidentified.add(connection.token, isMember: self.isUnidentified)
        }
    }

    /// Adds a connection whose frames wait for polls.
    func addPolling(_ connection: Connection) {
        self.add(connection, descriptor: -1)
        self.table.hot[connection.slot].flags.insert(.isPolling)
    }

    /// Gives a connection whose frames waited for polls a socket.
    func attach(_ socket: Socket, _ tls: TLSConnection?, to connection: Connection) {
        self.table.hot[connection.slot].descriptor = socket.descriptor
        self.table.hot[connection.slot].flags.remove(.isPolling)
        guard let tls else { return }
        connection.tls = tls
        self.table.hot[connection.slot].flags.insert(.isTLS)
    }

    /// The client may have fetched the last packet that waited for a poll.
    func pollsAnswered(_ connection: Connection) {
        guard self.table.hot[connection.slot].flags.contains(.hasUnpolledPackets),
            self.polling?.hasWaitingPackets(connection) == false
        else { return }
        self.table.hot[connection.slot].flags.remove(.hasUnpolledPackets)
        if connection.backlog.isEmpty { self.events.append(.drained(connection)) }
    }

    /// The number of the connection's user; `UserTable.noUser` if it has none.
    func user(of connection: Connection) -> UInt32 { self.table.hot[connection.slot].user }

    func setUser(_ number: UInt32, of connection: Connection) {
        self.table.hot[connection.slot].user = number
    }

    func socket(of connection: Connection) -> Socket {
        Socket(descriptor: self.table.hot[connection.slot].descriptor)
    }

    /// Forgets a dropped connection, whose slot can then be reused.
    func forget(_ connection: Connection) { self.connections.remove(connection) }

    /// Removes a connection whose socket stays open.
    func remove(_ connection: Connection) {
        if connection.isClient, !connection.isIdentified { self.unidentified.remove() }
        connection.isConnected = false
        self.table.close(connection.slot)
        self.connections.remove(connection)
    }

    /// Removes every connection, when the loop stops.
    func removeAll() { self.connections = ConnectionList() }

    /// Removes a connection and passes its socket to `receiver`, after the turn.
    func detach(_ connection: Connection, to receiver: @escaping (Socket) -> Void) {
        self.remove(connection)
        self.context.loop.detach(connection.token, then: receiver)
    }

    /// Whether the connection can move to another loop. Responses to earlier requests must have
    /// been sent.
    func canMove(_ connection: Connection) -> Bool {
        self.table.hot[connection.slot].frameCount == 0 && connection.backlog.isEmpty
    }

    /// Records that the connection is active.
    @inline(__always)
    func recordActivity(_ connection: Connection) {
        self.table.hot[connection.slot].lastReceivedTick = self.context.tickNumber
    }

    // MARK: Closing

    /// The time for a close handshake, or for a slow reader to receive the close frame.
    static let closeTimeout = Duration.seconds(5)

    /// As above. A client that polls has the time of its transport to fetch the last packets.
    func closeTimeout(of connection: Connection) -> Duration {
        guard self.table.hot[connection.slot].flags.contains(.isPolling) else {
            return Self.closeTimeout
        }
        return self.polling?.closeTimeout ?? Self.closeTimeout
    }

    /// Closes a connection at once.
    func drop(_ connection: Connection) {
        guard connection.isConnected else { return }
        connection.tls?.close()
        let user = self.table.hot[connection.slot].user
        connection.isConnected = false
        self.table.close(connection.slot)
        connection.addressShare = nil
        if connection.listenerRole == .clients, !connection.isListener {
            if !connection.isIdentified { self.unidentified.remove() }
            self.context.shared.connectionCount.subtract()
        }
        self.context.loop.close(connection.token)
        self.events.append(.dropped(connection, user: user))
    }

    /// Begins to close a connection after its unsent bytes.
    func beginClose(_ connection: Connection, _ closeState: Connection.CloseState) {
        guard connection.isConnected else { return }
        connection.closeState = closeState
        self.table.hot[connection.slot].flags.insert(.isClosing)
        connection.unread = []
        connection.isReadingPaused = false
        self.continueClose(connection)
        guard connection.isConnected else { return }
        self.setDeadline(connection, after: self.closeTimeout(of: connection))
        // A connection with frames of this turn only is mostly gone after they are written. If some
        // remain unsent, `backlogChanged` updates the interest.
        let hasOnlyFrames =
            connection.backlog.isEmpty
            && !self.table.hot[connection.slot].flags.contains(.isPolling)
        if closeState != .closeWhenSent || !hasOnlyFrames { self.updateInterest(connection) }
    }

    func continueClose(_ connection: Connection) {
        guard connection.isConnected,
            self.table.hot[connection.slot].flags.contains(.isClosing),
            connection.backlog.isEmpty, self.table.hot[connection.slot].frameCount == 0,
            // A polling session ends itself after the last poll.
            !self.table.hot[connection.slot].flags.contains(.isPolling)
        else { return }
        switch connection.closeState {
        case .open, .lingering: return
        case .closeWhenSent: self.drop(connection)
        case .lingerWhenSent:
            connection.closeState = .lingering
            connection.tls?.close()
            Socket(descriptor: self.table.hot[connection.slot].descriptor).shutdownWriting()
        }
    }
}

/// An event that the pool reports of a connection.
enum PoolEvent {
    /// The connection has been removed. It belonged to this user, or to `UserTable.noUser`.
    case dropped(Connection, user: UInt32)
    /// The WebSocket gets no more events, because a close frame was sent or received.
    case closing(Connection, WebSocketState)
    /// The connection's socket has accepted everything.
    case drained(Connection)
}
