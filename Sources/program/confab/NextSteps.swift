import Configuration
import Identity

/// The next steps with a node that is ready: the lines that `confab serve` prints on a terminal.
///
/// Every command can be copied: it names the program and the files as this process was started, so
/// it works in the same folder.
struct NextSteps {
    let options: ServeOptions
    /// The program, as in `argv[0]`.
    let program: String
    /// The port of clients, also where the option names port 0.
    let port: UInt16
    /// The operators' port; nil without an admin listener.
    let adminPort: UInt16?

    private static let conversation = "lobby"

    var lines: [String] {
        // Without a token the page only explains that it needs one.
        let path = self.options.anonymous ? "" : "conversation/\(Self.conversation)#token=TOKEN"
        var steps = [
            (name: "Token", text: self.tokenCommand ?? self.foreignToken),
            (name: "Chat", text: "open \(self.pages)/\(path) in a browser"),
        ]
        if self.options.anonymous { steps.reverse() }
        if let operatorsPage { steps.append(("Operators", operatorsPage)) }
        steps.append(("Stop", "Ctrl-C closes the clients and ends; a second one ends at once"))
        let width = steps.map(\.name.count).max() ?? 0
        let rows = steps.map { step in
            "  \(step.name)\(String(repeating: " ", count: width - step.name.count))  \(step.text)"
        }
        return [""] + rows + [""]
    }

    /// The base of the pages' addresses, for a browser on this machine.
    private var pages: String {
        if let url = self.options.publicURL { return url.description }
        let scheme = self.options.tlsCertificateFile == nil ? "http" : "https"
        return "\(scheme)://\(Self.local(self.options.listen, port: self.port))"
    }

    /// Nil if other programs sign the tokens.
    private var tokenCommand: String? {
        guard let secret = NodeKeys(self.options).files.secret?.path else { return nil }
        var words = [self.program, "token", "--sub", "alice", "--conversations", Self.conversation]
        if self.options.jwtSecretFile == nil, let path = self.options.store.path {
            words += ["--database", path]
        } else {
            words += ["--secret-file", secret]
        }
        if let audience = self.options.jwtAudience { words += ["--audience", audience] }
        if let issuer = self.options.jwtIssuer { words += ["--issuer", issuer] }
        return words.map(\.shellWord).joined(separator: " ")
    }

    private var foreignToken: String {
        let files = [self.options.jwksFile].compactMap { $0 } + self.options.jwtPublicKeyFiles
        return "signed with the private key of \(files.joined(separator: ", "))"
    }

    private var operatorsPage: String? {
        guard let admin = self.options.admin, let port = self.adminPort else { return nil }
        let file = self.options.adminTokenFile ?? NodeKeys(self.options).createdAdminTokenPath
        let key = file.map { ", with a token of \($0)" } ?? ""
        return "open http://\(Self.local(admin, port: port))/ in a browser\(key)"
    }

    /// The listener's address for clients of this machine: a wildcard is no address to open.
    private static func local(_ listener: ListenAddress, port: UInt16) -> String {
        let isWildcard = ["0.0.0.0", "::"].contains(listener.host)
        return ListenAddress(host: isWildcard ? "localhost" : listener.host, port: port)
            .description
    }
}
