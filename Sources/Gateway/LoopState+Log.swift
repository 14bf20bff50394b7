import ChatCore
import DialectKit
import EventLoop
import Telemetry

/// What the log says of connections: who they are, never what they say or what lets them in.
extension LoopState {
    /// A connection's name in the log: of its loop, unique in the node's life for as long as generations do not come round.
    func name(of connection: Connection) -> String {
        "\(self.index).\(connection.token.slot).\(connection.token.generation)"
    }

    mutating func logOpened(_ slot: Int, _ talk: WebSocketState) {
        guard self.shared.logger.isEnabled(.debug), let connection = self.connections[slot] else {
            return
        }
        self.shared.logger.debug(
            "connection opened",
            [
                "connection": .text(self.name(of: connection)),
                "dialect": .text(self.dialectName(talk)),
                "address": .text(connection.address),
                "tls": LogValue(connection.tls != nil), "compressed": LogValue(talk.isCompressed),
            ])
    }

    mutating func logClosed(_ slot: Int, _ talk: WebSocketState) {
        guard self.shared.logger.isEnabled(.debug), let connection = self.connections[slot] else {
            return
        }
        self.shared.logger.debug(
            "connection closed",
            [
                "connection": .text(self.name(of: connection)),
                "dialect": .text(self.dialectName(talk)),
                "address": .text(connection.address),
                "code": LogValue(talk.closeCode),
                "seconds": LogValue(.milliseconds(self.now.monotonic - talk.openedAt)),
            ])
    }

    /// The store lacks something that owners gave it, which it had taken or may have; said once a second at most.
    mutating func logRestored(_ restored: RecoveryCounts) {
        let logged = self.counters.loggedRestored
        guard restored != logged else { return }
        self.counters.loggedRestored = restored
        self.shared.logger.warning(
            "the store lacked changes that it had been given",
            [
                "loop": LogValue(self.index),
                "writtenAgain": LogValue(restored.inPlace - logged.inPlace),
                "movedToOtherNumbers": LogValue(restored.moved - logged.moved),
                "lost": LogValue(restored.lost - logged.lost),
            ])
    }

    private func dialectName(_ talk: WebSocketState) -> String {
        talk.dialect < 0 ? "echo" : self.shared.settings.dialects[talk.dialect].name.description
    }
}

extension Connection {
    /// Where the client is, for the log.
    var address: String {
        // What a proxy names has no port.
        self.peer.port == 0 ? self.peer.host : self.peer.text
    }
}
