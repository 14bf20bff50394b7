import JSON
import Testing

@testable import OperatorClient

@Suite("The shards by node")
struct ShardsByNodeTests {
    private static func shard(
        _ number: Int, _ owner: String, epoch: JSONTree = .null, conversations: JSONTree = 0,
        messages: JSONTree = 0, state: String = "stable"
    ) -> JSONTree {
        [
            "shard": .integer(number), "owner": .string(owner), "epoch": epoch,
            "conversations": conversations, "msg_s": messages, "state": .string(state),
        ]
    }

    @Test("are one row for each node, next to the rows of the shards")
    func rows() {
        let shards: JSONTree = [
            Self.shard(0, "n2", epoch: 4, conversations: 2, messages: 1),
            Self.shard(1, "n2", conversations: 1, messages: 2, state: "moving"),
            Self.shard(2, "n1", epoch: 1, conversations: .null, messages: .null),
            Self.shard(3, "n2"),
        ]
        let document = ShardsByNode.adding(to: [
            "schema_version": 1, "shards": shards, "nodes_asked": 2,
        ])
        #expect(
            document.members?.map(\.name) == [
                "schema_version", "nodes", "shards", "nodes_asked",
            ])
        #expect(document["shards"] == shards)
        #expect(
            document["nodes"] == [
                [
                    "node": "n1", "shards": 1, "claimed": 1, "moving": 0, "conversations": .null,
                    "msg_s": .null, "ranges": ["2"],
                ],
                [
                    "node": "n2", "shards": 3, "claimed": 1, "moving": 1, "conversations": 3,
                    "msg_s": .number("3"), "ranges": ["0-1", "3"],
                ],
            ])
    }

    @Test(
        "have ranges of ascending numbers",
        arguments: [
            ([], []), ([7], ["7"]), ([0, 1, 2, 3], ["0-3"]),
            ([5, 1, 2, 9, 4], ["1-2", "4-5", "9"]),
        ] as [([Int], [String])])
    func ranges(numbers: [Int], ranges: [String]) {
        #expect(ShardsByNode.ranges(of: numbers) == ranges)
    }
}
