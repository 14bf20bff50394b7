import Dialects
import Testing

@testable import ChatTerminal
@testable import ConfabClient

@Suite("A chat target")
struct ChatTargetTests {
    private static let claims = UnverifiedTokenClaims(token: "e30.eyJzdWIiOiJhbGljZSJ9.c2ln")

    private func target(_ url: String, _ dialect: ChatDialect? = nil, _ conversation: String? = nil)
        throws -> ChatTarget
    {
        try ChatTarget(
            WebSocketURL(url), dialect: dialect, conversation: conversation,
            among: DialectList.all.chatDialects)
    }

    @Test(
        "accepts one URL of a conversation for every protocol",
        arguments: [
            ("ws://h:8080/conversations/lobby/", nil), ("ws://h:8080/conversations/lobby", nil),
            ("http://h:8080/conversation/lobby", nil),
            ("ws://h:8080", "lobby"), ("ws://h:8080/conversations/", "lobby"),
            ("ws://h:8080/", "lobby"), ("ws://h:8080/ws/", "lobby"),
            ("ws://h:8080/ws/chats", "lobby"),
            ("ws://h:8080/v1/ws?channel_id=lobby", nil),
            ("ws://h:8080/v1/ws/tenant/t/agent/a/channel/lobby", nil),
            ("ws://h:8080/socket.io/", "lobby"), ("ws://h:8080/conversations/lobby/", "lobby"),
        ] as [(String, String?)])
    func targets(url: String, conversation: String?) throws {
        for dialect in DialectList.all.chatDialects {
            let address = try self.target(url, dialect, conversation)
            #expect(address.dialect == dialect)
            #expect(address.conversation == "lobby")
            let client = address.client(token: "t", claims: Self.claims)
            #expect(client.dialect == dialect)
            let path = client.url(after: nil, rev: nil).path
            switch dialect {
            case .conversations:
                #expect(path == "/conversations/lobby/" || path == "/conversations/lobby")
            case .pets: #expect(path == "/ws/")
            case .chats: #expect(path == "/ws/chats/")
            case .agents:
                let url = client.url(after: nil, rev: nil)
                #expect(url.path.hasPrefix("/v1/ws"))
                #expect(
                    url.path.hasSuffix("/channel/lobby") || url.parameter("channel_id") == "lobby")
            case .rooms:
                #expect(path == "/socket.io/")
                #expect(
                    client.url(after: 3, rev: nil).query?.contains("EIO=4&transport=websocket")
                        == true)
            default: Issue.record("the paths of \(dialect) are not tested")
            }
        }
    }

    @Test(
        "recognises the protocol by the URL's path",
        arguments: [
            ("ws://h/conversations/x/", .conversations), ("ws://h/", .conversations),
            ("ws://h/ws/", .pets), ("ws://h/ws/chats/", .chats),
            ("ws://h/v1/ws", .agents), ("ws://h/v1/ws/tenant/t/agent/a/channel/c", .agents),
            ("ws://h/socket.io/", .rooms),
            ("https://h/conversation/abc12345", .rooms), ("ws://h/below/ws/chats/", .chats),
            ("ws://h/below/v1/ws", .agents), ("ws://h/below/ws", .pets),
        ] as [(String, ChatDialect)])
    func ownPath(url: String, dialect: ChatDialect) throws {
        let place = ChatURL(try WebSocketURL(url), among: DialectList.all.chatDialects)
        #expect(place.dialect ?? .conversations == dialect)
        #expect(place.mountPath == (url.contains("below") ? "/below" : ""))
    }

    @Test("keeps the mount path and the query parameters of a server")
    func mounted() throws {
        let client = try self.target(
            "wss://h/chat/conversations/x%3A1/?token=t&channel_id=y", .chats
        )
        .client(token: "t", claims: Self.claims, name: "Ann Lee")
        #expect(
            client.url(after: nil, rev: nil).target
                == "/chat/ws/chats/?token=t&channel_id=y&username=Ann%20Lee")
    }

    @Test("rejects a missing or contradictory conversation")
    func missing() throws {
        for dialect in [ChatDialect.conversations, .pets, .rooms] {
            #expect(throws: ConfabError.noConversation(dialect)) {
                try self.target("ws://h/", dialect)
            }
        }
        #expect(try self.target("ws://h/", .chats).conversation == nil)
        #expect(try self.target("ws://h/", .agents).conversation == nil)
        #expect(throws: ConfabError.twoConversations("a", "b")) {
            try self.target("ws://h/conversations/b/", nil, "a")
        }
    }

    @Test("gives anonymous users of Rooms a unique id and the chosen name")
    func guest() throws {
        let address = try self.target("ws://h/conversation/abc12345")
        let context = address.context(token: nil, claims: nil, name: "Ann", guest: "guest-1")
        var client = address.dialect.client(context)
        #expect(address.dialect.ownUser(context) == "guest:guest-1")
        _ = client.join(JoinOptions(after: nil, limit: 1))
        _ = client.receive(Array(#"0{"sid":"x"}"#.utf8))
        #expect(
            client.receive(Array(#"40{"sid":"x"}"#.utf8))
                == [
                    .send(
                        #"""
                        420["join_room",{"room_id":"abc12345","user_id":"guest-1","username":"Ann"}]
                        """#
                    )
                ])
    }
}

extension ChatTarget {
    fileprivate func client(
        token: String?, claims: UnverifiedTokenClaims?, name: String? = nil
    ) -> any ClientDialect {
        self.dialect.client(self.context(token: token, claims: claims, name: name, guest: "g"))
    }
}
