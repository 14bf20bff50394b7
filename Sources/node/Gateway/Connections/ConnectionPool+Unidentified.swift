import Bytes
import EventLoop

/// Clients that have shown neither a token nor a user. There may be only some of them, and the
/// oldest goes first.
extension ConnectionPool {
    /// Closes the oldest of them if they are as many as they may be.
    ///
    /// Each loop has its own part. With one count for the node, a flood on one loop would close
    /// the few clients of the others, because a loop knows only its own oldest.
    ///
    /// - Parameter request: the connection whose request opens the next session.
    func makeRoomForUnidentified(for request: SocketToken? = nil) {
        let limit = ConnectionShares(self.context.live.limits)
            .unidentified(loops: self.context.settings.loopCount)
        guard self.unidentified.count >= limit else { return }
        _ = self.closeOldestUnidentified(except: request) { _ in true }
    }

    /// Counts a connection or a session for its address. If the address has all that it may have,
    /// the oldest of these clients with the same address makes room.
    ///
    /// - Returns: nil if there is no place.
    func admit(
        _ address: IPAddress, hasToken: Bool, for request: SocketToken? = nil
    ) -> AddressShare? {
        let addresses = self.context.shared.addresses
        if let share = addresses.admit(address, hasToken: hasToken) { return share }
        let hasClosed = self.closeOldestUnidentified(except: request) {
            $0.addressShare?.belongs(to: address) == true
        }
        return hasClosed ? addresses.admit(address, hasToken: hasToken) : nil
    }

    private func closeOldestUnidentified(
        except request: SocketToken?, where mayClose: (Connection) -> Bool
    ) -> Bool {
        let oldest = self.unidentified.takeOldest(isMember: self.isUnidentified) { token in
            guard token != request, let connection = self[token] else { return false }
            return self.hasAnswered(connection) && mayClose(connection)
        }
        guard let oldest, let connection = self[oldest] else { return false }
        self.context.recordRefusal(
            .unidentifiedLimit, "Too many clients have not shown who they are.", connection, nil)
        self.drop(connection)
        return true
    }

    /// The client has shown a token or a user.
    func identified(_ connection: Connection) {
        guard connection.isConnected, connection.markIdentified() else { return }
        self.unidentified.remove()
    }

    func isUnidentified(_ token: SocketToken) -> Bool { self[token]?.isIdentified == false }

    /// Whether no request of the connection is under way.
    private func hasAnswered(_ connection: Connection) -> Bool {
        guard case .http(let exchange) = connection.phase else { return true }
        return exchange.isReadingNextHead
    }
}
