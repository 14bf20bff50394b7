import HTTPWire
import SeededRandom
import Testing

/// The rules of RFC 9112 for a head, written as simply as possible and without regard to speed.
enum ReferenceHead {
    static let characters = Set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789".utf8)
    static let tokens = characters.union("!#$%&'*+-.^_`|~".utf8)
    static let unreserved = characters.union("-._~".utf8)
    static let subDelimiters = Set("!$&'()*+,;=".utf8)
    static let path = unreserved.union(subDelimiters).union(":@/%".utf8)
    static let query = path.union("?[]{}|\\^`".utf8)
    static let host = unreserved.union(subDelimiters).union("%".utf8)

    /// Whether the bytes are exactly one valid head.
    static func accepts(_ bytes: [UInt8]) -> Bool {
        var rest = bytes
        if rest.starts(with: "\r\n".utf8) { rest.removeFirst(2) }
        guard rest.count >= 4, Array(rest.suffix(4)) == Array("\r\n\r\n".utf8) else { return false }
        rest.removeLast(4)
        var lines: [[UInt8]] = [[]]
        var index = 0
        while index < rest.count {
            if rest[index] == 13, index + 1 < rest.count, rest[index + 1] == 10 {
                lines.append([])
                index += 2
            } else if rest[index] == 13 || rest[index] == 10 {
                return false
            } else {
                lines[lines.count - 1].append(rest[index])
                index += 1
            }
        }
        let parts = lines[0].split(separator: 32, omittingEmptySubsequences: false).map {
            Array($0)
        }
        guard parts.count == 3, !parts[0].isEmpty, parts[0].allSatisfy(tokens.contains),
            isTarget(parts[1]) || parts[1] == [42] && parts[0] == Array("OPTIONS".utf8)
        else {
            return false
        }
        let version = String(decoding: parts[2], as: UTF8.self)
        guard version == "HTTP/1.1" || version == "HTTP/1.0" else { return false }

        var values: [String: [String]] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: 58), colon > 0,
                line[..<colon].allSatisfy(tokens.contains)
            else { return false }
            guard line[colon...].allSatisfy({ $0 == 9 || $0 >= 32 && $0 != 127 }) else {
                return false
            }
            var value = line[(colon + 1)...]
            while let first = value.first, first == 32 || first == 9 { value.removeFirst() }
            while let last = value.last, last == 32 || last == 9 { value.removeLast() }
            values[String(decoding: line[..<colon], as: UTF8.self).lowercased(), default: []]
                .append(String(decoding: value, as: UTF8.self))
        }
        let hosts = values["host"] ?? []
        guard hosts.count == 1 || hosts.isEmpty && version == "HTTP/1.0",
            hosts.allSatisfy({ isAuthority(Array($0.utf8)) })
        else {
            return false
        }
        let lengths = values["content-length"] ?? []
        let codings = values["transfer-encoding"] ?? []
        guard lengths.count + codings.count <= 1 else { return false }
        guard lengths.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy { (48...57).contains($0) } })
        else { return false }
        guard codings.allSatisfy({ $0.lowercased() == "chunked" }),
            codings.isEmpty || version == "HTTP/1.1"
        else { return false }
        return true
    }

    static func isTarget(_ target: [UInt8]) -> Bool {
        var rest = target[...]
        let text = String(decoding: target, as: UTF8.self).lowercased()
        for scheme in ["http://", "https://"] where text.hasPrefix(scheme) && target.first != 47 {
            rest = target.dropFirst(scheme.utf8.count)
            let authority = rest.prefix { $0 != 47 && $0 != 63 }
            guard isAuthority(Array(authority)) else { return false }
            rest = rest.dropFirst(authority.count)
            if rest.first != 47 { rest = [47] + rest }
        }
        guard rest.first == 47 else { return false }
        let path = rest.prefix { $0 != 63 }
        let query = rest.dropFirst(path.count + 1)
        return path.allSatisfy(self.path.contains) && query.allSatisfy(self.query.contains)
            && hasValidEscapes(target)
    }

    static func isAuthority(_ text: [UInt8]) -> Bool {
        var rest = text[...]
        if rest.first == 91 {
            guard let end = rest.firstIndex(of: 93), end > 2,
                rest[1..<end].allSatisfy("0123456789abcdefABCDEF:.".utf8.contains)
            else {
                return false
            }
            rest = rest[(end + 1)...]
        } else {
            let name = rest.prefix { $0 != 58 }
            guard !name.isEmpty, name.allSatisfy(host.contains), hasValidEscapes(Array(name)) else {
                return false
            }
            rest = rest.dropFirst(name.count)
        }
        guard let colon = rest.first else { return true }
        let port = rest.dropFirst()
        return colon == 58 && port.allSatisfy { (48...57).contains($0) }
            && (port.isEmpty || (Int(String(decoding: port, as: UTF8.self)) ?? 99_999) <= 65_535)
    }

    static func hasValidEscapes(_ text: [UInt8]) -> Bool {
        text.indices.allSatisfy { index in
            text[index] != 37
                || index + 2 < text.count
                    && text[index + 1...index + 2].allSatisfy(
                        "0123456789abcdefABCDEF".utf8.contains)
        }
    }
}

@Suite("HTTP heads against a reference parser")
struct HTTPOracleTests {
    static let seeds: [String] = [
        """
        GET /chat?token=abc%20d&after=12 HTTP/1.1\r\nHost: example.org:8080\r\n\
        Upgrade: websocket\r\nConnection: Upgrade\r\nX: a\tb\r\n\r\n
        """,
        "POST /x HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 12\r\n\r\n",
        "PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        "GET http://a.b/c?d HTTP/1.1\r\nHost: e\r\n\r\n", "OPTIONS * HTTP/1.0\r\n\r\n",
        "\r\nHEAD / HTTP/1.0\r\nContent-Length: 0\r\n\r\n",
    ]

    @Test("give the same result for every mutation", arguments: [1, 2, 3, 4] as [UInt64])
    func mutations(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let characters =
            Array("\r\n :\t/?#%@[]*,;=\"\\aZ09.+-_é\u{0}\u{7F}\u{1}{}|<>()".utf8) + [0x80, 0xFF]
        let pieces = [
            "\r\n", "\r\n ", "\n", "\r", "Host: a\r\n", "Content-Length: 5\r\n",
            "Transfer-Encoding: chunked\r\n", " HTTP/1.1", "http://",
            "%41", ": ", ":80",
        ].map { Array($0.utf8) }
        var acceptedCount = 0
        for _ in 0..<5000 {
            var bytes = Array(Self.seeds[random.next(below: Self.seeds.count)].utf8)
            for _ in 0..<random.next(below: 4) {
                let index = random.next(below: bytes.count)
                switch random.next(below: 5) {
                case 0: bytes[index] = characters[random.next(below: characters.count)]
                case 1: bytes.insert(characters[random.next(below: characters.count)], at: index)
                case 2: bytes.remove(at: index)
                case 3:
                    bytes.insert(contentsOf: pieces[random.next(below: pieces.count)], at: index)
                default:
                    let end = min(bytes.count, index + random.next(below: 20))
                    bytes.insert(
                        contentsOf: bytes[index..<end], at: random.next(below: bytes.count))
                }
            }
            var parser = HTTPRequestParser()
            var head = HTTPRequestHead()
            guard (try? parser.parse(bytes.span.bytes, into: &head, limits: HTTPLimits())) == true
            else {
                // The oracle also accepts lengths out of our range and other expectations. The
                // mutations do not contain them.
                #expect(!ReferenceHead.accepts(bytes), "\(String(decoding: bytes, as: UTF8.self))")
                continue
            }
            acceptedCount += 1
            #expect(
                ReferenceHead.accepts(Array(bytes[..<head.byteCount])),
                "\(String(decoding: bytes, as: UTF8.self))")
        }
        #expect(acceptedCount > 500)
    }
}
