import Bytes
import ChatCore
import ChatModel
import Configuration
import EventLoop
import HTTPWire

/// Bounds what clients have sent of messages and requests that are not complete.
extension LoopState {
    /// Counts what the connection has after a read. Above the limit of the user or the node, the
    /// connection closes.
    mutating func countUnfinishedInput(_ connection: Connection) {
        // While a connection is not read, it gets no more.
        guard connection.isConnected, connection.isClient, connection.closeState == .open,
            !connection.isReadingPaused
        else { return }
        let count = connection.unfinishedBytes
        let hasFragments = connection.webSocket?.reader.hasFragments ?? false
        guard hasFragments || count > UnfinishedInput.freeBytes else {
            if connection.unfinishedInput != nil { connection.unfinishedInput = nil }
            return
        }
        let input = self.unfinishedInput(of: connection)
        input.set(count)
        if !hasFragments {
            input.messageDeadline = 0
        } else if input.messageDeadline == 0 {
            input.messageDeadline = self.context.now.after(self.context.live.limits.body)
            self.pool.scheduleTimer(connection)
        }
        guard !input.mayGrow(self.context.live.limits.unfinishedBytes) else { return }
        self.context.counters.rateLimited &+= 1
        switch connection.phase {
        case .webSocket(let webSocket):
            self.pool.refuseUnfinishedMessage(
                connection, webSocket, .tryAgainLater, Limits.unfinishedInputSentence)
        case .http(let exchange):
            self.http.refuse(connection, .inputUnfinished, self.context.closingContext)
            if case .receivingBody = exchange.state { exchange.state = .readingHead }
            connection.unfinishedInput = nil
        case .handshake, .listening: break
        }
    }

    /// The connection's count, for the user that it belongs to at present.
    private func unfinishedInput(of connection: Connection) -> UnfinishedInput {
        let rates = self.context.shared.rates
        let user: UserRate
        switch connection.phase {
        case .webSocket(let webSocket):
            user = self.context.userRate(of: webSocket, connection)
        case .http(let exchange):
            user = rates.rate(
                of: exchange.limitKey(of: connection), limits: self.context.userLimits,
                at: self.context.now.monotonic)
        case .handshake, .listening:
            preconditionFailure("A connection without a protocol has no unfinished input.")
        }
        if let input = connection.unfinishedInput, input.user === user { return input }
        let input = UnfinishedInput(of: user, in: rates)
        input.messageDeadline = connection.unfinishedInput?.messageDeadline ?? 0
        connection.unfinishedInput = input
        return input
    }

    /// A message of several frames has not become complete in time. Pings and pongs between its
    /// frames do not prolong it.
    func unfinishedMessageExpired(
        _ connection: Connection, _ webSocket: WebSocketState, _ input: UnfinishedInput
    ) {
        let time = self.context.live.limits.body
        guard !connection.isReadingPaused else {
            // The rest may wait in the socket.
            input.messageDeadline = self.context.now.after(time)
            return
        }
        self.pool.refuseUnfinishedMessage(
            connection, webSocket, .policyViolation,
            "body-seconds: a message must be complete within \(time)")
    }
}

extension Limits {
    static let unfinishedInputSentence =
        "unfinished-bytes: too much of unfinished requests has arrived; send them again, one by one"
}

extension HTTPExchange {
    /// To whose limits the body counts that is being received. An Engine.IO request shows its user
    /// only to the session.
    fileprivate func limitKey(of connection: Connection) -> LimitKey {
        if case .receivingBody(_, let request, _) = self.state { return request.limitKey }
        let address = self.requestInfo?.forwardedAddress ?? connection.peer
        return LimitKey(nil, tenant: "", from: address.ip)
    }
}
