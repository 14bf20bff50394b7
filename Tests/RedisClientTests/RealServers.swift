import TestTraits
import Testing

/// All suites that start processes, one after the other: a cluster's six servers are enough for two
/// cores.
@Suite("With real servers,", .programs, .serialized, .ownThread)
enum RealServers {}
