import Testing

@testable import ChatTerminal
@testable import ConfabClient

@Suite("A chat in the Agents protocol")
struct AgentsClientTests {
    private func fixture(
        isInteractive: Bool = true, channel: String? = "c",
        url: String = "ws://host/v1/ws?channel_id=c"
    ) throws
        -> ChatSessionFixture
    {
        ChatSessionFixture(
            isInteractive: isInteractive, user: "456",
            speaking: AgentsClient(try WebSocketURL(url), in: channel, as: "456"))
    }

    private static let statuses =
        #"""
        {"type":"status_list","channel_id":"c","agents":[{"agent_id":"456","status":"online",\#
        "timestamp":"x"},{"agent_id":"457","status":"online","timestamp":"x"},{"agent_id":"458",\#
        "status":"offline","timestamp":"x"}],"timestamp":"2026-01-31T12:00:10.000Z"}
        """#

    private func message(
        _ seq: Int, _ agent: String, _ content: String, id: String? = nil, second: Int = 20
    ) -> String {
        #"""
        {"id":"\#(id ?? String(seq))","type":"message","content":"\#(content)",\#
        "tenant_id":"default","agent_id":"\#(agent)","channel_id":"c",\#
        "timestamp":"2026-01-31T12:00:\#(second).000Z","seq":\#(seq)}
        """#
    }

    private func acknowledged(_ id: String, seq: Int? = nil) -> String {
        #"""
        {"type":"ACK","message_id":"\#(id)"\#(seq.map { #","seq":\#($0)"# } ?? ""),\#
        "timestamp":"2026-01-31T12:00:20.000Z"}
        """#
    }

    private func joinConversation(_ fixture: inout ChatSessionFixture) -> [FixtureStep] {
        _ = fixture.start()
        return fixture.open() + fixture.receive(Self.statuses)
    }

    @Test("queries the status, which completes the join, and displays presence")
    func joining() throws {
        var fixture = try self.fixture()
        _ = fixture.start()
        #expect(fixture.open().sent == [#"{"type":"status_query"}"#])
        #expect(fixture.receive(Self.statuses).shown == ["notice Online: 457."])
        let status = { (agent: String, status: String) in
            #"{"type":"status","agent_id":"\#(agent)","status":"\#(status)","timestamp":"x"}"#
        }
        #expect(fixture.receive(status("458", "online")).shown == ["notice 458 is online."])
        #expect(fixture.receive(status("457", "offline")).shown == ["notice 457 has left."])
        #expect(fixture.type("/who").shown == ["notice Online: 458."])
        _ = fixture.receive(#"{"type":"presence","channel_id":"c","online":1200,"changes":[]}"#)
        #expect(fixture.type("/who").shown == ["notice 1200 users are online."])
    }

    @Test("stores a line when it is acknowledged")
    func sending() throws {
        var fixture = try self.fixture()
        _ = self.joinConversation(&fixture)
        #expect(fixture.type("one").sent == [#"{"id":"id-1","type":"message","content":"one"}"#])
        #expect(fixture.receive(self.message(7, "457", "hello")).shown == ["#7 457: hello"])
        #expect(fixture.receive(self.acknowledged("id-1", seq: 8)).shown == ["#8 me: one"])
        #expect(fixture.session.outbox.items.isEmpty)
    }

    @Test(
        "resumes after its last message, and an early answer waits for earlier messages"
    )
    func resuming() throws {
        var fixture = try self.fixture()
        _ = self.joinConversation(&fixture)
        _ = fixture.receive(self.message(7, "457", "seven"))
        _ = fixture.type("one")
        _ = fixture.disconnect()
        #expect(fixture.advanceTime(.seconds(1)).connects == [7])
        #expect(
            fixture.session.dialect.url(after: 7, rev: nil).target == "/v1/ws?channel_id=c&after=7")
        #expect(fixture.open().sent == [#"{"type":"status_query"}"#])
        #expect(
            fixture.receive(Self.statuses).sent == [
                #"{"id":"id-1","type":"message","content":"one"}"#
            ])
        #expect(fixture.receive(self.acknowledged("id-1", seq: 9)).shown == [])
        #expect(
            fixture.receive(self.message(8, "457", "eight")).shown == [
                "#8 457: eight", "#9 me: one",
            ])
        #expect(fixture.receive(self.message(9, "456", "one", id: "id-1")).shown == [])
    }

    @Test("delays an early answer by five seconds at most")
    func earlyAnswer() throws {
        var fixture = try self.fixture()
        _ = self.joinConversation(&fixture)
        _ = fixture.receive(self.message(1, "457", "one"))
        _ = fixture.type("x")
        #expect(fixture.receive(self.acknowledged("id-1", seq: 9)).shown == [])
        #expect(fixture.advanceTime(.milliseconds(4900)).shown == [])
        #expect(
            fixture.advanceTime(.milliseconds(200)).shown == [
                """
                error Some messages are no longer available: the server retains them from #9 on.
                """, "#9 me: x",
            ])
    }

    @Test("resumes from the time of its join if it has received nothing")
    func nothingReceived() throws {
        var fixture = try self.fixture()
        _ = self.joinConversation(&fixture)
        _ = fixture.disconnect()
        #expect(fixture.advanceTime(.seconds(1)).connects == [nil])
        #expect(
            fixture.session.dialect.url(after: nil, rev: nil).target
                == "/v1/ws?channel_id=c&after=0")
        _ = fixture.open()
        // A client that joined later does not miss the oldest messages.
        #expect(
            fixture.receive(
                #"{"type":"ERROR","error":"history truncated","oldest_id":3,"timestamp":"x"}"#)
                == [])
        #expect(fixture.receive(self.message(3, "457", "before", second: 10)) == [])
        #expect(fixture.receive(self.message(4, "457", "missed", second: 11)) == [])
        #expect(
            fixture.receive(Self.statuses).shown == ["#4 457: missed", "notice Reconnected."])
    }

    @Test("keeps the start position of the URL until it has another")
    func ownStartPosition() throws {
        var fixture = try self.fixture(url: "ws://host/v1/ws?channel_id=c&after=3")
        _ = self.joinConversation(&fixture)
        #expect(
            fixture.session.dialect.url(after: nil, rev: nil).target
                == "/v1/ws?channel_id=c&after=3")
        #expect(
            fixture.session.dialect.url(after: 5, rev: nil).target == "/v1/ws?channel_id=c&after=5")
        #expect(
            fixture.receive(
                #"{"type":"ERROR","error":"history truncated","oldest_id":3,"timestamp":"x"}"#
            ).shown
                == [
                    """
                    error Some messages are no longer available: the server retains them from \
                    #3 on.
                    """
                ])
    }

    @Test("displays direct messages, which have no number, once")
    func direct() throws {
        var fixture = try self.fixture()
        _ = self.joinConversation(&fixture)
        let direct =
            #"""
            {"id":"m-1","type":"message","content":"Are you there?","to":"456",\#
            "tenant_id":"default","agent_id":"457","timestamp":"2026-01-31T12:00:00.000Z"}
            """#
        #expect(fixture.receive(direct).shown == ["457 to 456: Are you there?"])
        #expect(fixture.receive(direct).shown == [])
        #expect(
            fixture.type("/to 457 I am.").sent == [
                #"{"id":"id-1","type":"message","to":"457","content":"I am."}"#
            ])
        #expect(fixture.receive(self.acknowledged("id-1")).shown == ["me to 457: I am."])
        for line in ["/to", "/to 457", "/to 457  "] {
            #expect(
                fixture.type(line).shown.first?.hasPrefix(
                    "error /to takes an agent's name and a text") == true)
        }
    }

    @Test("uses the inbox without a channel, and joins at once")
    func inbox() throws {
        var fixture = try self.fixture(isInteractive: false, channel: nil, url: "ws://host/v1/ws")
        _ = fixture.start()
        _ = fixture.type("/to 457 hello")
        #expect(
            fixture.open().sent == [#"{"id":"id-1","type":"message","to":"457","content":"hello"}"#]
        )
        _ = fixture.endInput()
        #expect(fixture.receive(self.acknowledged("id-1")).exitStatus == 0)
    }

    @Test("attributes errors with an id to the line, and displays others")
    func errors() throws {
        var fixture = try self.fixture()
        _ = self.joinConversation(&fixture)
        _ = fixture.type("one")
        #expect(
            fixture.receive(
                #"""
                {"type":"ERROR","error":"rate limited","message_id":"id-1","retry_after":0.50,\#
                "timestamp":"x"}
                """#
            ) == [])
        #expect(
            fixture.advanceTime(.seconds(1)).sent == [
                #"{"id":"id-1","type":"message","content":"one"}"#
            ])
        #expect(
            fixture.receive(
                #"""
                {"type":"ERROR","error":"content: longer than 16384 bytes","message_id":"id-1",\#
                "timestamp":"x"}
                """#
            ).shown
                == ["error Not sent: one (content: longer than 16384 bytes)"])
        #expect(
            fixture.receive(#"{"type":"ERROR","error":"token expired","timestamp":"x"}"#).shown == [
                "error The server says: token expired"
            ])

        fixture = try self.fixture()
        _ = fixture.start()
        _ = fixture.open()
        _ = fixture.receive(
            #"{"type":"ERROR","error":"rate limited","retry_after":1.00,"timestamp":"x"}"#)
        #expect(fixture.advanceTime(.seconds(2)).sent == [#"{"type":"status_query"}"#])
    }

    @Test("ignores unknown frames, and reports malformed ones")
    func others() throws {
        var fixture = try self.fixture()
        _ = self.joinConversation(&fixture)
        #expect(
            fixture.receive(
                self.message(1, "457", "x").replacing(
                    #""channel_id":"c""#, with: #""channel_id":"d""#)) == [])
        #expect(
            fixture.receive(#"{"type":"message","content":"x","agent_id":"457","channel_id":"c"}"#)
                == [])
        #expect(fixture.receive(#"{"type":"ACK"}"#) == [])
        #expect(fixture.receive(self.acknowledged("somebody-else's", seq: 4)) == [])
        #expect(
            fixture.receive(#"{"type":"authenticated","agent_id":"456","timestamp":"x"}"#) == [])
        for text in ["nonsense", "7", #"{"id":"m"}"#] {
            #expect(
                fixture.receive(text).shown == [
                    "error The server sent a frame that is not part of the Agents protocol."
                ])
        }
        #expect(
            fixture.type("/history").shown.first?.hasPrefix(
                "error The Agents protocol does not support /history") == true)
    }
}
