import Bytes
import ChatCore
import ChatModel
import Cluster
import EventLoop
import HTTPWire

/// What operators ask of a loop: each question is an order, and none of them is on a message's way.
extension LoopState {
    /// So many bytes that wait for a connection make it a slow one.
    static let slowBytes = 64 << 10
    /// So long a request may wait for an answer that others give, and so many may do so. However many clients there are, operators are
    /// let in: it is they who may find out why there are so many.
    static let workPatience = Duration.seconds(30)
    static let workLimit = 256
    static let clientWorkLimit = 192

    var report: LoopReport {
        var report = LoopReport()
        report.connections = self.counters.connections.reduce(0, +)
        report.users = self.users.count
        report.conversations = self.chat.counts.owned
        report.messagesIn = self.pace.messagesIn
        report.messagesOut = self.pace.messagesOut
        report.cpu = self.index == 0 ? self.pace.cpu : 0
        report.turns = self.pace.turns
        report.restored = self.chat.restored
        for connection in self.table.hot where connection.flags.contains(.isOpen) {
            report.pendingBytes += Int(connection.pendingBytes)
            if connection.pendingBytes > Self.slowBytes { report.slow += 1 }
        }
        return report
    }

    mutating func command(_ command: ChatCommand, in key: ConversationKey, reply: @escaping @Sendable (ChatAnswer) -> Void) {
        let context = self.questions.insert(Question(token: SocketToken(slot: 0, generation: 0), kind: .order(reply)))
        self.chat.ask(command, in: key, context: context, at: self.now)
    }

    // MARK: Answers that take their time

    /// Nothing more is read from the connection until the answer has left.
    mutating func begin(_ work: @escaping SiteWork, _ slot: Int, _ answering: HTTPAnswering) throws(HTTPError) {
        guard case .http(let exchange) = self.connections[slot]!.stage else { return }
        if self.connections[slot]!.site == .clients {
            guard self.worksUnderWay < Self.clientWorkLimit else {
                throw HTTPError(
                    .serviceUnavailable, "Too many requests are under way; come again.", fields: [HTTPField("Retry-After", "1")])
            }
        }
        guard self.worksUnderWay < Self.workLimit else { throw .serviceUnavailable }
        self.worksUnderWay += 1
        exchange.isAwaited = true
        self.pauseReading(slot)
        self.setDeadline(slot, after: Self.workPatience)
        let token = self.connections[slot]!.token
        let orders = self.shared.orders[self.index]
        // A client's is little and stays here. An operator's may read a whole history, while others talk.
        Task(executorPreference: self.connections[slot]!.site == .clients ? self.loop : nil) {
            let result: Result<SiteResponse, HTTPError>
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
        var rate = exchange.rate ?? RateBucket(limits: self.live.limits, at: self.now.monotonic)
        let wait = rate.take(limits: self.live.limits, at: self.now.monotonic)
        exchange.rate = rate
        guard let wait else { return }
        self.counters.rateLimited += 1
        throw HTTPError(.tooManyRequests, "rate limited", fields: [HTTPField("Retry-After", String(max(1, Int(wait.rounded(.up)))))])
    }

    mutating func respond(to token: SocketToken, _ result: Result<SiteResponse, HTTPError>, _ answering: HTTPAnswering) {
        self.worksUnderWay -= 1
        guard self.isCurrent(token), self.connections[Int(token.slot)]!.ending == .none else { return }
        let slot = Int(token.slot)
        if case .http(let exchange) = self.connections[slot]!.stage { exchange.isAwaited = false }
        var answering = answering
        // The drain may have begun while others were at work.
        if self.isDraining { answering.keepsAlive = false }
        do throws(HTTPError) {
            self.respond(slot, try result.get(), answering)
        } catch {
            self.refuse(slot, error, answering)
        }
        if self.isCurrent(token), self.connections[slot]!.ending == .none { self.resumeReading(slot) }
    }
}

/// Gives an answer of the store's to whoever asked outside of the chat.
final class StoreReader: StoreClient {
    private let complaints: StoreComplaints
    private let reply: @Sendable (StoreAnswer) -> Void

    init(_ complaints: StoreComplaints, _ reply: @escaping @Sendable (StoreAnswer) -> Void) {
        self.complaints = complaints
        self.reply = reply
    }

    func storeAnswered(_ answer: StoreAnswer, ticket: StoreTicket) {
        switch answer {
        case .failed(let failure): self.complaints.add(failure)
        case .catalog(let page): for failure in page.damaged { self.complaints.add(failure) }
        default: break
        }
        self.reply(answer)
    }
}
