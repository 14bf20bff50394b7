import Bytes
import ChatCore
import ChatModel
import Cluster
import DialectKit
import EventLoop
import HTTPWire

/// The connections that an operator closes.
enum DisconnectTarget: Sendable {
    /// All connections of a user, by the id that other users see.
    case user(ByteString, tenant: ByteString)
    /// The connection with this name in the log.
    case connection(String)
}

/// Enforces bans, and closes connections for operators.
extension ChatBridge {
    /// The ban that keeps the session's user away from its tenant, or from the connection's only
    /// conversation.
    func ban(of webSocket: WebSocketState) -> Ban? {
        guard !self.context.bans.isEmpty, let session = webSocket.session,
            let user = session.principal?.person.id
        else { return nil }
        let now = self.context.now.wall
        if let home = session.homeConversation {
            return self.context.bans.ban(of: user, from: home, at: now)
        }
        return self.context.bans.ban(of: user, in: session.tenant, at: now)
    }

    /// The ban that keeps the session's user away from a conversation.
    func ban(of webSocket: WebSocketState, from key: ConversationKey) -> Ban? {
        guard !self.context.bans.isEmpty, let user = webSocket.session?.principal?.person.id else {
            return nil
        }
        return self.context.bans.ban(of: user, from: key, at: self.context.now.wall)
    }

    /// Sends the notice in the protocol's form, and closes the connection.
    mutating func closeBanned(
        _ connection: Connection, _ webSocket: WebSocketState, _ notice: String
    ) {
        webSocket.session?.banned(notice, into: &self.steps)
        self.runSteps(connection, webSocket)
    }

    /// A store's answer as the session gets it: without conversations from which the user is
    /// banned, and nil if the store failed.
    func withoutBanned(_ answer: StoreAnswer, for webSocket: WebSocketState) -> StoreAnswer? {
        switch answer {
        case .failed: return nil
        case .memberships(var page) where !self.context.bans.isEmpty:
            page.memberships.removeAll { self.ban(of: webSocket, from: $0.key) != nil }
            return .memberships(page)
        default: return answer
        }
    }

    /// Enforces the node's present bans on the connections of this loop.
    ///
    /// - Returns: how many connections it has closed.
    mutating func enforceBans() -> Int {
        let list = self.context.shared.bans.list
        let banned = list.newlyBanned(since: self.context.bans, at: self.context.now.wall)
        self.context.bans = list
        var closed = 0
        for subject in banned {
            for connection in self.connections(of: subject.user, in: subject.tenant) {
                guard let webSocket = connection.webSocket,
                    let ban = self.ban(of: webSocket, now: subject)
                else { continue }
                self.closeBanned(connection, webSocket, ban.notice)
                closed += 1
            }
        }
        return closed
    }

    /// The ban if it concerns an open connection of its user: one from a conversation concerns
    /// those that are or will be subscribed to it.
    private func ban(of webSocket: WebSocketState, now subject: Ban.Subject) -> Ban? {
        guard let conversation = subject.conversation else { return self.ban(of: webSocket) }
        let key = ConversationKey(tenant: subject.tenant, id: conversation)
        let isInside =
            webSocket.subscriptions.contains { $0.conversation == key }
            || webSocket.pendingJoins.contains { pendingJoin in
                guard case .join(_, key, _, _)? = self.requestContexts[pendingJoin.context]?.kind
                else { return false }
                return true
            }
        return isInside ? self.ban(of: webSocket, from: key) : nil
    }

    /// Closes connections with a code after which clients connect again.
    ///
    /// - Returns: how many connections it has closed.
    mutating func disconnect(_ target: DisconnectTarget) -> Int {
        let connections: [Connection] =
            switch target {
            case .user(let user, let tenant): self.connections(of: user, in: tenant)
            case .connection(let name):
                self.pool.all.filter {
                    $0.isClient && $0.isConnected && self.context.name(of: $0) == name
                }
            }
        var closed = 0
        for connection in connections {
            guard let webSocket = connection.webSocket, !webSocket.hasSentClose else { continue }
            self.pool.closeWebSocket(
                connection, webSocket, .serviceRestart, "disconnected by an operator")
            closed += 1
        }
        return closed
    }

    /// The open connections of a user of this loop.
    private func connections(of user: ByteString, in tenant: ByteString) -> [Connection] {
        let numbers = self.users.numbers(lookingLike: UserID(displayID: user), in: tenant)
        guard !numbers.isEmpty else { return [] }
        return self.pool.all.filter { connection in
            connection.isConnected && connection.webSocket?.hasSentClose == false
                && numbers.contains(self.pool.user(of: connection))
        }
    }
}

extension LoopState {
    /// Reads the bans again if the node may have missed a change. The first loop calls this.
    func readBansIfStale() {
        let shared = self.context.shared
        guard let number = shared.bans.beginReadIfStale(at: self.context.now.monotonic) else {
            return
        }
        self.context.store.submit(
            .bans, ticket: 0,
            for: StoreReplyHandler(shared.storeErrors) { answer in
                shared.bans.endRead(number, answer) {
                    for mailbox in shared.controlMailboxes {
                        _ = mailbox.post(.enforceBans { _ in })
                    }
                }
            })
    }
}
