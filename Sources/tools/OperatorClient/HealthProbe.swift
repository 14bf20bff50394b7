import Bytes
import Configuration
import EventLoop
import Glibc
import JSON
import TLS

/// Asks a node's client listener for its health. It blocks until the answer, at most two seconds.
struct HealthProbe {
    /// The listener's URL, split into its parts.
    struct HealthURL: Equatable {
        let isSecure: Bool
        let host: String
        let port: String
        /// The path in front of `/api/health`; empty for a node without a proxy.
        let prefix: String
    }

    struct ProbeFailure: Error {
        let reason: String
    }

    private static let timeout = Duration.seconds(2)
    private static let responseLimit = 1 << 16

    let target: HealthURL
    let path: String
    /// Nil for `http`.
    private let tls: TLSContext?

    /// - Parameter authorities: a PEM file with the trusted authorities for `https`; nil for the
    ///   system's.
    /// - Throws: a sentence about the URL or the file.
    init(_ url: String, isLive: Bool, trusting authorities: String?) throws(ProbeFailure) {
        guard let target = HealthURL(url) else {
            throw ProbeFailure(
                reason: "URL: \"\(url)\" is not a URL such as http://127.0.0.1:8080")
        }
        guard target.isSecure || authorities == nil else {
            throw ProbeFailure(reason: "--ca: only https uses certificates")
        }
        self.target = target
        self.path = target.prefix + (isLive ? "/api/live" : "/api/health")
        do throws(TLSError) {
            self.tls =
                target.isSecure
                ? try TLSContext(clientTrusting: authorities, offersHTTP: true) : nil
        } catch {
            throw ProbeFailure(reason: "--ca: \(error)")
        }
    }

    /// - Returns: the status code and the body's JSON document.
    /// - Throws: a sentence if the node does not answer, or if its answer has another form.
    func send() throws(ProbeFailure) -> (status: Int, document: JSONTree) {
        let deadline = ContinuousClock.now + Self.timeout
        let descriptor: Int32
        do throws(AdminConnection.ConnectFailure) {
            descriptor = try AdminConnection.open(
                self.target.host, self.target.port, milliseconds: 2000)
        } catch {
            throw ProbeFailure(reason: error.reason)
        }
        defer { close(descriptor) }
        // OpenSSL writes to the socket itself.
        ProcessSetup.ignoreBrokenPipes()
        let socket = Socket(descriptor: descriptor)
        var transport: OutgoingTransport
        do throws(TLSError) {
            transport =
                try self.tls.map { context throws(TLSError) in
                    try OutgoingTransport(socket, to: self.target.host, context)
                } ?? OutgoingTransport(socket)
            while try !transport.handshake() {
                guard Self.wait(for: transport, POLLIN, until: deadline) else {
                    throw TLSError.handshakeFailed(reason: Self.timeoutReason)
                }
            }
        } catch {
            throw ProbeFailure(reason: error.description)
        }
        try Self.write(self.request, to: &transport, until: deadline)
        return try Self.parse(try Self.readAll(&transport, until: deadline))
    }

    private var request: [UInt8] {
        let host = HostPort.bracketed(self.target.host)
        return Array(
            """
            GET \(self.path) HTTP/1.1\r
            Host: \(host):\(self.target.port)\r
            Connection: close\r
            \r\n
            """.utf8)
    }

    // MARK: The transport

    private static let timeoutReason = "no answer within 2 seconds"

    private static func wait(
        for transport: OutgoingTransport, _ event: Int32, until deadline: ContinuousClock.Instant
    ) -> Bool {
        let left = (deadline - .now) / .milliseconds(1)
        guard left > 0 else { return false }
        let events = transport.wantsWrite ? event | POLLOUT : event
        var watched = pollfd(fd: transport.socket.descriptor, events: Int16(events), revents: 0)
        return poll(&watched, 1, Int32(left.rounded(.up))) >= 0 && ContinuousClock.now < deadline
    }

    private static func write(
        _ bytes: [UInt8], to transport: inout OutgoingTransport,
        until deadline: ContinuousClock.Instant
    ) throws(ProbeFailure) {
        var sent = 0
        while sent < bytes.count {
            let result = bytes.withUnsafeBytes {
                transport.write(UnsafeRawBufferPointer(rebasing: $0[sent...]))
            }
            switch result {
            case .bytes(let count): sent += count
            case .wouldBlock:
                guard self.wait(for: transport, POLLOUT, until: deadline) else {
                    throw ProbeFailure(reason: self.timeoutReason)
                }
            case .endOfStream: throw ProbeFailure(reason: "the server closed the connection")
            case .failed(let failure): throw ProbeFailure(reason: self.reason(failure))
            }
        }
    }

    private static func readAll(
        _ transport: inout OutgoingTransport, until deadline: ContinuousClock.Instant
    ) throws(ProbeFailure) -> [UInt8] {
        var response: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 12)
        while true {
            switch chunk.withUnsafeMutableBytes({ transport.read(into: $0) }) {
            case .bytes(let count):
                response += chunk[..<count]
                guard response.count <= self.responseLimit else {
                    throw ProbeFailure(reason: "the response is not from a node")
                }
            case .wouldBlock:
                guard self.wait(for: transport, POLLIN, until: deadline) else {
                    throw ProbeFailure(reason: self.timeoutReason)
                }
            case .endOfStream: return response
            case .failed(let failure): throw ProbeFailure(reason: self.reason(failure))
            }
        }
    }

    private static func reason(_ failure: OutgoingTransport.TransportFailure) -> String {
        switch failure {
        case .broken(let reason): reason
        case .tls(let error): error.description
        }
    }

    private static func parse(_ response: [UInt8]) throws(ProbeFailure)
        -> (status: Int, document: JSONTree)
    {
        guard let (status, body) = AdminConnection.split(response),
            let document = try? JSONTree(parsing: body.span.bytes),
            document["status"]?.stringValue != nil
        else { throw ProbeFailure(reason: "the response is not from a node") }
        return (status, document)
    }
}

extension HealthProbe.HealthURL {
    /// Nil if the text is not an `http` or `https` URL without a user, query or fragment.
    init?(_ url: String) {
        let isPlain = url.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value < 0x7F }
        let scheme = url.prefix { $0 != ":" }.lowercased()
        guard isPlain, ["http", "https"].contains(scheme),
            url.dropFirst(scheme.count).hasPrefix("://"),
            !url.contains(where: { "?#@".contains($0) })
        else { return nil }
        let rest = url.dropFirst(scheme.count + 3)
        guard let parts = HostPort(rest.prefix { $0 != "/" }), !parts.host.isEmpty,
            !parts.isAmbiguous, parts.suffix.isEmpty || parts.port != nil
        else { return nil }
        self.isSecure = scheme == "https"
        self.host = String(parts.host)
        self.port = parts.portText.map(String.init) ?? (scheme == "https" ? "443" : "80")
        var path = rest.drop { $0 != "/" }
        while path.last == "/" { path.removeLast() }
        self.prefix = String(path)
    }
}

/// `confab health`.
extension OperatorCommand {
    func health() -> Int32 {
        let url = self.options["url"]?.stringValue ?? "http://127.0.0.1:8080"
        let isLive = self.options["live"]?.boolValue == true
        let probe: HealthProbe
        do throws(HealthProbe.ProbeFailure) {
            probe = try HealthProbe(
                url, isLive: isLive, trusting: self.options["ca"]?.stringValue)
        } catch {
            self.screen.printError("confab: health: \(error.reason)")
            return UsageError.exitStatus
        }
        do throws(HealthProbe.ProbeFailure) {
            let (status, document) = try probe.send()
            let isHealthy = status == 200
            self.show(document, isHealthy: isHealthy)
            return isHealthy ? 0 : 1
        } catch {
            self.screen.printError("confab: \(url): \(error.reason)")
            return 3
        }
    }

    private func show(_ document: JSONTree, isHealthy: Bool) {
        func word(_ key: String) -> String {
            Formatting.escaped(document[key]?.stringValue ?? "?")
        }
        switch self.options.output {
        case .json:
            self.screen.write(
                JSONTree.object(
                    [.init("schema_version", 1), .init("healthy", .bool(isHealthy))]
                        + (document.members ?? [])
                ).text + "\n")
        case .table, .csv:
            let reason = document["reason"]?.stringValue.map { ": \(Formatting.escaped($0))" } ?? ""
            let uptime = document["uptime_seconds"]?.integerValue.map {
                ", up \(Formatting.time($0))"
            }
            self.screen.write(
                """
                \(word("status"))\(reason) (node \(word("node")), version \
                \(word("version"))\(uptime ?? ""))\n
                """)
        }
    }
}
