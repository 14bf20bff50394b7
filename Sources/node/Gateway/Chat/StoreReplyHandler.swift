import ChatModel

/// Passes the store's reply to a request that did not come from the chat engine or a session.
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
        case .bans(_, let damaged): for failure in damaged { self.storeErrors.record(failure) }
        default: break
        }
        self.reply(answer)
    }
}
