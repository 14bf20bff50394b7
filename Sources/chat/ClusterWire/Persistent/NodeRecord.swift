public import Bytes
internal import ChatEngine
internal import JSON

/// A node's description of itself in Redis, for other nodes and for operators.
public struct NodeRecord: Sendable, Equatable {
    public var incarnation: UInt64
    /// The node's name for operators.
    public var name: String
    /// The host and port for clients.
    public var address: String
    /// The host and port for operators; nil if the node has no admin listener.
    public var adminAddress: String?
    /// The name of the node's host, so that other nodes know whether its loopback is theirs.
    public var host: String
    /// The version of Confab.
    public var version: String
    public var loops: Int
    public var startedAt: Timestamp

    public static let textBytes = 1...255

    public init(
        incarnation: UInt64, name: String, address: String, adminAddress: String? = nil,
        host: String, version: String, loops: Int, startedAt: Timestamp
    ) {
        self.incarnation = incarnation
        self.name = name
        self.address = address
        self.adminAddress = adminAddress
        self.host = host
        self.version = version
        self.loops = loops
        self.startedAt = startedAt
    }

    /// The stored form.
    public var text: String {
        var members: [JSONTree.ObjectMember] = [
            .init("incarnation", .incarnation(self.incarnation)), .init("name", .string(self.name)),
            .init("address", .string(self.address)),
        ]
        if let adminAddress = self.adminAddress {
            members.append(.init("admin_address", .string(adminAddress)))
        }
        members += [
            .init("host", .string(self.host)), .init("version", .string(self.version)),
            .init("loops", .integer(self.loops)),
            .init("started_at", .integer(self.startedAt.milliseconds)),
        ]
        return PersistentText.write(members)
    }

    /// Reads the stored form, and throws the reason if it is invalid.
    public init(text: String) throws(PersistentTextError) {
        let tree = try PersistentText.read(text)
        self.incarnation = try tree.incarnation("incarnation")
        self.name = try tree.text("name", bytes: Self.textBytes)
        self.address = try tree.text("address", bytes: Self.textBytes)
        self.adminAddress = try tree.optionalText("admin_address", bytes: Self.textBytes)
        self.host = try tree.text("host", bytes: Self.textBytes)
        self.version = try tree.text("version", bytes: Self.textBytes)
        self.loops = try tree.integer("loops", in: 1...Int(UInt16.max))
        let moments =
            Int(WireReader.timestampRange.lowerBound)...Int(WireReader.timestampRange.upperBound)
        self.startedAt = Timestamp(milliseconds: Int64(try tree.integer("started_at", in: moments)))
    }
}
