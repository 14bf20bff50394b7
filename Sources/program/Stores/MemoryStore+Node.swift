public import Configuration
public import EmbeddedStore
public import StoreKit
public import Telemetry

extension StoreKind {
    /// In memory; lost when the process ends.
    public static let memory = StoreKind(
        "memory", title: "memory", forms: ["memory:"], durability: "in memory only",
        survivesRestart: false
    ) { (kind: StoreKind, scheme: String, rest: String) throws(ValueProblem) in
        guard scheme == kind.name else { return nil }
        guard rest.isEmpty else { throw ValueProblem("memory: must have nothing after the colon") }
        return StoreLocation(kind, rest, description: "memory:")
    }
}

extension MemoryStore: NodeStore {
    /// Its counters are 0.
    public func add(to snapshot: inout MetricsSnapshot) { StoreStatistics().add(to: &snapshot) }
}
