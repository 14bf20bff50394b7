import Bytes
import Configuration
import HTTPClient
import HTTPWire
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
        let client = BlockingHTTPClient(
            to: self.target.host, port: self.target.port, tls: self.tls)
        let request =
            "GET \(self.path) HTTP/1.1\r\nHost: \(client.hostField)\r\nConnection: close\r\n\r\n"
        let response: HTTPClientResponse
        do throws(BlockingHTTPClient.RequestFailure) {
            response = try client.send(
                Array(request.utf8), reading: HTTPResponseReader(byteLimit: Self.responseLimit),
                connectLimit: Self.timeout, waitLimit: .total(Self.timeout))
        } catch {
            throw ProbeFailure(reason: Self.reason(error))
        }
        guard let document = try? JSONTree(parsing: response.body.span.bytes),
            document["status"]?.stringValue != nil
        else { throw ProbeFailure(reason: Self.foreignReason) }
        return (response.status, document)
    }

    private static let foreignReason = "the response is not from a node"

    private static func reason(_ failure: BlockingHTTPClient.RequestFailure) -> String {
        let timeout = "no answer within 2 seconds"
        return switch failure {
        case .broken(let reason): reason
        case .tls(let error): error.description
        case .timeout(isHandshake: true):
            TLSError.handshakeFailed(reason: timeout).description
        case .timeout(isHandshake: false): timeout
        case .answer: Self.foreignReason
        }
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
