/// What becomes of a command that a server of a cluster has not done, because another has to or itself a little later.
enum Redirection: Equatable {
    /// It goes there; asking first where the slot is still moving.
    case send(to: RedisEndpoint, asking: Bool)
    /// The same again after a pause.
    case retryLater
    /// It has been sent around for long enough: its user is told.
    case fail

    // Each node that a slot passes through sends on once; more is a cluster that does not agree with itself.
    static let redirectLimit = 8
    // Two seconds, with a tick of the loop after each pause.
    static let retryLimit = 20
    static let retryDelay = Duration.milliseconds(50)

    /// - Parameter host: of the server that says it: where it names none, it means its own.
    init(_ error: RedisError, of parcel: QueuedCommand, host: String) {
        func named(_ place: RedisEndpoint) -> RedisEndpoint {
            place.host.isEmpty ? RedisEndpoint(host: host, port: place.port) : place
        }
        switch error {
        case .moved(_, let place) where parcel.redirects < Self.redirectLimit:
            self = .send(to: named(place), asking: false)
        case .ask(_, let place) where parcel.redirects < Self.redirectLimit:
            self = .send(to: named(place), asking: true)
        case .tryAgain where parcel.retries < Self.retryLimit: self = .retryLater
        default: self = .fail
        }
    }
}
