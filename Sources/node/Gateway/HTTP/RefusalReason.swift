import ChatModel
import Configuration
import EngineIO
import HTTPWire

/// Why the node refused a request. The label `reason` of `confab_connections_refused_total` and of
/// the log event `request refused`; their meaning is in docs/operating/health-and-metrics.md.
enum RefusalReason: String, CaseIterable, Sendable {
    /// A token is missing, invalid or expired.
    case token
    /// The page's origin is not allowed.
    case origin
    /// The name in `Host` is not the node's own.
    case host
    /// The user, or the token, may not do this.
    case permission
    case starting
    case draining
    /// Other nodes have evicted the node, which cannot reach Redis.
    case evicted
    /// The node has all the connections that it may have.
    case connectionLimit = "connection_limit"
    /// The client's address has all the connections that it may have.
    case addressLimit = "address_limit"
    /// Too many clients have not shown who they are, and this one was the oldest.
    case unidentifiedLimit = "unidentified_limit"
    /// More clients connected in one second than the node accepts.
    case connectRate = "connect_rate"
    /// The client sends more requests than it may.
    case requestRate = "request_rate"
    /// The node, its store or its queue of requests cannot take the request at present.
    case unavailable
    /// The request is malformed, too large or too slow.
    case invalid

    /// The limit on the node's clients that refused the request; nil for other reasons. `health`
    /// shows it.
    var clientLimit: String? {
        switch self {
        case .connectionLimit, .unidentifiedLimit: "connections"
        case .addressLimit: "connections-per-address"
        case .connectRate: "connects-per-second"
        default: nil
        }
    }

    /// The position in `LoopCounters.refusals`.
    var index: Int { Self.allCases.firstIndex(of: self) ?? 0 }

    /// Nil for an answer that is no refusal: there is nothing at the path, or the state of the chat
    /// does not allow the request.
    init?(_ error: HTTPError) {
        switch error {
        case .originRefused, CrossOrigin.refusal: self = .origin
        case .nodeStarting: self = .starting
        case .nodeDraining: self = .draining
        case .nodeEvicted: self = .evicted
        case .nodeFull: self = .connectionLimit
        case .addressFull: self = .addressLimit
        case .tooManyConnects: self = .connectRate
        default: self.init(error.status)
        }
    }

    private init?(_ status: HTTPStatus) {
        switch status {
        case .unauthorized: self = .token
        case .forbidden: self = .permission
        case .misdirectedRequest: self = .host
        case .tooManyRequests: self = .requestRate
        case .badRequest, .methodNotAllowed, .requestTimeout, .contentTooLarge, .uriTooLong,
            .unsupportedMediaType, .expectationFailed, .upgradeRequired, .headerFieldsTooLarge,
            .notImplemented, .versionNotSupported:
            self = .invalid
        case .internalServerError, .badGateway, .serviceUnavailable: self = .unavailable
        default: return nil
        }
    }

    /// Why an Engine.IO request was refused, apart from the state of the node.
    init(_ refusal: EngineRefusal) {
        switch refusal.status {
        case 403: self = .permission
        case 503: self = .unavailable
        default: self = .invalid
        }
    }
}

extension HTTPError {
    static let originRefused = HTTPError(
        .forbidden, "Pages of this origin may not connect; see --origins.")
    static let nodeStarting = unavailable("The node is starting; connect again.")
    static let nodeDraining = unavailable("The node is draining; connect again.")
    static let nodeEvicted = unavailable("The node has lost its cluster; connect again.")
    static let nodeFull = unavailable("The node has all the connections it may have.")
    static let addressFull = unavailable("This address has all the connections it may have.")
    static let tooManyConnects = unavailable("Too many clients connect at once; come again.")

    /// - Parameter host: the request's `Host`.
    static func foreignHost(_ host: String) -> HTTPError {
        HTTPError(
            .misdirectedRequest,
            "Host: \(host.prefix(100)) is not a name of this node; add it with --host.")
    }

    /// - Parameter seconds: when the client may repeat the request.
    static func rateLimited(retryAfter seconds: Double) -> HTTPError {
        HTTPError(
            .tooManyRequests, "rate limited",
            fields: [HTTPField("Retry-After", String(max(1, Int(seconds.rounded(.up)))))])
    }

    /// The user's other connections have all the answers that may wait for their readers.
    static let answersWaiting = HTTPError(
        .tooManyRequests, "rate limited: outbound-bytes; read the other answers first",
        fields: [HTTPField("Retry-After", "1")])

    /// The connections of the user or of the node have sent too much of unfinished requests.
    static let inputUnfinished = unavailable(Limits.unfinishedInputSentence)

    private static func unavailable(_ sentence: String) -> HTTPError {
        HTTPError(.serviceUnavailable, sentence, fields: [HTTPField("Retry-After", "1")])
    }
}
