import TestKit

/// The links of one node to all servers of its store: a proxy for each server.
final class StoreLinks {
    /// The store's URL for this node.
    let url: String
    private let proxies: [FaultProxy]

    init(to endpoint: StoreEndpoint) throws {
        self.proxies = try endpoint.ports.map { try FaultProxy(to: $0) }
        let ports = Dictionary(uniqueKeysWithValues: zip(endpoint.ports, self.proxies.map(\.port)))
        for proxy in self.proxies { proxy.set(PortTranslation(ports)) }
        self.url = endpoint.url.replacing(/:([0-9]+)/) { match in
            ":\(UInt16(match.1).flatMap { ports[$0] }.map(String.init) ?? String(match.1))"
        }
    }

    func set(_ condition: FaultProxy.Condition) {
        for proxy in self.proxies { proxy.set(condition) }
    }
}
