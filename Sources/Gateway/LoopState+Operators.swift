import Bytes
import ChatCore
import ChatEngine
import ChatModel
import EventLoop
import HTTPWire

/// Handles requests of operators, and responses that are computed outside the loop.
extension LoopState {
    /// A connection with more unsent bytes is slow.
    static let slowConnectionBytes = 64 << 10
    /// The timeout and the limits of asynchronous responses. Clients have a lower limit, so that
    /// operators can still find out why there are so many clients.
    static let asyncResponseTimeout = Duration.seconds(30)
    static let asyncResponseLimit = 256
    static let clientAsyncResponseLimit = 192

    var loopReport: LoopReport {
        var report = LoopReport()
        report.connections = self.counters.connections.reduce(0, +)
        report.users = self.users.count
        report.conversations = self.chat.counts.owned
        report.messagesIn = self.rates.messagesIn
        report.messagesOut = self.rates.messagesOut
        report.cpu = self.index == 0 ? self.rates.cpu : 0
        report.turns = self.rates.turns
        report.restored = self.chat.recoveryCounts
        for connection in self.table.hot where connection.flags.contains(.isOpen) {
            report.pendingBytes += Int(connection.pendingBytes)
            if connection.pendingBytes > Self.slowConnectionBytes { report.slowConnections += 1 }
        }
        return report
    }

    mutating func submitCommand(
        _ command: ChatCommand, in key: ConversationKey,
        reply: @escaping @Sendable (ChatAnswer) -> Void
    ) {
        let context = self.requestContexts.add(
            RequestContext(
                token: SocketToken(slot: 0, generation: 0), kind: .operatorCommand(reply)))
        self.chat.submit(command, in: key, context: context, at: self.now)
    }

    // MARK: Asynchronous responses

    /// Pauses reading from the connection until the response has been sent.
    mutating func beginAsyncResponse(
        _ work: @escaping AsyncResponse, _ connection: Connection,
        _ responseContext: HTTPResponseContext
    ) throws(HTTPError) {
        guard case .http(let exchange) = connection.phase else { return }
        if connection.listenerRole == .clients {
            guard self.asyncResponseCount < Self.clientAsyncResponseLimit else {
                throw HTTPError(
                    .serviceUnavailable, "Too many requests are under way; come again.",
                    fields: [HTTPField("Retry-After", "1")])
            }
        }
        guard self.asyncResponseCount < Self.asyncResponseLimit else { throw .serviceUnavailable }
        self.asyncResponseCount += 1
        exchange.isResponsePending = true
        self.pauseReading(connection)
        self.setDeadline(connection, after: Self.asyncResponseTimeout)
        let token = connection.token
        let mailbox = self.shared.controlMailboxes[self.index]
        // A client's request is small and runs on this loop. An operator's may read a whole
        // history, so it runs elsewhere.
        Task(executorPreference: connection.listenerRole == .clients ? self.loop : nil) {
            let result: Result<HTTPResponse, HTTPError>
            do throws(HTTPError) {
                result = .success(try await work())
            } catch {
                result = .failure(error)
            }
            _ = mailbox.post(.respond(token, result, responseContext))
        }
    }

    /// Counts a request against the same rate as a message over a WebSocket.
    mutating func checkRate(_ exchange: HTTPExchange) throws(HTTPError) {
        var rate =
            exchange.rateLimiter ?? TokenBucket(limits: self.live.limits, at: self.now.monotonic)
        let wait = rate.consume(limits: self.live.limits, at: self.now.monotonic)
        exchange.rateLimiter = rate
        guard let wait else { return }
        self.counters.rateLimited += 1
        throw HTTPError(
            .tooManyRequests, "rate limited",
            fields: [HTTPField("Retry-After", String(max(1, Int(wait.rounded(.up)))))])
    }

    mutating func finishAsyncResponse(
        to token: SocketToken, _ result: Result<HTTPResponse, HTTPError>,
        _ responseContext: HTTPResponseContext
    ) {
        self.asyncResponseCount -= 1
        guard let connection = self.connection(token), connection.closeState == .open else {
            return
        }
        if case .http(let exchange) = connection.phase {
            exchange.isResponsePending = false
        }
        var responseContext = responseContext
        // A drain may have begun in the meantime.
        if self.isDraining { responseContext.keepsAlive = false }
        do throws(HTTPError) {
            self.respond(connection, try result.get(), responseContext)
        } catch {
            self.refuse(connection, error, responseContext)
        }
        if connection.isConnected, connection.closeState == .open {
            self.resumeReading(connection)
        }
    }
}

/// Passes the store's reply to a request that did not come from the chat core or a session.
final class StoreReplyHandler: StoreClient {
    private let storeErrors: StoreErrorLog
    private let reply: @Sendable (StoreAnswer) -> Void

    init(_ storeErrors: StoreErrorLog, _ reply: @escaping @Sendable (StoreAnswer) -> Void) {
        self.storeErrors = storeErrors
        self.reply = reply
    }

    func storeAnswered(_ answer: StoreAnswer, ticket: StoreTicket) {
        switch answer {
        case .failed(let failure): self.storeErrors.record(failure)
        case .catalog(let page): for failure in page.damaged { self.storeErrors.record(failure) }
        default: break
        }
        self.reply(answer)
    }
}
