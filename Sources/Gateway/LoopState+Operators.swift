import Bytes
import ChatCore
import ChatModel
import Cluster
import EventLoop
import HTTPWire

/// What operators ask of a loop: each question is an order, and none of them is on a message's way.
extension LoopState {
    /// So many bytes that wait for a connection make it a slow one.
    static let slowConnectionBytes = 64 << 10
    /// So long a request may wait for an answer that others give, and so many may do so. However many clients there are, operators are
    /// let in: it is they who may find out why there are so many.
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
        let context = self.requestContexts.insert(
            RequestContext(
                token: SocketToken(slot: 0, generation: 0), kind: .operatorCommand(reply)))
        self.chat.submit(command, in: key, context: context, at: self.now)
    }

    // MARK: Answers that take their time

    /// Nothing more is read from the connection until the answer has left.
    mutating func beginAsyncResponse(
        _ work: @escaping AsyncResponse, _ slot: Int, _ answering: HTTPResponseContext
    ) throws(HTTPError) {
        guard case .http(let exchange) = self.connections[slot]!.phase else { return }
        if self.connections[slot]!.listenerRole == .clients {
            guard self.asyncResponseCount < Self.clientAsyncResponseLimit else {
                throw HTTPError(
                    .serviceUnavailable, "Too many requests are under way; come again.",
                    fields: [HTTPField("Retry-After", "1")])
            }
        }
        guard self.asyncResponseCount < Self.asyncResponseLimit else { throw .serviceUnavailable }
        self.asyncResponseCount += 1
        exchange.isResponsePending = true
        self.pauseReading(slot)
        self.setDeadline(slot, after: Self.asyncResponseTimeout)
        let token = self.connections[slot]!.token
        let orders = self.shared.controlMailboxes[self.index]
        // A client's is little and stays here. An operator's may read a whole history, while others talk.
        Task(executorPreference: self.connections[slot]!.listenerRole == .clients ? self.loop : nil)
        {
            let result: Result<HTTPResponse, HTTPError>
            do throws(HTTPError) {
                result = .success(try await work())
            } catch {
                result = .failure(error)
            }
            _ = orders.post(.respond(token, result, answering))
        }
    }

    /// As a message over a WebSocket, a request is one of so many that a connection may send.
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
        _ answering: HTTPResponseContext
    ) {
        self.asyncResponseCount -= 1
        guard self.isCurrent(token), self.connections[Int(token.slot)]!.closeState == .open else {
            return
        }
        let slot = Int(token.slot)
        if case .http(let exchange) = self.connections[slot]!.phase {
            exchange.isResponsePending = false
        }
        var answering = answering
        // The drain may have begun while others were at work.
        if self.isDraining { answering.keepsAlive = false }
        do throws(HTTPError) {
            self.respond(slot, try result.get(), answering)
        } catch {
            self.refuse(slot, error, answering)
        }
        if self.isCurrent(token), self.connections[slot]!.closeState == .open {
            self.resumeReading(slot)
        }
    }
}

/// Gives an answer of the store's to whoever asked outside of the chat.
final class StoreReplyHandler: StoreClient {
    private let storeErrors: StoreErrorLog
    private let reply: @Sendable (StoreAnswer) -> Void

    init(_ complaints: StoreErrorLog, _ reply: @escaping @Sendable (StoreAnswer) -> Void) {
        self.storeErrors = complaints
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
