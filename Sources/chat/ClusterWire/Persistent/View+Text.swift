internal import Bytes
internal import ChatModel
public import Cluster
internal import JSON

/// The stored form of a view in Redis.
extension View {
    /// The maximum number of nodes in a view. Ranking more would take longer than nodes wait for
    /// each other.
    static let nodeLimit = 1024

    /// Equal views have equal texts.
    public var text: String {
        let nodes = self.nodes.map { node in
            JSONTree.object([
                .init("incarnation", .incarnation(node.incarnation)),
                .init("loops", .integer(node.loops)),
                .init("draining", .bool(node.isDraining)),
            ])
        }
        return PersistentText.write([
            .init("number", .integer(self.number)), .init("nodes", .array(nodes)),
            .init("old", .array(self.oldList.map { .incarnation($0) })),
            .init("new", .array(self.newList.map { .incarnation($0) })),
            .init("moved", .string(self.moved.text)),
        ])
    }

    /// Reads the stored form, and throws the reason if it is invalid.
    public init(text: String) throws(PersistentTextError) {
        let tree = try PersistentText.read(text)
        let number = try tree.integer("number", in: 0...(1 << 53))
        var nodes: [Node] = []
        for element in try tree.list("nodes") {
            guard nodes.count < Self.nodeLimit else {
                throw .invalidMember("nodes", "must have at most \(Self.nodeLimit) nodes")
            }
            nodes.append(try Node(element))
        }
        let incarnations = Set(nodes.map(\.incarnation))
        guard incarnations.count == nodes.count else {
            throw .invalidMember("nodes", "a node is listed twice")
        }
        let old = try Self.list("old", in: tree, of: incarnations)
        let new = try Self.list("new", in: tree, of: incarnations)
        guard let moved = tree["moved"]?.stringValue.flatMap({ ShardSet(text: $0) }) else {
            throw .invalidMember("moved", "must be \(Shard.count) bits in base64url, or empty")
        }
        self.init(number: number, nodes: nodes, oldList: old, newList: new, moved: moved)
    }

    private static func list(_ name: String, in tree: JSONTree, of incarnations: Set<UInt64>)
        throws(PersistentTextError) -> [UInt64]
    {
        var list: [UInt64] = []
        for element in try tree.list(name) {
            // With more elements than nodes, one is listed twice.
            guard list.count < incarnations.count else {
                throw .invalidMember(name, "a node is listed twice")
            }
            list.append(try element.incarnation(of: name))
        }
        guard !list.isEmpty else { throw .invalidMember(name, "must list at least one node") }
        guard Set(list).count == list.count else {
            throw .invalidMember(name, "a node is listed twice")
        }
        guard let unknown = list.first(where: { !incarnations.contains($0) }) else { return list }
        throw .invalidMember(name, "\(String(unknown, radix: 36)) is not in nodes")
    }
}

extension View.Node {
    fileprivate init(_ tree: JSONTree) throws(PersistentTextError) {
        let incarnation = try tree.incarnation("incarnation")
        let loops = try tree.integer("loops", in: 1...Int(UInt16.max))
        guard let isDraining = tree["draining"]?.boolValue else {
            throw .invalidMember("draining", "must be true or false")
        }
        self.init(incarnation: incarnation, loops: loops, isDraining: isDraining)
    }
}

extension ShardSet {
    /// One bit per shard in base64url, where the lowest bit of the first byte is shard 0. Empty if
    /// no shard has moved.
    fileprivate var text: String {
        guard !self.isEmpty else { return "" }
        var bytes = [UInt8](repeating: 0, count: Shard.count / 8)
        for shard in 0..<Shard.count where self.contains(shard) {
            bytes[shard / 8] |= 1 << UInt8(shard % 8)
        }
        return Base64URL.encode(bytes)
    }

    fileprivate init?(text: String) {
        self.init()
        guard !text.isEmpty else { return }
        guard let bytes = Base64URL.decode(text.utf8), bytes.count == Shard.count / 8 else {
            return nil
        }
        for shard in 0..<Shard.count where bytes[shard / 8] & 1 << UInt8(shard % 8) != 0 {
            self.insert(shard)
        }
    }
}
