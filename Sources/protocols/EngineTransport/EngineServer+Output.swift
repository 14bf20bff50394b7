internal import Bytes
internal import EngineIO
public import EventLoop

/// Frames to polling clients, and messages of clients that are not read at the moment.
extension EngineServer {
    // MARK: Frames to clients

    /// Appends a frame to the queue of a polling session. Its poll is answered with the next
    /// `flush`, so that all packets of a turn share one response.
    ///
    /// - Parameter onlyIfEmpty: accept the frame only if no packet waits, because too much waits
    ///   for the user's other sessions.
    /// - Returns: whether the frame was accepted. If not, the caller stores it and all frames
    ///   after it until `resumeWriting` or `socketAttached`.
    public mutating func write(
        _ frame: EngineFrame, to session: SocketToken, onlyIfEmpty: Bool = false, at now: Int64
    ) -> Bool {
        var steps = EngineSteps()
        let byteLimit = onlyIfEmpty ? 1 : TransportSession.queuedBytes
        switch self.sessions[session]?.write(frame, within: byteLimit, at: now, into: &steps) {
        case .rejected, nil: return false
        case .accepted(isFirst: true): self.unflushed.append(session)
        case .accepted(isFirst: false): break
        }
        // The caller is busy with this session's frames. It executes the directives with `flush`.
        if !steps.list.isEmpty {
            var directives = EngineDirectives()
            swap(&directives, &self.deferred)
            self.translate(steps, of: session, into: &directives)
            swap(&directives, &self.deferred)
        }
        return true
    }

    /// Whether frames were written since the last `flush`.
    public var needsFlush: Bool { !self.unflushed.isEmpty }

    /// Answers the waiting polls of the sessions to which frames were written.
    public mutating func flush(into directives: inout EngineDirectives) {
        directives.append(contentsOf: self.deferred)
        self.deferred = EngineDirectives()
        var sessions: [SocketToken] = []
        swap(&sessions, &self.unflushed)
        for session in sessions {
            self.sessions[session]?.needsFlush = false
            self.update(session, into: &directives) { $0.flush(into: &$1) }
        }
        // No event has written in between. The capacity is kept for the next turn.
        sessions.clear()
        swap(&sessions, &self.unflushed)
    }

    // MARK: Unread messages

    /// Retains a message of a POST if it must not be passed to the dialect at once: reading from
    /// the client is paused, or earlier messages wait.
    ///
    /// - Returns: whether the message was retained.
    public mutating func retainUnread(
        _ message: ArraySlice<UInt8>, of session: SocketToken, isReadingPaused: Bool
    ) -> Bool {
        guard isReadingPaused || self.hasUnread(session) else { return false }
        self.sessions[session]?.appendUnread(message)
        return true
    }

    /// Whether messages wait until the client is read again.
    public func hasUnread(_ session: SocketToken) -> Bool {
        self.sessions[session].map { !$0.unread.isEmpty } ?? false
    }

    /// Removes the messages that wait, oldest first. Reading has resumed.
    public mutating func removeUnread(of session: SocketToken) -> [[UInt8]] {
        self.sessions[session]?.removeUnread() ?? []
    }

    /// Returns the removed messages that were not read, because reading was paused again.
    public mutating func returnUnread(_ messages: ArraySlice<[UInt8]>, to session: SocketToken) {
        self.sessions[session]?.prependUnread(messages)
    }
}
