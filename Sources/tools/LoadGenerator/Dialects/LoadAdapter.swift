/// A choice of `confab bench --adapter`: the protocols of a conversation's members.
public struct LoadAdapter: Sendable, Equatable {
    public let name: String
    /// An explanation for the help; nil if the name is enough.
    public let remark: String?
    /// The protocol of publishers.
    let publisher: any LoadProtocol
    /// The protocols of the other members, one member after the other.
    let receivers: [any LoadProtocol]
    /// Whether members need tokens.
    let needsTokens: Bool

    /// - Parameter receiver: the protocol of members that only receive, if it is another one.
    ///   Publishers need a WebSocket, because a polling request would wait for the previous one.
    public init(
        _ name: String, remark: String? = nil, _ publisher: any LoadProtocol,
        receiver: (any LoadProtocol)? = nil
    ) {
        self.init(
            name, remark: remark, publisher: publisher, receivers: [receiver ?? publisher],
            needsTokens: true)
    }

    private init(
        _ name: String, remark: String?, publisher: any LoadProtocol,
        receivers: [any LoadProtocol], needsTokens: Bool
    ) {
        self.name = name
        self.remark = remark
        self.publisher = publisher
        self.receivers = receivers
        self.needsTokens = needsTokens
    }

    /// All of these in one conversation; the publishers use the first.
    ///
    /// - Parameter adapters: must not be empty.
    public static func mixed(_ adapters: [LoadAdapter]) -> LoadAdapter {
        LoadAdapter(
            "mixed", remark: "all of them", publisher: adapters[0].publisher,
            receivers: adapters.map(\.publisher), needsTokens: true)
    }

    /// A server that sends each frame to all connections of its path: the lower bound of the cost.
    public static let raw = LoadAdapter(
        "raw", remark: "frames without a protocol, for a plain server", publisher: RawLoad(),
        receivers: [RawLoad()], needsTokens: false)

    public static func == (left: LoadAdapter, right: LoadAdapter) -> Bool {
        left.name == right.name
    }
}

extension LoadPlan {
    func loadProtocol(of member: Int, in group: Int) -> any LoadProtocol {
        let index = member - self.members(of: group).lowerBound
        guard index >= self.publishersPerGroup else { return self.adapter.publisher }
        return self.adapter.receivers[index % self.adapter.receivers.count]
    }
}
