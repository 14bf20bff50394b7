import ChatCore
import DialectKit
import EventLoop
import Telemetry

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
                "tls": LogValue(connection.tls != nil),
                "compressed": LogValue(webSocket.isCompressed),
            ])
    }

    func logClosed(_ connection: Connection, _ webSocket: WebSocketState) {
        guard self.shared.logger.isEnabled(.debug) else { return }
        self.shared.logger.debug(
            "connection closed",
            [
                "connection": .text(self.name(of: connection)),
                "dialect": .text(self.dialectName(webSocket)),
                "address": .text(connection.address),
                "code": LogValue(webSocket.closeCode),
                "seconds": LogValue(.milliseconds(self.now.monotonic - webSocket.openedAt)),
            ])
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

    func dialectName(_ webSocket: WebSocketState) -> String {
        webSocket.dialect < 0
            ? "echo" : self.shared.settings.dialects[webSocket.dialect].name.description
    }
}

extension Connection {
    /// The client's address for the log.
    var address: String {
        // The address from a proxy has no port.
        self.peer.port == 0 ? self.peer.host : self.peer.text
    }
}
