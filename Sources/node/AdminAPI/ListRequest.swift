internal import Configuration
internal import JSON
internal import NodeLink

/// The order, length and filter of a requested list.
struct ListRequest: Sendable {
    var order: RowOrder
    var limit: Int
    /// The filter, as each node gets it.
    var filter: [JSONTree.ObjectMember] = []
    var start: RowPosition?
    /// The maximum number of rows in one reply.
    var pageLimit = AdminContext.replyRowLimits.upperBound

    init(order: RowOrder, limit: Int, filter: [JSONTree.ObjectMember] = []) {
        self.order = order
        self.limit = limit
        self.filter = filter
    }

    /// Reads `sort` and `limit` of an operator's request.
    init(_ request: AdminRequest, filter: [JSONTree.ObjectMember] = []) {
        let columns = request.verb.columns.map(\.key)
        guard let order = RowOrder(request.text("sort") ?? "", among: columns) else {
            preconditionFailure("\(request.verb.name) has rows without an order")
        }
        self.init(
            order: order, limit: request.number("limit") ?? OperatorVerb.defaultRowLimit,
            filter: filter)
    }

    /// Nil if another node's request is malformed.
    init?(_ arguments: JSONTree, columns: [String]) {
        guard let sort = arguments["sort"]?.stringValue,
            let order = RowOrder(sort, among: columns),
            let limit = arguments["limit"]?.integerValue, OperatorVerb.rowLimits ~= limit,
            let page = arguments["page"]?.integerValue, AdminContext.replyRowLimits ~= page
        else { return nil }
        self.pageLimit = page
        self.order = order
        self.limit = limit
        self.filter = arguments.members ?? []
        self.start = arguments["after"].flatMap { RowPosition($0) }
    }

    var arguments: [JSONTree.ObjectMember] {
        var members: [JSONTree.ObjectMember] = [
            .init("sort", .string(self.order.text)), .init("limit", .integer(self.limit)),
            .init("page", .integer(self.pageLimit)),
        ]
        if let start = self.start { members.append(.init("after", start.tree)) }
        return members + self.filter
    }

    subscript(name: String) -> JSONTree? { self.filter.last { $0.name == name }?.value }

    func ranked() -> RankedRows {
        RankedRows(by: self.order, limit: self.limit, after: self.start)
    }
}

/// The merged rows of all nodes.
struct MergedList: Sendable {
    var rows: [JSONTree] = []
    /// The rows that the nodes have.
    var count = 0
    var unresponsiveLoops = 0
    /// The nodes' counts apart from the rows.
    var others = 0
    var replies = NodeReplies()

    /// The members after the rows.
    var counts: [JSONTree.ObjectMember] {
        [
            .init("count", .integer(self.count)),
            .init("unresponsive_loops", .integer(self.unresponsiveLoops)),
        ] + self.replies.counts
    }
}
