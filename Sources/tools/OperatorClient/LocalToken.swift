import Bytes
import Glibc

/// The token that a node on this machine has created for its operators.
///
/// A node answers a request without a token with the path of its token. The command reads the file
/// only if the listener's user owns it. Otherwise a process of another user, on the port of a node
/// that does not run, could name a file and receive its contents.
enum LocalToken {
    private static let byteLimit = 4096

    /// - Parameters:
    ///   - path: as the listener has named it.
    ///   - port: of the listener, on this machine.
    /// - Returns: nil if this user cannot read the file, or must not send it to this listener.
    static func read(_ path: String, namedBy port: UInt16) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
            self.owners(of: port) == [status.st_uid]
        else { return nil }
        let token = self.bytes(of: file, upTo: self.byteLimit).split(separator: UInt8(ascii: "\n"))
        guard token.count == 1, token[0].allSatisfy({ (0x21...0x7E).contains($0) }) else {
            return nil
        }
        return String(decoding: token[0], as: UTF8.self)
    }

    /// The users whose processes listen on a port, whatever the address.
    private static func owners(of port: UInt16) -> Set<UInt32> {
        let digits = Hex.encode([UInt8(port >> 8), UInt8(port & 0xFF)]).uppercased()
        let suffix = Array(":\(digits)".utf8)
        var owners: Set<UInt32> = []
        for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
            let file = open(table, O_RDONLY | O_CLOEXEC)
            guard file >= 0 else { continue }
            defer { close(file) }
            // Listeners come before the connections, of which there can be very many.
            for line in self.bytes(of: file, upTo: 1 << 18).split(separator: UInt8(ascii: "\n"))
                .dropFirst()
            {
                // Number, local address, remote address, state (0A: listening), queues, timer,
                // retransmits, user: https://docs.kernel.org/networking/proc_net_tcp.html
                let words = line.split(separator: UInt8(ascii: " "))
                guard words.count > 7, words[3].elementsEqual("0A".utf8),
                    words[1].suffix(suffix.count).elementsEqual(suffix),
                    let owner = UInt32(String(decoding: words[7], as: UTF8.self))
                else { continue }
                owners.insert(owner)
            }
        }
        return owners
    }

    private static func bytes(of file: Int32, upTo limit: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while bytes.count < limit {
            let count = Glibc.read(file, &chunk, chunk.count)
            guard count > 0 else { break }
            bytes += chunk[..<count]
        }
        return bytes
    }
}
