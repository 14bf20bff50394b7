import Foundation
import Synchronization

/// The ports that `freePort` has returned.
private let returnedPorts = Mutex<Set<UInt16>>([])

/// A free port of 127.0.0.1, for programs that cannot choose one, and for addresses without a
/// listener.
///
/// It is below the kernel's ephemeral ports, so that no other process receives it meanwhile. The
/// same holds for the bus of Redis Cluster, which is 10,000 above it. No port is returned twice.
public func freePort() throws -> UInt16 {
    for _ in 0..<1000 {
        let port = UInt16.random(in: 10_000..<20_000)
        guard returnedPorts.withLock({ $0.insert(port).inserted }), isFree(port) else { continue }
        return port
    }
    throw TestFailure("no free port")
}

private func isFree(_ port: UInt16) -> Bool {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    defer { close(descriptor) }
    var yes: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
    var address = sockaddr_in.loopback(port: port)
    return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
        }
    }
}
