import ChatCore
import ChatModel
import DialectKit
import EventLoop
import HTTPWire
import Telemetry

/// Details of one connection for the log, apart from its state. Most connections have none.
struct ConnectionLogDetails {
    /// The trace of the request that opened the WebSocket.
    var trace: TraceParent?
    /// Why the node closed the WebSocket. Only recorded at `debug`.
    var closeReason: String?

    init() {}

    /// Nil without a trace.
    init?(trace: TraceParent?) {
        guard let trace else { return nil }
        self.trace = trace
    }
}

/// Logs connections, but never messages or credentials.
extension LoopContext {
    /// The name of a connection in the log, which operators use too.
    func name(of connection: Connection) -> String {
        ConnectionID(loop: self.index, token: connection.token).description
    }

    func logOpened(_ connection: Connection, _ webSocket: WebSocketState) {
        guard self.shared.logger.isEnabled(.debug) else { return }
        self.shared.logger.debug(
            "connection opened",
            [
                "connection": .text(self.name(of: connection)),
                "dialect": .text(self.dialectName(webSocket)),
                "address": .text(connection.address),
                "user": .optional(webSocket.userName),
                "conversation": .optional(webSocket.session?.homeConversation?.description),
                "tls": LogValue(connection.tls != nil),
                "compressed": LogValue(webSocket.isCompressed),
                "traceparent": .optional(self.trace(of: connection)),
            ])
    }

    func logClosed(_ connection: Connection, _ webSocket: WebSocketState) {
        let details = self.logDetails.removeValue(forKey: connection.token.slot)
        guard self.shared.logger.isEnabled(.debug) else { return }
        self.shared.logger.debug(
            "connection closed",
            [
                "connection": .text(self.name(of: connection)),
                "dialect": .text(self.dialectName(webSocket)),
                "address": .text(connection.address),
                "user": .optional(webSocket.userName),
                "conversation": .optional(webSocket.session?.homeConversation?.description),
                "code": LogValue(webSocket.closeCode),
                "reason": .optional(details?.closeReason),
                "seconds": LogValue(.milliseconds(self.now.monotonic - webSocket.openedAt)),
                "traceparent": .optional(details?.trace?.description),
            ])
    }

    /// A dialect whose clients send their token over the WebSocket has learned the user.
    func logIdentified(_ connection: Connection, _ webSocket: WebSocketState) {
        guard self.shared.logger.isEnabled(.debug), let user = webSocket.userName else { return }
        self.shared.logger.debug(
            "user identified",
            [
                "connection": .text(self.name(of: connection)), "user": .text(user),
                "traceparent": .optional(self.trace(of: connection)),
            ])
    }

    func logJoined(
        _ connection: Connection, _ webSocket: WebSocketState, _ conversation: ConversationKey
    ) {
        guard self.shared.logger.isEnabled(.debug) else { return }
        self.shared.logger.debug(
            "conversation joined",
            [
                "connection": .text(self.name(of: connection)),
                "user": .optional(webSocket.userName),
                "conversation": .text(conversation.description),
                "traceparent": .optional(self.trace(of: connection)),
            ])
    }

    func logLeft(
        _ connection: Connection, _ webSocket: WebSocketState, _ conversation: ConversationKey
    ) {
        guard self.shared.logger.isEnabled(.debug) else { return }
        self.shared.logger.debug(
            "conversation left",
            [
                "connection": .text(self.name(of: connection)),
                "user": .optional(webSocket.userName),
                "conversation": .text(conversation.description),
            ])
    }

    /// The chat rejected a command of a client.
    func logRejected(
        _ error: ChatError, _ connection: Connection, _ webSocket: WebSocketState,
        in conversation: ConversationKey?
    ) {
        guard self.shared.logger.isEnabled(.debug) else { return }
        self.shared.logger.debug(
            "command rejected",
            [
                "connection": .text(self.name(of: connection)),
                "user": .optional(webSocket.userName),
                "conversation": .optional(conversation?.description),
                "reason": .text(error.description),
                "traceparent": .optional(self.trace(of: connection)),
            ])
    }

    /// A client has gone on sending above the limit of its user.
    func logFlood(_ connection: Connection, _ webSocket: WebSocketState) {
        self.shared.logger.info(
            "flooding client closed",
            [
                "connection": .text(self.name(of: connection)),
                "address": .text(connection.address), "user": .optional(webSocket.userName),
                "dialect": .text(self.dialectName(webSocket)),
            ])
    }

    /// Records why the node closes a WebSocket, until the line about its end.
    func recordClose(_ connection: Connection, _ reason: String) {
        guard self.shared.logger.isEnabled(.debug) else { return }
        self.logDetails[connection.token.slot, default: ConnectionLogDetails()].closeReason = reason
    }

    /// Logs changes that the store had lost. Called once a second.
    func logRestored(_ restored: RecoveryCounts) {
        let logged = self.counters.loggedRestored
        guard restored != logged else { return }
        self.counters.loggedRestored = restored
        self.shared.logger.warning(
            "lost changes recovered",
            [
                "loop": LogValue(self.index),
                "rewritten": LogValue(restored.inPlace - logged.inPlace),
                "moved": LogValue(restored.moved - logged.moved),
                "lost": LogValue(restored.lost - logged.lost),
            ])
    }

    private func trace(of connection: Connection) -> String? {
        self.logDetails[connection.token.slot]?.trace?.description
    }

    func dialectName(_ webSocket: WebSocketState) -> String {
        webSocket.dialect < 0
            ? "echo" : self.shared.settings.dialects[webSocket.dialect].name.description
    }
}

extension WebSocketState {
    /// The user for the log, with its tenant; nil while unknown.
    fileprivate var userName: String? {
        guard let session = self.session, let user = session.principal?.person.id else {
            return nil
        }
        return "\(session.tenant)/\(user)"
    }
}

extension Connection {
    /// The client's address for the log.
    var address: String { self.peer.clientText }
}

extension SocketAddress {
    /// A client's address as text. The address from a proxy has no port.
    var clientText: String { self.port == 0 ? self.host : self.text }
}
