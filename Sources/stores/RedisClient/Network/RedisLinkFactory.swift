internal import Bytes
internal import EventLoop

/// Makes the links of one client, each with its own id and its own seed for retry delays.
struct RedisLinkFactory {
    let settings: RedisSettings
    let scripts: [RedisScript]
    let mode: RedisSession.SessionMode
    let loop: EventLoop
    private let seed: UInt64
    private var linkCount = 0

    init(
        _ settings: RedisSettings, scripts: [RedisScript], for mode: RedisSession.SessionMode,
        seed: UInt64, on loop: EventLoop
    ) {
        self.settings = settings
        self.scripts = scripts
        self.mode = mode
        self.seed = seed
        self.loop = loop
    }

    /// A link to a server that executes the user's commands, or that has the user's channels.
    ///
    /// - Parameter endpoint: nil while the server is unknown.
    mutating func makeServerLink(
        to endpoint: RedisEndpoint?, as role: RedisSession.ServerRole
    ) -> RedisLink {
        self.makeLink(
            to: endpoint, as: role, self.settings, for: self.mode, readByteCount: 64 << 10)
    }

    mutating func makeSentinelLink(to endpoint: RedisEndpoint) -> RedisLink {
        self.makeLink(
            to: endpoint, as: .sentinel(authenticates: false), self.settings, for: .subscription,
            readByteCount: 4 << 10)
    }

    /// The link of the topology probe. Other nodes can answer as well, so each gets only a short
    /// timeout.
    mutating func makeProbeLink(to endpoint: RedisEndpoint) -> RedisLink {
        var settings = self.settings
        settings.connectTimeout = min(settings.connectTimeout, TopologyProbe.timeout)
        return self.makeLink(
            to: endpoint, as: .clusterNode, settings, for: .subscription, readByteCount: 16 << 10)
    }

    private mutating func makeLink(
        to endpoint: RedisEndpoint?, as role: RedisSession.ServerRole, _ settings: RedisSettings,
        for mode: RedisSession.SessionMode, readByteCount: Int
    ) -> RedisLink {
        self.linkCount += 1
        let session = RedisSession(
            settings, scripts: mode == .commands ? self.scripts : [], for: mode, with: role,
            seed: StableHash.mix(self.seed &+ UInt64(self.linkCount)))
        return RedisLink(
            settings, session: session, to: endpoint, id: self.linkCount,
            readByteCount: readByteCount, on: self.loop)
    }
}
