import Bytes
import ChatModel
import DialectTestSupport
import Testing

@Suite("An agent that enters a channel")
struct AgentsEntryTests {
    private static func joined(_ present: [PresenceChange], isCrowd: Bool = false) -> ChatAnswer {
        .joined(
            JoinResult(
                head: 0, oldest: 1, revision: 1, ended: nil, present: present, presentCount: 250,
                isCrowd: isCrowd))
    }

    @Test("receives the status of every agent that is online, and in a crowd their number")
    func presence() {
        var probe = SessionProbe.agents()
        _ = probe.opened()
        let bob = PresenceChange(
            person: Person(id: UserID(tokenSubject: "bob"), name: "Bob"), isOnline: true,
            at: Timestamp(milliseconds: 0))
        #expect(
            probe.answer(Self.joined([bob])) == [
                #"""
                {"type":"status","agent_id":"bob","status":"online",\#
                "timestamp":"1970-01-01T00:00:00.000Z"}
                """#
            ])
        #expect(
            probe.answer(Self.joined([], isCrowd: true)) == [
                #"{"type":"presence","channel_id":"c","online":250,"changes":[]}"#
            ])
    }
}
