import Foundation
import Glibc
import Synchronization
import TestKit

/// Reads requests, one per connection, and sends a response that the test chooses.
final class ScriptedAdminListener: Sendable {
    let port: UInt16
    private let listener: Int32
    private let received = Received()

    private final class Received: Sendable {
        let request = Mutex("")
    }

    init(response: String) throws {
        (self.listener, self.port) = try Self.listen()
        let listener = self.listener
        let received = self.received
        Thread.detachNewThread { Self.serve(listener, response, received) }
    }

    /// - Returns: a socket that listens on a free port of loopback.
    static func listen() throws -> (socket: Int32, port: UInt16) {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(INADDR_LOOPBACK).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = socket(
            AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        let isListening = withUnsafeMutableBytes(of: &address) {
            let pointer = $0.baseAddress!.assumingMemoryBound(to: sockaddr.self)
            return bind(listener, pointer, size) == 0 && Glibc.listen(listener, 8) == 0
                && getsockname(listener, pointer, &size) == 0
        }
        guard isListening else { throw TestFailure("cannot listen: \(errno)") }
        return (listener, UInt16(bigEndian: address.sin_port))
    }

    deinit {
        // Ends the thread's accept; the thread closes the socket.
        shutdown(self.listener, Int32(SHUT_RDWR))
    }

    /// The last request that was no probe, once it has been answered.
    var request: String { self.received.request.withLock { $0 } }

    private static func serve(_ listener: Int32, _ response: String, _ received: Received) {
        while true {
            let connection = accept(listener, nil, nil)
            guard connection >= 0 else {
                close(listener)
                return
            }
            let request = self.readRequest(connection)
            let isProbe = request.hasPrefix("HEAD / ")
            if !isProbe { received.request.withLock { $0 = request } }
            let answer = Array((isProbe ? "HTTP/1.1 404 X\r\n\r\n" : response).utf8)
            _ = send(connection, answer, answer.count, Int32(MSG_NOSIGNAL))
            shutdown(connection, Int32(SHUT_RDWR))
            close(connection)
        }
    }

    private static func readRequest(_ connection: Int32) -> String {
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
        return String(decoding: bytes, as: UTF8.self)
    }
}
