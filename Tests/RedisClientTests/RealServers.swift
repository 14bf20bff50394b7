import Testing

/// Everything that starts processes, one at a time: a cluster's six servers at once are enough for two cores.
@Suite("With real servers,", .serialized)
enum RealServers {}
