import Bytes
import ChatEngine
import ChatModel
import DialectKit
import EventLoop
import HTTPWire

/// A feed's events, in order, that wait until a dialect knows the numbers of their users.
///
/// In the meantime no subscriber of that dialect goes live on the feed. Such a dialect must have no
/// frames for `Audience.otherConnections`, because the requester of a deferred event is not
/// retained.
struct DeferredEvents {
    struct Key: Hashable {
        let feed: FeedID
        let dialect: Int
    }

    var events: [ChatEvent]

    /// If more events arrive, the subscribers are disconnected. They resume from the history.
    static let limit = 1000
}

/// Looks up users' numbers for rendering, once for each user and loop.
extension ChatBridge {
    /// Why numbers are looked up.
    enum NumberLookupPurpose {
        case deferredEvents(DeferredEvents.Key)
        /// A page of missed messages, which is read again afterwards.
        case catchUp(FeedID)
    }

    func hasDeferredEvents(_ feed: FeedID, _ dialect: Int) -> Bool {
        self.deferredEvents[DeferredEvents.Key(feed: feed, dialect: dialect)] != nil
    }

    /// - Returns: whether other events are deferred there, so that this one was appended to them.
    mutating func deferEvent(_ event: ChatEvent, _ deferral: DeferredEvents.Key) -> Bool {
        guard let count = self.deferredEvents[deferral]?.events.count else { return false }
        if count < DeferredEvents.limit {
            self.deferredEvents[deferral]?.events.append(event)
        } else {
            self.disconnectSubscribers(deferral)
        }
        return true
    }

    /// Looks up the numbers that the rendering lacks.
    mutating func lookUpNumbers(
        for purpose: NumberLookupPurpose, of token: SocketToken? = nil, in tenant: ByteString
    ) {
        let users = Array(
            self.rendering.usersWithoutNumber.prefix(StoreRequest.usersPerRequestLimit))
        let requestContext = RequestContext(
            token: token ?? SocketToken(slot: 0, generation: 0),
            kind: .numbers(purpose, users, tenant: tenant))
        let context = self.requestContexts.add(requestContext)
        self.context.store.submit(
            .numbers(of: users, tenant: tenant), ticket: StoreTicket(rawValue: context.rawValue),
            for: self.store.sessionsClient)
    }

    mutating func handleNumbersReply(
        _ answer: StoreAnswer, _ purpose: NumberLookupPurpose, _ users: [UserID],
        _ tenant: ByteString,
        _ requestContext: RequestContext
    ) {
        var isKnown = false
        if case .numbers(let numbers) = answer {
            self.rendering.userNumbers.record(numbers, of: users, in: tenant)
            isKnown = true
        }
        switch purpose {
        case .deferredEvents(let deferral):
            guard isKnown else { return self.disconnectSubscribers(deferral) }
            self.release(deferral)
        case .catchUp(let feed):
            guard let (connection, webSocket) = self.pool.openWebSocket(requestContext.token) else {
                return
            }
            guard isKnown else { return self.closeForMissingNumbers(connection, webSocket) }
            webSocket.subscriptions.first { $0.feed == feed }?.catchUp?.feedHeadAtRequest = nil
            self.queues.catchUp.append((requestContext.token, feed))
        }
    }

    /// Whether these messages can be rendered. If not, the numbers are looked up and the page is
    /// read again.
    mutating func areNumbersKnown(
        _ messages: ArraySlice<Message>, of key: ConversationKey, for connection: Connection,
        _ webSocket: WebSocketState, _ feed: FeedID
    ) -> Bool {
        guard !key.isPersonalInbox,
            self.context.settings.dialects[webSocket.dialect].usesUserNumbers
        else { return true }
        self.rendering.removeAll()
        for message in messages {
            _ = self.rendering.number(of: message.body.author.id, in: key.tenant)
        }
        guard !self.rendering.usersWithoutNumber.isEmpty else { return true }
        self.lookUpNumbers(for: .catchUp(feed), of: connection.token, in: key.tenant)
        return false
    }

    /// Delivers deferred events, up to the next one with an unknown number.
    private mutating func release(_ deferral: DeferredEvents.Key) {
        guard let deferred = self.deferredEvents.removeValue(forKey: deferral),
            self.subscribers.isCurrent(deferral.feed),
            let key = self.subscribers[deferral.feed].key
        else { return }
        for event in deferred.events {
            self.broadcast(event, to: deferral.feed, key, only: deferral.dialect, context: nil)
        }
        guard !self.hasDeferredEvents(deferral.feed, deferral.dialect) else { return }
        // Replays that could not go live, and the delivery report, continue.
        self.subscribers[deferral.feed].hasWaitingCatchUp = true
        self.wakeWaitingSubscribers(deferral.feed)
        self.queueReportIfDue(deferral.feed)
    }

    /// Disconnects the subscribers rather than leave a gap.
    private mutating func disconnectSubscribers(_ deferral: DeferredEvents.Key) {
        self.deferredEvents[deferral] = nil
        guard self.subscribers.isCurrent(deferral.feed) else { return }
        let slots = self.subscribers[deferral.feed].groups.filter {
            $0.dialect == deferral.dialect
        }
        .flatMap { $0.live + $0.catchingUp }
        for slot in slots {
            guard let (connection, webSocket) = self.pool.openWebSocket(at: slot) else { continue }
            self.closeForMissingNumbers(connection, webSocket)
        }
    }

    private mutating func closeForMissingNumbers(
        _ connection: Connection, _ webSocket: WebSocketState
    ) {
        self.pool.closeWebSocket(
            connection, webSocket, .tryAgainLater,
            "users' numbers cannot be looked up at the moment; try again")
    }
}
