public import JSON

/// The OpenAPI 3.1 document of the admin API, from the rows of `OperatorVerb`.
public enum AdminAPIDocument {
    /// The document of all verbs that have a path.
    public static func document(version: String) -> JSONTree {
        let verbs = OperatorVerb.all.filter { $0.path != nil }
        return [
            "openapi": "3.1.0",
            "info": [
                "title": "Confab: the admin API", "version": .string(version),
                "description": .string(Self.description),
                "license": ["name": "Apache License 2.0", "identifier": "Apache-2.0"],
            ],
            "servers": [["url": "http://127.0.0.1:8090"]],
            "security": [[:], ["bearer": []]],
            "paths": .object(
                verbs.map { .init("/api/cluster/\($0.path ?? "")", Self.item($0)) }),
            "components": [
                "securitySchemes": [
                    "bearer": [
                        "type": "http", "scheme": "bearer",
                        "description": "A token of `--admin-token-file`.",
                    ]
                ],
                "schemas": [
                    "Error": [
                        "type": "object", "required": ["error"],
                        "properties": [
                            "error": [
                                "type": "string",
                                "description": "A sentence that names what is wrong.",
                            ]
                        ],
                    ]
                ],
                "responses": .object(
                    Self.errors.map { .init("E\($0.status)", Self.errorResponse($0.meaning)) }),
            ],
        ]
    }

    private static let description = """
        The API of the admin listener, which the verbs of the command line use. A verb that only \
        reads is a GET request with a query; a verb that changes something is a POST request with \
        a JSON body, which answers with a sentence in `summary`, and with `dry_run` says what it \
        would do. Every document has `schema_version`. Keys are stable, and other keys may be \
        added. A value that is unknown is null. `nodes_asked` and `nodes_answered` tell whether \
        every node has answered. On loopback the `Host` must name this machine, and pages of \
        other origins are rejected with 403.
        """

    private static let errors: [(status: Int, meaning: String)] = [
        (400, "A parameter is unknown, missing or invalid; the error names it."),
        (401, "The bearer token is missing or wrong."),
        (403, "The token's role is too low, or the Host or Origin is not allowed."),
        (404, "The node, conversation or user does not exist."),
        (409, "The request does not fit the cluster's state."),
        (415, "The body is not application/json."),
        (503, "Redis, the store or the node does not answer."),
    ]

    private static func errorResponse(_ meaning: String) -> JSONTree {
        [
            "description": .string(meaning),
            "content": [
                "application/json": ["schema": ["$ref": "#/components/schemas/Error"]]
            ],
        ]
    }

    private static func item(_ verb: OperatorVerb) -> JSONTree {
        let isChange = verb.isChange
        var operation: [JSONTree.ObjectMember] = [
            .init("operationId", .string(verb.name)), .init("summary", .string(verb.summary)),
        ]
        let notes = verb.notes + ["The token needs the role `\(verb.role.rawValue)`."]
        operation.append(.init("description", .string(notes.joined(separator: "\n\n"))))
        if isChange {
            operation.append(.init("requestBody", Self.body(of: verb)))
        } else if verb.parameters.contains(where: \.isInAPI) {
            operation.append(
                .init("parameters", .array(verb.parameters.filter(\.isInAPI).map(Self.query))))
        }
        let answer: JSONTree = [
            "description": "The document.",
            "content": ["application/json": ["schema": verb.documentSchema]],
        ]
        operation.append(
            .init(
                "responses",
                .object(
                    [.init("200", answer)]
                        + Self.errors.map {
                            .init(
                                String($0.status),
                                ["$ref": .string("#/components/responses/E\($0.status)")])
                        })))
        return .object([.init(isChange ? "post" : "get", .object(operation))])
    }

    private static func query(_ parameter: OperatorParameter) -> JSONTree {
        [
            "name": .string(parameter.name), "in": "query",
            "required": .bool(parameter.isRequiredInAPI), "description": .string(parameter.help),
            "schema": parameter.schema,
        ]
    }

    private static func body(of verb: OperatorVerb) -> JSONTree {
        let dryRun = JSONTree.ObjectMember(
            "dry_run",
            ["type": "boolean", "description": "Only say what the request would do."])
        let properties = verb.parameters.filter(\.isInAPI).map { parameter in
            JSONTree.ObjectMember(
                parameter.name,
                .object(
                    (parameter.schema.members ?? [])
                        + [.init("description", .string(parameter.help))]))
        }
        return [
            "required": true,
            "content": [
                "application/json": [
                    "schema": [
                        "type": "object",
                        "required": .array(
                            verb.parameters.filter(\.isRequiredInAPI).map { .string($0.name) }),
                        "properties": .object(properties + [dryRun]),
                        "additionalProperties": false,
                    ]
                ]
            ],
        ]
    }
}

extension OperatorParameter {
    /// The JSON Schema of a value.
    var schema: JSONTree {
        var members: [JSONTree.ObjectMember]
        switch self.kind {
        case .text(let limit):
            members = [
                .init("type", "string"), .init("minLength", 1), .init("maxLength", .integer(limit)),
                .init("pattern", "^[^\\u0000-\\u001f\\u007f]*$"),
            ]
        case .user:
            members = [
                .init("type", "string"), .init("minLength", 1), .init("maxLength", 128),
                .init("pattern", "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"),
            ]
        case .users(let limit):
            let user: JSONTree = [
                "type": "string", "minLength": 1, "maxLength": 128,
                "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$",
            ]
            members = [
                .init("type", "array"), .init("items", user), .init("maxItems", .integer(limit)),
            ]
        case .tenant:
            members = [.init("type", "string"), .init("pattern", "^[A-Za-z0-9._-]{1,64}$")]
        case .number(let range):
            members = [
                .init("type", "integer"), .init("minimum", .integer(range.lowerBound)),
                .init("maximum", .integer(range.upperBound)),
            ]
        case .rate:
            members = [
                .init("type", "integer"), .init("minimum", 1), .init("maximum", 1_000_000),
            ]
        case .duration(let range):
            members = [
                .init("type", "number"), .init("minimum", .number("\(range.lowerBound)")),
                .init("maximum", .number("\(range.upperBound)")),
            ]
        case .file: members = [.init("type", "string")]
        case .choice(let words):
            members = [.init("enum", .array(words.map { .string($0) }))]
        case .flag: members = [.init("type", "boolean")]
        }
        if let value = self.defaultValue { members.append(.init("default", value)) }
        return .object(members)
    }
}

extension OperatorColumn {
    /// The JSON Schema of a value; null is an unknown one.
    var schema: JSONTree {
        switch self.format {
        case .text, .state: ["type": ["string", "null"]]
        case .numberText: ["type": ["string", "null"], "pattern": "^[0-9]+$"]
        case .list, .ranges: ["type": ["array", "null"], "items": ["type": "string"]]
        case .flag: ["type": ["boolean", "null"]]
        case .number, .bytes, .seconds, .milliseconds, .percent, .deviation:
            ["type": ["number", "null"]]
        }
    }
}

extension OperatorVerb {
    /// The JSON Schema of the document that the API returns.
    public var documentSchema: JSONTree {
        let columns = self.columns.map { JSONTree.ObjectMember($0.key, $0.schema) }
        var members: [JSONTree.ObjectMember] = [.init("schema_version", ["const": 1])]
        var required: [JSONTree] = ["schema_version"]
        switch self.display {
        case .table(let key, _, _, let isLarge):
            members.append(.init(key, ["type": "array", "items": Self.schema(of: self.columns)]))
            required.append(.string(key))
            guard isLarge else { break }
            members.append(
                .init(
                    "count",
                    [
                        "type": "integer", "minimum": 0,
                        "description": "The rows that the nodes have.",
                    ]))
            members.append(
                .init(
                    "unresponsive_loops",
                    [
                        "type": "integer", "minimum": 0,
                        "description": "Event loops that have not listed all rows in time.",
                    ]))
            required += ["count", "unresponsive_loops"]
        case .record(let all, _, let sections):
            members += columns
            members += sections.map {
                .init(
                    $0.key,
                    ["type": ["array", "null"], "items": Self.schema(of: $0.columns)])
            }
            required += (all.map(\.key) + sections.map(\.key)).map { .string($0) }
        case .summary:
            members.append(.init("summary", ["type": "string"]))
            required.append("summary")
        case .custom: break
        }
        for count in ["nodes_asked", "nodes_answered"] {
            members.append(.init(count, ["type": "integer", "minimum": 0]))
        }
        return [
            "type": "object", "required": .array(required), "properties": .object(members),
        ]
    }

    /// The document with null for each key of the schema that it lacks.
    public func completed(_ document: JSONTree) -> JSONTree {
        switch self.display {
        case .table(let key, let columns, _, _):
            let keys = columns.map(\.key)
            return .object(
                (document.members ?? []).map { member in
                    guard member.name == key, let rows = member.value.elements else {
                        return member
                    }
                    return .init(key, .array(rows.map { Self.complete($0, with: keys) }))
                })
        case .record(let columns, _, let sections):
            return Self.complete(document, with: columns.map(\.key) + sections.map(\.key))
        case .summary, .custom: return document
        }
    }

    private static func complete(_ object: JSONTree, with keys: [String]) -> JSONTree {
        .object(
            (object.members ?? [])
                + keys.filter { object[$0] == nil }.map { JSONTree.ObjectMember($0, .null) })
    }

    private static func schema(of columns: [OperatorColumn]) -> JSONTree {
        [
            "type": "object", "required": .array(columns.map { .string($0.key) }),
            "properties": .object(columns.map { .init($0.key, $0.schema) }),
        ]
    }
}
