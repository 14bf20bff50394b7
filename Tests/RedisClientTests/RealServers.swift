import TestTraits
import Testing

/// All suites that start servers of Redis.
@Suite("With real servers,", .programs, .ownThread)
enum RealServers {}
