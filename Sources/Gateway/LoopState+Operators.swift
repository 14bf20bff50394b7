import Bytes
import ChatModel
import Cluster
import EventLoop
import HTTPWire

/// What operators ask of a loop: each question is an order, and none of them is on a message's way.
extension LoopState {
    /// So many bytes that wait for a connection make it a slow one.
    static let slowBytes = 64 << 10
    /// So long a request may wait for an answer that others give, and so many may do so.
    static let workPatience = Duration.seconds(30)
    static let workLimit = 64

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
        guard self.worksUnderWay < Self.workLimit else { throw .serviceUnavailable }
        self.worksUnderWay += 1
        self.pauseReading(slot)
        self.setDeadline(slot, after: Self.workPatience)
        let token = self.connections[slot]!.token
        let orders = self.shared.orders[self.index]
        Task {
            let result: Result<SiteResponse, HTTPError>
            do throws(HTTPError) {
                result = .success(try await work())
            } catch {
                result = .failure(error)
            }
            _ = orders.post(.respond(token, result, answering))
        }
    }

    mutating func respond(to token: SocketToken, _ result: Result<SiteResponse, HTTPError>, _ answering: HTTPAnswering) {
        self.worksUnderWay -= 1
        guard self.isCurrent(token), self.connections[Int(token.slot)]!.ending == .none else { return }
        let slot = Int(token.slot)
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
    private let reply: @Sendable (StoreAnswer) -> Void

    init(_ reply: @escaping @Sendable (StoreAnswer) -> Void) {
        self.reply = reply
    }

    func storeAnswered(_ answer: StoreAnswer, ticket: StoreTicket) {
        self.reply(answer)
    }
}
