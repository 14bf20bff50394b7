import Testing

@testable import ChatClient

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
        #"{"type":"status_list","channel_id":"c","agents":[{"agent_id":"456","status":"online","timestamp":"x"},{"agent_id":"457","status":"online","timestamp":"x"},{"agent_id":"458","status":"offline","timestamp":"x"}],"timestamp":"2026-01-31T12:00:10.000Z"}"#

    private func message(
        _ seq: Int, _ agent: String, _ content: String, id: String? = nil, second: Int = 20
    ) -> String {
        #"{"id":"\#(id ?? String(seq))","type":"message","content":"\#(content)","tenant_id":"default","agent_id":"\#(agent)","channel_id":"c","timestamp":"2026-01-31T12:00:\#(second).000Z","seq":\#(seq)}"#
    }

    private func acknowledged(_ id: String, seq: Int? = nil) -> String {
        #"{"type":"ACK","message_id":"\#(id)"\#(seq.map { #","seq":\#($0)"# } ?? ""),"timestamp":"2026-01-31T12:00:20.000Z"}"#
    }

    private func joinConversation(_ stage: inout ChatSessionFixture) -> [ChatStep] {
        _ = stage.start()
        return stage.open() + stage.receive(Self.statuses)
    }

    @Test("asks who is there, which says that it is in, and hears who comes and goes")
    func joining() throws {
        var stage = try self.fixture()
        _ = stage.start()
        #expect(stage.open().sent == [#"{"type":"status_query"}"#])
        #expect(stage.receive(Self.statuses).shown == ["notice Here: 457."])
        let status = { (agent: String, status: String) in
            #"{"type":"status","agent_id":"\#(agent)","status":"\#(status)","timestamp":"x"}"#
        }
        #expect(stage.receive(status("458", "online")).shown == ["notice 458 is here."])
        #expect(stage.receive(status("457", "offline")).shown == ["notice 457 has left."])
        #expect(stage.type("/who").shown == ["notice Here: 458."])
        _ = stage.receive(#"{"type":"presence","channel_id":"c","online":1200,"changes":[]}"#)
        #expect(stage.type("/who").shown == ["notice 1200 people are here."])
    }

    @Test("its line is stored when it is acknowledged")
    func sending() throws {
        var stage = try self.fixture()
        _ = self.joinConversation(&stage)
        #expect(stage.type("one").sent == [#"{"id":"id-1","type":"message","content":"one"}"#])
        #expect(stage.receive(self.message(7, "457", "hello")).shown == ["#7 457: hello"])
        #expect(stage.receive(self.acknowledged("id-1", seq: 8)).shown == ["#8 me: one"])
        #expect(stage.session.outbox.isEmpty)
    }

    @Test(
        "goes on behind the last message that it has, and an answer waits for what was said in front of it"
    )
    func resuming() throws {
        var stage = try self.fixture()
        _ = self.joinConversation(&stage)
        _ = stage.receive(self.message(7, "457", "seven"))
        _ = stage.type("one")
        _ = stage.disconnect()
        #expect(stage.advanceTime(.seconds(1)).connects == [7])
        #expect(stage.session.dialect.url(after: 7).target == "/v1/ws?channel_id=c&after=7")
        #expect(
            stage.open().sent == [
                #"{"type":"status_query"}"#, #"{"id":"id-1","type":"message","content":"one"}"#,
            ])
        #expect(stage.receive(self.acknowledged("id-1", seq: 9)).shown == [])
        #expect(
            stage.receive(self.message(8, "457", "eight")).shown == ["#8 457: eight", "#9 me: one"])
        #expect(stage.receive(self.message(9, "456", "one", id: "id-1")).shown == [])
    }

    @Test("an answer waits five seconds at most")
    func earlyAnswer() throws {
        var stage = try self.fixture()
        _ = self.joinConversation(&stage)
        _ = stage.receive(self.message(1, "457", "one"))
        _ = stage.type("x")
        #expect(stage.receive(self.acknowledged("id-1", seq: 9)).shown == [])
        #expect(stage.advanceTime(.milliseconds(4900)).shown == [])
        #expect(stage.advanceTime(.milliseconds(200)).shown == ["#9 me: x"])
    }

    @Test("where nothing was heard yet, goes on from the moment at which it came")
    func nothingReceived() throws {
        var stage = try self.fixture()
        _ = self.joinConversation(&stage)
        _ = stage.disconnect()
        #expect(stage.advanceTime(.seconds(1)).connects == [nil])
        #expect(stage.session.dialect.url(after: nil).target == "/v1/ws?channel_id=c&after=0")
        _ = stage.open()
        // That the oldest are gone does not matter to somebody who came later.
        #expect(
            stage.receive(
                #"{"type":"ERROR","error":"history truncated","oldest_id":3,"timestamp":"x"}"#)
                == [])
        #expect(stage.receive(self.message(3, "457", "before", second: 10)) == [])
        #expect(stage.receive(self.message(4, "457", "missed", second: 11)) == [])
        #expect(
            stage.receive(Self.statuses).shown == ["#4 457: missed", "notice Connected again."])
    }

    @Test("a point that the URL names stays until there is another")
    func ownStartPosition() throws {
        var stage = try self.fixture(url: "ws://host/v1/ws?channel_id=c&after=3")
        _ = self.joinConversation(&stage)
        #expect(stage.session.dialect.url(after: nil).target == "/v1/ws?channel_id=c&after=3")
        #expect(stage.session.dialect.url(after: 5).target == "/v1/ws?channel_id=c&after=5")
        #expect(
            stage.receive(
                #"{"type":"ERROR","error":"history truncated","oldest_id":3,"timestamp":"x"}"#
            ).shown
                == ["trouble Some messages are gone: the server keeps them from #3 on only."])
    }

    @Test("messages from agent to agent have no number, and are shown once")
    func direct() throws {
        var stage = try self.fixture()
        _ = self.joinConversation(&stage)
        let direct =
            #"{"id":"m-1","type":"message","content":"Are you there?","to":"456","tenant_id":"default","agent_id":"457","timestamp":"2026-01-31T12:00:00.000Z"}"#
        #expect(stage.receive(direct).shown == ["457 to 456: Are you there?"])
        #expect(stage.receive(direct).shown == [])
        #expect(
            stage.type("/to 457 I am.").sent == [
                #"{"id":"id-1","type":"message","to":"457","content":"I am."}"#
            ])
        #expect(stage.receive(self.acknowledged("id-1")).shown == ["me to 457: I am."])
        for line in ["/to", "/to 457", "/to 457  "] {
            #expect(
                stage.type(line).shown.first?.hasPrefix(
                    "trouble /to takes an agent's name and a text") == true)
        }
    }

    @Test("without a channel there is the inbox, and one is in at once")
    func inbox() throws {
        var stage = try self.fixture(isInteractive: false, channel: nil, url: "ws://host/v1/ws")
        _ = stage.start()
        _ = stage.type("/to 457 hello")
        #expect(
            stage.open().sent == [#"{"id":"id-1","type":"message","to":"457","content":"hello"}"#])
        _ = stage.endInput()
        #expect(stage.receive(self.acknowledged("id-1")).exitStatus == 0)
    }

    @Test("errors with an id are those of the line, others are shown")
    func errors() throws {
        var stage = try self.fixture()
        _ = self.joinConversation(&stage)
        _ = stage.type("one")
        #expect(
            stage.receive(
                #"{"type":"ERROR","error":"rate limited","message_id":"id-1","retry_after":0.50,"timestamp":"x"}"#
            ) == [])
        #expect(
            stage.advanceTime(.seconds(1)).sent == [
                #"{"id":"id-1","type":"message","content":"one"}"#
            ])
        #expect(
            stage.receive(
                #"{"type":"ERROR","error":"content: longer than 16384 bytes","message_id":"id-1","timestamp":"x"}"#
            ).shown
                == ["trouble Not sent: one (content: longer than 16384 bytes)"])
        #expect(
            stage.receive(#"{"type":"ERROR","error":"token expired","timestamp":"x"}"#).shown == [
                "trouble The server says: token expired"
            ])

        stage = try self.fixture()
        _ = stage.start()
        _ = stage.open()
        _ = stage.receive(
            #"{"type":"ERROR","error":"rate limited","retry_after":1.00,"timestamp":"x"}"#)
        #expect(stage.advanceTime(.seconds(2)).sent == [#"{"type":"status_query"}"#])
    }

    @Test("is not bothered by what means nothing here, and says so of what is no frame at all")
    func others() throws {
        var stage = try self.fixture()
        _ = self.joinConversation(&stage)
        #expect(
            stage.receive(
                self.message(1, "457", "x").replacing(
                    #""channel_id":"c""#, with: #""channel_id":"d""#)) == [])
        #expect(
            stage.receive(#"{"type":"message","content":"x","agent_id":"457","channel_id":"c"}"#)
                == [])
        #expect(stage.receive(#"{"type":"ACK"}"#) == [])
        #expect(stage.receive(self.acknowledged("somebody-else's", seq: 4)) == [])
        #expect(stage.receive(#"{"type":"authenticated","agent_id":"456","timestamp":"x"}"#) == [])
        for text in ["nonsense", "7", #"{"id":"m"}"#] {
            #expect(
                stage.receive(text).shown == [
                    "trouble The server said something that is not of the Agents protocol."
                ])
        }
        #expect(
            stage.type("/history").shown.first?.hasPrefix(
                "trouble The Agents protocol has nothing for /history") == true)
    }
}
