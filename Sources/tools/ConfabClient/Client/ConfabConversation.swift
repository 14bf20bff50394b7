import Bytes
import EventLoop
import Synchronization

/// A conversation of a client.
public struct ConfabConversation: Sendable, Identifiable {
    private let client: Confab
    private let core: ConversationCore

    init(client: Confab, core: ConversationCore, isNew: Bool) {
        self.client = client
        self.core = core
        if isNew { client.start(core) }
    }

    public var id: String { self.core.id }

    public var state: ClientState { self.core.state.withLock { $0.change.state } }

    /// The id of this client's user; nil until it is known.
    public var user: String? { self.core.state.withLock { $0.session.user } }

    // MARK: Messages

    /// The loaded messages in order, without a gap, each in its present state; unsent ones last.
    public var messages: [ChatMessage] { self.core.state.withLock { $0.session.messages } }

    /// The highest number that was delivered; with `rev` the point to resume from.
    public var after: Int? { self.core.state.withLock { $0.session.timeline.lastID } }

    /// The highest revision that was applied.
    public var rev: Int? { self.core.state.withLock { $0.session.timeline.rev } }

    /// All events since the conversation was opened, or since the previous loop ended.
    ///
    /// Several loops at the same time share the events. More than 10,000 events that no loop has
    /// taken are replaced by a `reset`. The sequence ends when the client is closed.
    public var events: ConversationEvents {
        ConversationEvents(core: self.core, client: self.client)
    }

    /// Calls `listener` with every event, in order, on the client's thread, instead of `events`.
    /// The client reads nothing while it runs.
    public func setListener(_ listener: @escaping @Sendable (ConversationEvent) -> Void) {
        self.core.setListener(listener)
    }

    /// Sends a message, and returns it when it is stored.
    ///
    /// Interruptions do not matter: the message stays in the outbox until the server has answered,
    /// also after the task is cancelled.
    ///
    /// - Parameters:
    ///   - replyTo: the message to which it replies.
    ///   - mentions: the users that it addresses.
    ///   - localID: the idempotency key; sending the same one again waits for the same message.
    ///   - to: the only recipient, in protocols with direct messages.
    /// - Throws: `refused` or `ended` if a retry does not help; `store` if the message cannot be
    ///   written to the store.
    @discardableResult
    public func send(
        _ text: String, replyTo: Int? = nil, mentions: MentionedUsers = .none,
        localID: String? = nil, to: String? = nil
    ) async throws(ConfabError) -> ChatMessage {
        try await self.core.send(Self.item(text, replyTo, mentions, localID, to))
    }

    /// Adds a message to the outbox without waiting. Returns its local id.
    @discardableResult
    public func post(
        _ text: String, replyTo: Int? = nil, mentions: MentionedUsers = .none,
        localID: String? = nil, to: String? = nil
    ) throws(ConfabError) -> String {
        let item = Self.item(text, replyTo, mentions, localID, to)
        try self.core.post(item)
        return item.localID
    }

    private static func item(
        _ text: String, _ replyTo: Int?, _ mentions: MentionedUsers, _ localID: String?,
        _ to: String?
    ) -> PendingMessage {
        var item = PendingMessage(
            localID: localID ?? Confab.randomID(byteCount: 16), text: text, to: to,
            since: WallClock.now)
        item.replyTo = replyTo
        item.mentioned = mentions
        return item
    }

    /// Replaces the text of a message. Only its author and admins may do this.
    @discardableResult
    public func edit(_ id: Int, _ text: String) async throws(ConfabError) -> ChatMessage? {
        guard case .message(let message) = try await self.core.request(.command(.edit(id, text)))
        else { return nil }
        return message
    }

    /// Deletes a message. It keeps its number and loses its text.
    @discardableResult
    public func delete(_ id: Int) async throws(ConfabError) -> ChatMessage? {
        guard case .message(let message) = try await self.core.request(.command(.delete(id))) else {
            return nil
        }
        return message
    }

    /// Loads older messages into `messages`. Returns whether there may be more.
    public func older(_ limit: Int = 50) async throws(ConfabError) -> Bool {
        guard case .older(let hasMore) = try await self.core.request(.older(limit)) else {
            return false
        }
        return hasMore
    }

    /// Fetches the newest messages, oldest first, without changing `messages`.
    public func history(_ limit: Int = 50) async throws(ConfabError) -> [ChatMessage] {
        let answer = try await self.core.request(.command(.page(.newest(limit))))
        guard case .messages(let messages) = answer else { return [] }
        return messages
    }

    // MARK: Reactions, threads, pins, search

    /// Adds this user's reaction to a message, or removes it: one emoji, or `:name:`.
    public func react(_ id: Int, _ emoji: String, on: Bool = true) async throws(ConfabError) {
        _ = try await self.core.request(.command(.react(id, emoji, isOn: on)))
    }

    /// Pins a message. Some conversations permit this to their creator and admins only.
    public func pin(_ id: Int) async throws(ConfabError) {
        _ = try await self.core.request(.command(.pin(id)))
    }

    /// Ends the pin of a message.
    public func unpin(_ id: Int) async throws(ConfabError) {
        _ = try await self.core.request(.command(.unpin(id)))
    }

    /// The pinned messages, newest pin first.
    public func pins() async throws(ConfabError) -> [ChatMessage] {
        guard case .messages(let messages) = try await self.core.request(.command(.pins)) else {
            return []
        }
        return messages
    }

    /// A page of a thread, oldest message first: the message `id` and the replies to it. Without
    /// a bound, the newest.
    public func thread(_ id: Int, before: Int? = nil, after: Int? = nil, limit: Int = 50)
        async throws(ConfabError) -> [ChatMessage]
    {
        let query: PageQuery =
            before.map { .before($0, limit) } ?? after.map { .after($0, limit) } ?? .newest(limit)
        let answer = try await self.core.request(.command(.thread(id, query)))
        guard case .messages(let messages) = answer else { return [] }
        return messages
    }

    /// Messages that contain all words; the last one may be the beginning of a word.
    public func search(_ text: String, before: Int? = nil, limit: Int = 20)
        async throws(ConfabError) -> FoundMessages
    {
        let command = ClientCommand.search(text, before: before, limit: limit)
        guard case .found(let found) = try await self.core.request(.command(command)) else {
            return FoundMessages(messages: [])
        }
        return found
    }

    /// The names of the members, in protocols that list them.
    public func members() async throws(ConfabError) -> [String] {
        guard case .members(let names) = try await self.core.request(.command(.members)) else {
            return []
        }
        return names
    }

    // MARK: Outbox

    /// The messages that the server has not acknowledged, in order.
    public var outbox: [PendingMessage] { self.core.state.withLock { $0.session.outbox.items } }

    /// Sends a refused message again, after those that wait.
    public func retry(_ localID: String) {
        self.core.perform { $0.retry(localID, at: $1, into: &$2) }
    }

    /// Removes a message from the outbox. One in flight may be stored nevertheless.
    public func discard(_ localID: String) {
        self.core.perform { $0.discard(localID, at: $1, into: &$2) }
    }

    // MARK: Receipts, typing, connection

    /// Marks everything up to a message as read.
    public func read(_ id: Int) { self.core.perform { $0.read(id, at: $1, into: &$2) } }

    /// Shows the user as typing for some seconds. Call it for every key; reports are limited
    /// inside.
    public func typing(_ isTyping: Bool = true) {
        self.core.perform { $0.setTyping(isTyping, at: $1, into: &$2) }
    }

    /// Connects now instead of waiting, also after a refusal.
    public func retryNow() {
        self.core.perform { session, _, steps in session.retryNow(into: &steps) }
    }

    /// Leaves the conversation. `Confab.conversation` opens it again.
    public func close() { self.core.perform { session, _, steps in session.close(into: &steps) } }

    /// The features of the protocol besides messages.
    public var capabilities: Set<ClientCapability> {
        self.core.state.withLock { $0.session.dialect.capabilities }
    }
}

/// The events of a conversation.
public struct ConversationEvents: AsyncSequence, Sendable {
    public typealias Element = ConversationEvent
    public typealias Failure = Never

    let core: ConversationCore
    let client: Confab

    public struct AsyncIterator: AsyncIteratorProtocol {
        let core: ConversationCore
        // Keeps the client's connections open.
        let client: Confab

        /// Waits for the next event; nil at the end, and if the task is cancelled.
        public mutating func next() async -> ConversationEvent? {
            let core = self.core
            while true {
                if let event = core.takeEvent() { return event }
                if core.isClosed { return nil }
                guard await core.condition.wait(until: { core.hasEvent || core.isClosed }) else {
                    return nil
                }
            }
        }
    }

    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(core: self.core, client: self.client)
    }
}
