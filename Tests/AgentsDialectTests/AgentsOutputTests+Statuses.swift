import AgentsDialect
import Bytes
import ChatModel
import DialectTestSupport
import Testing

extension AgentsOutputTests {
    @Test("list the members that the owner selects, within a list's bytes")
    func manyStatuses() throws {
        let members = (0..<1000).map {
            Member(
                user: UserID(tokenSubject: ByteString("user-\($0)")), name: "x", role: .member,
                joinedAt: Timestamp(milliseconds: 0))
        }
        let record = ConversationRecord(
            .agents, creator: nil, createdAt: Timestamp(milliseconds: 0))
        let description = ConversationDetails(
            record: record, head: 0, members: members,
            online: Set(members.prefix(10).map(\.user)), participantCount: 1500)
        func list(_ limits: Limits) throws -> String {
            var probe = SessionProbe.agents(limits: limits)
            _ = probe.send(#"{"type":"status_query"}"#)
            return try #require(probe.answer(.described(description)).first)
        }
        let all = try list(Limits())
        #expect(all.matches(of: /"agent_id":/).count == 1000)
        #expect(all.matches(of: /"status":"online"/).count == 10)
        #expect(all.contains(#""agents":[{"agent_id":"user-0","status":"online""#))
        #expect(all.contains(#"],"participant_count":1500,"timestamp""#))
        var limits = Limits()
        limits.outboundBytes = 4096
        let short = try list(limits)
        #expect((3000...4300).contains(short.utf8.count))
        #expect(
            short.hasSuffix(
                #"],"participant_count":1500,"timestamp":"1970-01-01T00:00:00.000Z"}"#))
    }
}
