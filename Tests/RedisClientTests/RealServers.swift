import Testing

/// Everything that starts processes, one at a time: these tests wait on the threads that name look-ups need too.
@Suite("With real servers,", .serialized)
enum RealServers {}
