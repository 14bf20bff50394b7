/// What becomes of a command that a server of a cluster has not done, because another has to or itself a little later.
enum Redirection: Equatable {
    /// It goes there; asking first where the slot is still moving.
    case send(to: RedisPlace, asking: Bool)
    /// The same again after a pause.
    case pause
    /// It has been sent around for long enough: its user is told.
    case tell

    // Each node that a slot passes through sends on once; more is a cluster that does not agree with itself.
    static let moveLimit = 8
    // Two seconds, with a tick of the loop after each pause.
    static let pauseLimit = 20
    static let pauseLength = Duration.milliseconds(50)

    /// - Parameter host: of the server that says it: where it names none, it means its own.
    init(_ error: RedisError, of parcel: Parcel, host: String) {
        func named(_ place: RedisPlace) -> RedisPlace { place.host.isEmpty ? RedisPlace(host: host, port: place.port) : place }
        switch error {
        case .moved(_, let place) where parcel.moves < Self.moveLimit: self = .send(to: named(place), asking: false)
        case .ask(_, let place) where parcel.moves < Self.moveLimit: self = .send(to: named(place), asking: true)
        case .tryAgain where parcel.pauses < Self.pauseLimit: self = .pause
        default: self = .tell
        }
    }
}
