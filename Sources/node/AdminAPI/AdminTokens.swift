internal import COpenSSL
internal import Configuration

/// The operator that sent a request to the admin listener.
struct AdminCaller: Sendable, Equatable {
    /// The token's name or, where no token is required, the client's address.
    let name: String
    let role: OperatorRole
}

/// The bearer tokens of the admin API.
///
/// A file has either a single line with a token, which is named `admin` and may do everything, or
/// one line `NAME ROLE TOKEN` for each token. Empty lines and lines that begin with `#` are
/// skipped.
public struct AdminTokens: Sendable {
    /// Says what is wrong with a file.
    public struct FileError: Error, Equatable, CustomStringConvertible {
        public let description: String
    }

    private struct Token: Sendable {
        let name: String
        let role: OperatorRole
        let secret: [UInt8]
    }

    /// A shorter token can be guessed; it is a warning.
    public static let secretByteMinimum = 16
    private static let byteLimit = 4096
    private static let roles = OperatorRole.allCases.map(\.rawValue).joined(separator: "|")
    private var tokens: [Token] = []

    /// - Throws: a sentence that names the line.
    public init(parsing text: [UInt8]) throws(FileError) {
        let lines = text.split(separator: UInt8(ascii: "\n")).map { line in
            line.last == UInt8(ascii: "\r") ? line.dropLast() : line
        }.filter { !$0.isEmpty && $0.first != UInt8(ascii: "#") }
        for (index, line) in lines.enumerated() {
            let words = line.split(separator: UInt8(ascii: " "))
            if words.count == 3 {
                try self.addNamed(words, line: index + 1)
            } else if lines.count == 1, words.count == 1 {
                self.tokens.append(
                    Token(name: "admin", role: .operate, secret: Array(line)))
            } else {
                throw FileError(
                    description: "line \(index + 1) is not NAME \(Self.roles) TOKEN")
            }
        }
        guard !self.tokens.isEmpty else {
            throw FileError(description: "is empty: it must contain a token")
        }
    }

    private mutating func addNamed(_ words: [ArraySlice<UInt8>], line: Int) throws(FileError) {
        let name = String(decoding: words[0], as: UTF8.self)
        guard let role = OperatorRole(rawValue: String(decoding: words[1], as: UTF8.self)) else {
            throw FileError(description: "line \(line): the second word is not \(Self.roles)")
        }
        guard words[2].count <= Self.byteLimit,
            words[2].allSatisfy({ (0x21...0x7E).contains($0) })
        else { throw FileError(description: "line \(line): the token is not plain ASCII") }
        guard !self.tokens.contains(where: { $0.name == name }) else {
            throw FileError(description: "line \(line): the name \(name) is given twice")
        }
        self.tokens.append(Token(name: name, role: role, secret: Array(words[2])))
    }

    /// The names of the tokens that are short enough to be guessed.
    public var weakNames: [String] {
        self.tokens.filter { $0.secret.count < Self.secretByteMinimum }.map(\.name)
    }

    /// Finds the owner of a token in constant time, so that the response time reveals nothing
    /// about the tokens.
    ///
    /// - Parameter authorization: the `Authorization` field.
    func caller(_ authorization: String?) -> AdminCaller? {
        let scheme = "bearer "
        guard let authorization, authorization.lowercased().hasPrefix(scheme) else { return nil }
        let given = Array(authorization.utf8.dropFirst(scheme.utf8.count))
        var found: AdminCaller?
        for token in self.tokens
        where given.count == token.secret.count
            && CRYPTO_memcmp(given, token.secret, given.count) == 0
        {
            found = AdminCaller(name: token.name, role: token.role)
        }
        return found
    }
}
