import Foundation
import Glibc
import Synchronization
import TestKit

/// Accepts one connection, reads a request and sends a response that the test chooses.
final class ScriptedAdminListener: Sendable {
    let port: UInt16
    private let listener: Int32
    private let received = Mutex("")

    init(response: String) throws {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(INADDR_LOOPBACK).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = socket(
            AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        let isListening = withUnsafeMutableBytes(of: &address) {
            let pointer = $0.baseAddress!.assumingMemoryBound(to: sockaddr.self)
            return bind(listener, pointer, size) == 0 && listen(listener, 1) == 0
                && getsockname(listener, pointer, &size) == 0
        }
        guard isListening else { throw TestFailure("cannot listen: \(errno)") }
        self.listener = listener
        self.port = UInt16(bigEndian: address.sin_port)
        Thread.detachNewThread { self.serve(response) }
    }

    deinit { close(self.listener) }

    /// The request, once it has been answered.
    var request: String { self.received.withLock { $0 } }

    private func serve(_ response: String) {
        let connection = accept(self.listener, nil, nil)
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 12)
        // The tests' bodies are objects, so a request ends with its head or with a brace.
        while !bytes.suffix(4).elementsEqual("\r\n\r\n".utf8) || bytes.starts(with: "POST".utf8),
            bytes.last != UInt8(ascii: "}")
        {
            let count = recv(connection, &chunk, chunk.count, 0)
            guard count > 0 else { break }
            bytes += chunk[..<count]
        }
        self.received.withLock { $0 = String(decoding: bytes, as: UTF8.self) }
        let answer = Array(response.utf8)
        _ = send(connection, answer, answer.count, Int32(MSG_NOSIGNAL))
        shutdown(connection, Int32(SHUT_RDWR))
        close(connection)
    }
}
