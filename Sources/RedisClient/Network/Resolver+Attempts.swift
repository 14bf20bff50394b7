internal import EventLoop

extension Resolver {
    /// Finds the addresses for each attempt: at once where the place is an address, later on the loop where it is a name.
    static func resolve(
        _ attempts: [RedisNetwork.Attempt], on loop: EventLoop,
        then connect: @escaping @Sendable (RedisNetwork.Attempt, Result<[SocketAddress], SocketError>) -> Void
    ) {
        for attempt in attempts {
            let (host, port) = (attempt.place.host, attempt.place.port)
            if let address = SocketAddress(literal: host, port: port) {
                connect(attempt, .success([address]))
                continue
            }
            Task {
                let addresses = await Self.addresses(host: host, port: port)
                loop.execute { connect(attempt, addresses) }
            }
        }
    }

    private static func addresses(host: String, port: UInt16) async -> Result<[SocketAddress], SocketError> {
        do throws(SocketError) {
            return .success(try await Self.resolve(host: host, port: port))
        } catch {
            return .failure(error)
        }
    }
}
