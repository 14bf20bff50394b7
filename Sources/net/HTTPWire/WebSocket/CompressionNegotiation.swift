/// The negotiation of permessage-deflate (RFC 7692 sections 5 and 7.1).
///
/// One deflater and one inflater serve all connections of a loop, so both directions negotiate
/// `no_context_takeover`: no message refers to the previous one. A client may demand a smaller
/// window than the full 15 bits. The server then sends it uncompressed messages, which section 6
/// allows, and still inflates the client's messages.
enum CompressionNegotiation {
    /// The offer that our client sends.
    static let clientOffer =
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

    /// The agreed parameters: the value of the response field, and whether the server may compress
    /// with the full window.
    struct AgreedCompression: Equatable {
        var field: String
        var hasFullWindow = true
    }

    /// Returns the response to the first acceptable offer. An offer with the full window takes
    /// precedence. Nil if no offer is acceptable or the field is malformed.
    ///
    /// - Parameter field: the value of `Sec-WebSocket-Extensions`. Several fields are joined by
    ///   commas.
    static func answer(to field: String) -> AgreedCompression? {
        guard let offers = ExtensionList(field) else { return nil }
        let agreements = offers.items.filter { $0.name == "permessage-deflate" }.compactMap {
            self.answer(to: $0.parameters)
        }
        return agreements.first { $0.hasFullWindow } ?? agreements.first
    }

    private static func answer(to parameters: [ExtensionList.Parameter]) -> AgreedCompression? {
        var answer = AgreedCompression(field: self.clientOffer)
        var seen: Set<String> = []
        for parameter in parameters {
            guard seen.insert(parameter.name).inserted else { return nil }
            switch parameter.name {
            case "server_no_context_takeover", "client_no_context_takeover":
                guard parameter.value == nil else { return nil }
            case "server_max_window_bits":
                guard let bits = parameter.value.flatMap(self.windowBits) else { return nil }
                answer.field += "; server_max_window_bits=\(bits)"
                answer.hasFullWindow = bits == 15
            case "client_max_window_bits":
                // This only states what the client supports. The server need not use it.
                guard parameter.value == nil || parameter.value.flatMap(self.windowBits) != nil
                else { return nil }
            default:
                return nil
            }
        }
        return answer
    }

    /// Whether our client can accept the server's response to `clientOffer`.
    static func isAcceptable(_ field: String) -> Bool {
        guard let answers = ExtensionList(field), answers.items.count == 1,
            answers.items[0].name == "permessage-deflate"
        else {
            return false
        }
        var seen: Set<String> = []
        for parameter in answers.items[0].parameters {
            guard seen.insert(parameter.name).inserted else { return false }
            switch parameter.name {
            case "server_no_context_takeover", "client_no_context_takeover":
                guard parameter.value == nil else { return false }
            case "server_max_window_bits":
                guard parameter.value.flatMap(self.windowBits) != nil else { return false }
            default:
                return false
            }
        }
        // Our client requested this parameter. Without it, a message could refer to previous ones.
        return seen.contains("server_no_context_takeover")
    }

    /// Parses a number from 8 to 15 without leading zeros (section 7.1.2).
    private static func windowBits(_ text: String) -> Int? {
        guard text.utf8.allSatisfy({ isDigit($0) }), let bits = Int(text), (8...15).contains(bits),
            String(bits) == text
        else { return nil }
        return bits
    }
}

/// The list in a `Sec-WebSocket-Extensions` field (RFC 6455 section 9.1).
struct ExtensionList {
    struct Parameter: Equatable {
        let name: String
        let value: String?
    }

    struct Item: Equatable {
        let name: String
        let parameters: [Parameter]
    }

    private(set) var items: [Item] = []

    /// Returns nil if the field is malformed.
    init?(_ field: String) {
        var scanner = ExtensionScanner(remaining: Array(field.utf8)[...])
        repeat {
            guard let name = scanner.token() else { return nil }
            var parameters: [Parameter] = []
            while scanner.consume(";") {
                guard let name = scanner.token() else { return nil }
                var value: String?
                if scanner.consume("=") {
                    value = scanner.value()
                    guard value != nil else { return nil }
                }
                parameters.append(Parameter(name: name, value: value))
            }
            self.items.append(Item(name: name, parameters: parameters))
        } while scanner.consume(",")
        guard scanner.remaining.isEmpty else { return nil }
    }

    private struct ExtensionScanner {
        var remaining: ArraySlice<UInt8>

        private mutating func skipBlanks() {
            self.remaining = self.remaining.drop(while: isBlank)
        }

        /// Consumes the character if it is next, ignoring blanks before it.
        mutating func consume(_ character: Unicode.Scalar) -> Bool {
            self.skipBlanks()
            guard self.remaining.first == UInt8(ascii: character) else { return false }
            self.remaining.removeFirst()
            return true
        }

        mutating func token() -> String? {
            self.skipBlanks()
            let token = self.remaining.prefix { ByteSet.token.contains($0) }
            self.remaining = self.remaining.dropFirst(token.count)
            self.skipBlanks()
            return token.isEmpty ? nil : String(decoding: token, as: UTF8.self)
        }

        /// Parses a token, which may be in quotes.
        mutating func value() -> String? {
            guard self.consume("\"") else { return self.token() }
            let quoted = self.remaining.prefix { $0 != UInt8(ascii: "\"") }
            self.remaining = self.remaining.dropFirst(quoted.count)
            guard self.consume("\""), !quoted.isEmpty,
                quoted.allSatisfy({ ByteSet.token.contains($0) })
            else { return nil }
            self.skipBlanks()
            return String(decoding: quoted, as: UTF8.self)
        }
    }
}
