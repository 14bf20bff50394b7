internal import Bytes
internal import ChatModel
internal import Configuration
internal import Gateway
internal import HTTPWire
internal import JSON

/// A request of an operator, with checked values: the parameters of the verb's row.
struct AdminRequest: Sendable {
    let verb: OperatorVerb
    /// Defaults included.
    let values: [JSONTree.ObjectMember]
    /// Whether the request only asks what a change would do.
    let isDryRun: Bool
    /// The operator: the name of the admin token or, without one, the client's address.
    let operatorName: String
    /// The caller's role.
    let role: OperatorRole

    /// - Throws: 400 for a parameter that is unknown, missing or invalid; the error names it.
    init(
        _ verb: OperatorVerb, _ given: [JSONTree.ObjectMember], isQuery: Bool,
        operatorName: String, role: OperatorRole = .view
    ) throws(HTTPError) {
        self.verb = verb
        self.operatorName = operatorName
        self.role = role
        var isDryRun = false
        var values: [JSONTree.ObjectMember] = []
        for member in given {
            if member.name == "dry_run", verb.isChange {
                guard let flag = member.value.boolValue else {
                    throw .badRequest("\"dry_run\": must be true or false.")
                }
                isDryRun = flag
                continue
            }
            let parameters = verb.parameters.filter(\.isInAPI)
            guard let parameter = parameters.first(where: { $0.name == member.name }) else {
                let names = parameters.map(\.name)
                throw .badRequest(
                    """
                    "\(member.name)" is not a parameter of \(verb.name): \
                    \(names.isEmpty ? "it has none" : names.joined(separator: ", ")).
                    """
                )
            }
            do throws(OperatorParameterError) {
                let value = try parameter.value(of: member.value, isQuery: isQuery)
                values.removeAll { $0.name == member.name }
                values.append(.init(member.name, value))
            } catch {
                throw .badRequest("\(error).")
            }
        }
        for parameter in verb.parameters
        where parameter.isInAPI && !values.contains(where: { $0.name == parameter.name }) {
            if let value = parameter.defaultValue {
                values.append(.init(parameter.name, value))
            } else if parameter.isRequiredInAPI {
                throw .badRequest("\"\(parameter.name)\" is missing.")
            }
        }
        self.values = values
        self.isDryRun = isDryRun
    }

    /// The value of a parameter; nil if there is none.
    subscript(name: String) -> JSONTree? { self.values.first { $0.name == name }?.value }

    func text(_ name: String) -> String? { self[name]?.stringValue }
    func number(_ name: String) -> Int? { self[name]?.integerValue }
    func seconds(_ name: String) -> Double? { self[name]?.doubleValue }
    func flag(_ name: String) -> Bool { self[name]?.boolValue ?? false }

    /// The parameters of an order to another node, which also names the operator.
    var orderArguments: [JSONTree.ObjectMember] {
        self.values + [.init("operator", .string(self.operatorName))]
    }

    /// The conversation that `conversation` and `tenant` name.
    var conversation: ConversationKey {
        ConversationKey(
            tenant: ByteString(self.text("tenant") ?? "default"),
            id: ByteString(self.text("conversation") ?? ""))
    }
}

/// Answers the requests of one verb with its document.
typealias AdminHandler = @Sendable (AdminRequest) async throws(HTTPError) -> JSONTree

/// The paths under `/api/cluster/`: a group of verbs has a handler for each row of `OperatorVerb`
/// that has a path.
enum AdminRouter {
    static let prefix = "/api/cluster/"

    static let verbsByPath = Dictionary(
        uniqueKeysWithValues: (OperatorVerb.all + OperatorVerb.pageVerbs).compactMap { verb in
            verb.path.map { ($0, verb) }
        })

    /// Checks a request, and returns the work that answers it.
    ///
    /// - Throws: 404 for an unknown path, 405 for a wrong method, 403 without the role, 415
    ///   and 400 for an invalid body or parameter.
    static func work(
        for request: HTTPRequest, body: [UInt8], by caller: AdminCaller, _ admin: ClusterAdmin
    ) throws(HTTPError) -> AsyncResponse {
        let path = String(request.path.dropFirst(Self.prefix.count))
        guard let verb = self.verbsByPath[path], let handler = admin.handlers[path] else {
            throw .notFound
        }
        let isChange = verb.isChange
        if isChange {
            guard request.method == .post else { throw .methodNotAllowed("POST") }
        } else {
            guard request.method == .get || request.method == .head else {
                throw .methodNotAllowed("GET", "HEAD")
            }
        }
        guard caller.role >= verb.role else {
            throw HTTPError(
                .forbidden,
                """
                The token \(caller.name) has the role \(caller.role.rawValue); \(verb.name) needs \
                \(verb.role.rawValue).
                """)
        }
        let given =
            isChange
            ? try self.members(of: body, request)
            : try QueryParameters(request.query).all.map { .init($0.key, .string($0.value)) }
        let checked = try AdminRequest(
            verb, given, isQuery: !isChange, operatorName: caller.name,
            role: caller.role)
        return { () async throws(HTTPError) in
            let document = try await handler(checked)
            if verb.role == .read { admin.readings.record(checked) }
            return self.response(self.completed(document, verb))
        }
    }

    private static func members(of body: [UInt8], _ request: HTTPRequest) throws(HTTPError)
        -> [JSONTree.ObjectMember]
    {
        // Also rejects forms of other sites, because a form cannot send this content type.
        guard request.contentType?.lowercased().hasPrefix("application/json") == true else {
            throw .unsupportedMediaType(expected: "application/json")
        }
        guard let tree = try? JSONTree(parsing: body.span.bytes), let members = tree.members else {
            throw .badRequest("The body must be a JSON object.")
        }
        return members
    }

    /// Gives the rows a null for every column that they lack, so that no key is ever omitted.
    static func completed(_ document: JSONTree, _ verb: OperatorVerb) -> JSONTree {
        func complete(_ row: JSONTree) -> JSONTree {
            let missing = verb.columns.filter { row[$0.key] == nil }
            return .object((row.members ?? []) + missing.map { .init($0.key, .null) })
        }
        switch verb.display {
        case .record(_, _, let sections):
            let missing = sections.filter { document[$0.key] == nil }
            return complete(
                .object((document.members ?? []) + missing.map { .init($0.key, .null) }))
        case .table(let key, _, _, _):
            return .object(
                (document.members ?? []).map {
                    $0.name == key
                        ? .init(key, .array(($0.value.elements ?? []).map(complete))) : $0
                })
        case .summary, .custom: return document
        }
    }

    private static func response(_ document: JSONTree) -> HTTPResponse {
        var text = ByteBuffer()
        text.append(json: document)
        return HTTPResponse(fields: [HTTPField("Cache-Control", "no-store")], body: text.bytes)
    }
}
