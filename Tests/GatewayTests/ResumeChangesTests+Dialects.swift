import Configuration
import GatewayTestSupport
import TestKit
import Testing

@testable import Gateway

/// Missed changes in Agents and Rooms.
extension ResumeChangesTests {
    @Test(
        "in Agents sends edits and deletions, live and after a break, and reports a reset",
        arguments: TestNode.EmbeddedStoreKind.allCases)
    func agents(store: TestNode.EmbeddedStoreKind) throws {
        let node = try Self.node(store)
        let path = "/v1/ws?token=\(try TestNode.token("agent"))&channel_id=room"
        let live = try FrameClient(path, port: node.port)
        try live.request(#"{"type":"status_query"}"#, for: "status_list")
        let author = try node.conversationClient("author")
        let revision = try Self.changeHistory(author)
        #expect(Int(try live.next("message").number("rev") ?? 0) == revision - 2)
        let edited = try live.next("message.edited")
        #expect(
            edited["content"] == "zwei" && edited.number("seq") == 2
                && edited.number("rev") == Double(revision + 1))
        #expect(edited.bool("is_edited") == true && edited.bool("is_deleted") == false)
        let deleted = try live.next("message.deleted")
        #expect(
            deleted["content"] == "" && deleted.number("seq") == 1
                && deleted.number("rev") == Double(revision + 2))
        #expect(deleted.bool("is_edited") == false && deleted.bool("is_deleted") == true)
        #expect(
            try live.request(#"{"type":"message","content":"five"}"#, for: "ACK").number("rev")
                == Double(revision + 4))

        let back = try FrameClient(path + "&after=3&rev=\(revision)", port: node.port)
        #expect(try back.next("message.edited").number("seq") == 2)
        #expect(try back.next("message.deleted").number("seq") == 1)
        #expect(try back.next("message").number("seq") == 4)
        #expect(try back.next("message").number("seq") == 5)

        let reset = try FrameClient(path + "&after=9", port: node.port)
        let error = try reset.next("ERROR")
        #expect(error["error"] == "history reset" && error.number("head") == 5)
        try author.post("six")
        #expect(try reset.next("message").number("seq") == 6)
        let ahead = try FrameClient(path + "&after=1&rev=99", port: node.port)
        let truncated = try ahead.next("ERROR")
        #expect(truncated["error"] == "history truncated" && truncated.number("oldest_id") == 1)
        #expect(try ahead.next("message").number("seq") == 1)
    }

    /// The data of the next event of this name.
    private static func next(_ name: String, from peer: TestPeer) throws -> JSONObject {
        let start = #"42["\#(name)","#
        while case .text(let text)? = try peer.next() {
            if text.hasPrefix(start) {
                return try JSONObject(String(text.dropFirst(start.count).dropLast()))
            }
        }
        throw TestFailure("the connection ended before \(name)")
    }

    private static func socket(_ user: String, at node: TestNode, _ recovery: String = "{}") throws
        -> (peer: TestPeer, pid: String)
    {
        let peer = try TestPeer(
            "/socket.io/?EIO=4&transport=websocket&token=\(try TestNode.token(user))",
            port: node.port)
        try peer.send("40\(recovery)")
        while case .text(let text)? = try peer.next() {
            if text.hasPrefix("40{") {
                return (peer, try #require(try JSONObject(String(text.dropFirst(2)))["pid"]))
            }
        }
        throw TestFailure("CONNECT was not answered")
    }

    @Test(
        "in Rooms sends missed edits and deletions to a recovered client, and reports a reset",
        arguments: TestNode.EmbeddedStoreKind.allCases)
    func rooms(store: TestNode.EmbeddedStoreKind) throws {
        let node = try Self.node(store)
        let author = try node.conversationClient("author")
        let (live, pid) = try Self.socket("reader", at: node)
        try live.send(#"42["join_room",{"room_id":"room"}]"#)
        _ = try Self.next("conversation_state", from: live)
        _ = try Self.changeHistory(author)
        #expect(try Self.next("message.edited", from: live)["content"] == "zwei")
        let deleted = try Self.next("message.deleted", from: live)
        #expect(
            deleted["id"] == "1" && deleted.bool("is_deleted") == true
                && deleted.bool("is_edited") == false)

        let (back, samePid) = try Self.socket(
            "reader", at: node, #"{"pid":"\#(pid)","offset":"room=3"}"#)
        #expect(samePid == pid)
        #expect(try Self.next("message.edited", from: back)["id"] == "2")
        #expect(try Self.next("message.deleted", from: back)["id"] == "1")
        #expect(try Self.next("new_message", from: back)["id"] == "4")

        let (reset, _) = try Self.socket(
            "reader", at: node, #"{"pid":"\#(pid)","offset":"room=9"}"#)
        let error = try Self.next("error", from: reset)
        #expect(
            error["message"] == "history reset" && error["room_id"] == "room"
                && error["head"] == "4")
        try author.post("five")
        #expect(try Self.next("new_message", from: reset)["id"] == "5")
    }

    @Test("in Rooms with an offset from before the first room is a new session")
    func roomless() throws {
        let node = try Self.node()
        let (first, pid) = try Self.socket("reader", at: node)
        try first.send(#"42["join_room",{"room_id":"room"}]"#)
        _ = try Self.next("conversation_state", from: first)
        let (_, fresh) = try Self.socket("reader", at: node, #"{"pid":"\#(pid)","offset":""}"#)
        #expect(fresh != pid)
        let (_, again) = try Self.socket(
            "reader", at: node, #"{"pid":"\#(pid)","offset":"room=0"}"#)
        #expect(again == pid)
        try first.send(#"42["join_room",{"room_id":"other"}]"#)
        _ = try Self.next("conversation_state", from: first)
        let (_, stale) = try Self.socket(
            "reader", at: node, #"{"pid":"\#(pid)","offset":"room=0"}"#)
        #expect(stale != pid)
        let (_, both) = try Self.socket(
            "reader", at: node, #"{"pid":"\#(pid)","offset":"other=0,room=0"}"#)
        #expect(both == pid)
    }

    @Test("a message that is too long is refused with its own id, in every protocol")
    func tooLong() throws {
        let node = try Self.node()
        let long = String(repeating: "x", count: 70_000)
        let (rooms, _) = try Self.socket("ann", at: node)
        try rooms.send(
            #"427["send_message",{"room_id":"room","content":"\#(long)","local_id":"a"}]"#)
        while case .text(let text)? = try rooms.next() {
            if text.hasPrefix(#"42["offset""#) { continue }
            let expected =
                #"437[{"ok":false,"error":"the message is longer than 65536 bytes","#
                + #""outcome":"refused","local_id":"a"}]"#
            #expect(text == expected)
            break
        }
        let conversations = try node.conversationClient("ann")
        try conversations.send(#"{"action":"send_message","content":"\#(long)","local_id":"a"}"#)
        let failed = try conversations.next("message.failed")
        #expect(
            failed["local_id"] == "a" && failed["outcome"] == "refused"
                && failed["error"] == "the message is longer than 65536 bytes")
        let agent = try FrameClient(
            "/v1/ws?token=\(try TestNode.token("ann"))&channel_id=room", port: node.port)
        let error = try agent.request(
            #"{"type":"message","content":"\#(long)","id":"a"}"#, for: "ERROR")
        #expect(
            error["message_id"] == "a" && error["outcome"] == "refused"
                && error["error"] == "the message is longer than 65536 bytes")
        let pets = try FrameClient(
            "/ws/?token=\(try TestNode.token("ann"))", kind: "event", port: node.port)
        let refused = try pets.request(
            #"{"event":"message","data":{"conversation_id":"room","content":"\#(long)","#
                + #""local_id":"a"}}"#,
            for: "error"
        ).object("data")
        #expect(
            refused?["local_id"] == "a" && refused?["outcome"] == "refused"
                && refused?["event"] == "message")
        let chats = try FrameClient(
            "/ws/chats/?token=\(try TestNode.token("ann"))", port: node.port)
        let posted = try chats.request(
            #"{"type":"newMessage","data":{"chat":1,"text":"\#(long)"}}"#, for: "error"
        ).object("data")
        #expect(posted?["request"] == "newMessage" && posted?["outcome"] == "refused")
    }

    @Test(
        "an event that Rooms cannot parse is refused in its acknowledgement, with the outcome"
    )
    func unread() throws {
        let node = try Self.node()
        let (ann, _) = try Self.socket("ann", at: node)
        let deep = String(repeating: "[", count: 40) + String(repeating: "]", count: 40)
        for packet in [
            #"421["send_message",{"room_id":"room","content":"\ud800"}]"#,
            #"421["send_message",{"room_id":"room","content":\#(deep)}]"#,
            #"421[ "send_message" ,{"room_id":"room","content":\#(deep)}]"#,
            #"451-1["send_message",{"_placeholder":true,"num":0}]"#,
        ] {
            try ann.send(packet)
            while case .text(let text)? = try ann.next() {
                if text.hasPrefix(#"42["offset""#) { continue }
                #expect(
                    text.hasPrefix(#"431[{"ok":false,"error":""#)
                        && text.hasSuffix(#","outcome":"refused"}]"#), "\(text)")
                break
            }
        }
    }
}
