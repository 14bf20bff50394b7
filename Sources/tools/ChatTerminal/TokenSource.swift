import ConfabClient
internal import Glibc

/// Finds the token for the connection.
enum TokenSource {
    private static let byteLimit = 64 << 10

    /// The order is: option, file, environment, URL. Returns nil if none of them has a token.
    static func token(_ options: ChatTerminalOptions, _ url: WebSocketURL) throws(ChatTerminalError)
        -> String?
    {
        if let token = options.token { return Self.trimmed(token) }
        if let path = options.tokenFile { return try Self.read(path, options.input) }
        // `--name` asks for an anonymous connection, so the environment's token is not used.
        if options.name == nil, let token = options.environment["CONFAB_TOKEN"], !token.isEmpty {
            return Self.trimmed(token)
        }
        return url.parameter("token")
    }

    /// Reads the first line. On standard input it reads no byte more, because the lines to send
    /// follow.
    private static func read(_ path: String, _ input: Int32) throws(ChatTerminalError) -> String {
        let descriptor = path == "-" ? input : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw .tokenFile(path: path, reason: String(cString: strerror(errno)))
        }
        defer { if path != "-" { close(descriptor) } }
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while line.count < Self.byteLimit {
            let count = Glibc.read(descriptor, &byte, 1)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                throw .tokenFile(path: path, reason: String(cString: strerror(errno)))
            }
            if count == 0 || byte == UInt8(ascii: "\n") { break }
            line.append(byte)
        }
        let token = Self.trimmed(String(decoding: line, as: UTF8.self))
        guard !token.isEmpty else {
            throw .tokenFile(path: path, reason: "its first line is empty")
        }
        return token
    }

    private static func trimmed(_ text: String) -> String {
        let isBlank = { (character: Character) in character.isWhitespace }
        return String(text.drop(while: isBlank).reversed().drop(while: isBlank).reversed())
    }
}
