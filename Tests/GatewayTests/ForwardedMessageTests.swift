import Bytes
import ChatModel
import EngineIO
import Testing

@testable import Gateway

@Suite("A letter about a carried request")
struct ForwardedMessageTests {
    @Test(
        "tells every refusal from every other",
        arguments: [.unknownSession, .badRequest, .forbidden, .payloadTooLarge] as [EngineRefusal])
    func refusals(_ refusal: EngineRefusal) throws {
        for isLast in [false, true] {
            let text = ForwardedMessage.encodeReply(
                7, .refused(refusal), EngineSteps(), closes: isLast)
            guard case .reply(7, .refused(let read, let closes))? = ForwardedMessage(text) else {
                Issue.record("\(text) is no refusal")
                return
            }
            #expect(read == refusal && closes == isLast)
        }
    }

    @Test(
        "says with what a WebSocket is closed", arguments: ["", "the session is over", "a\nb  c"])
    func closing(_ reason: String) {
        guard
            case .reply(7, .closed(let code, let read))? = ForwardedMessage(
                ForwardedMessage.encodeClose(7, code: 1008, reason))
        else {
            Issue.record("no closing")
            return
        }
        #expect(code == 1008 && read == reason)
    }

    @Test(
        "carries a body as it is, and an answer's too",
        arguments: ["", "4a", "4a\n4b\u{1E}ask poll", "é\r\n"])
    func bodies(_ body: String) throws {
        let session = try #require(EngineSessionID(named: "a.0.x"))
        for kind in [
            ForwardedMessage.Kind.poll, .post, .bytes, .began, .tooLong, .probe, .take, .broke,
            .closed, .torn,
        ] {
            let text = ForwardedMessage.encodeRequest(
                kind, 9, from: 3, session,
                by: .bearer(tenant: "t", user: UserID(tokenSubject: "é o")), body)
            guard case .request(let question)? = ForwardedMessage(text) else {
                Issue.record("\(kind) is no question")
                continue
            }
            #expect(
                question.kind == kind && question.number == 9 && question.loop == 3
                    && question.session == session)
            #expect(
                question.identity == .bearer(tenant: "t", user: UserID(tokenSubject: "é o"))
                    && question.body == body)
        }
        guard
            case .reply(9, .transferred(let state))? = ForwardedMessage(
                ForwardedMessage.encodeTransfer(9, state: body))
        else {
            Issue.record("no departure")
            return
        }
        #expect(state == body)
    }

    @Test(
        "of another version is none",
        arguments: [
            "", "ask\n",
            "ask nothing 1 0 a.0.x -\n", "ask poll 1 0 a.0.x\n", "ask poll -1 0 a.0.x -\n",
            "ask poll 1 0 a.0.x ?\n", "answer 1\n",
            "answer 1 gone\n", "answer 1 closed\n", "answer 1 closed\n1008",
            "answer 1 closed\n70000 x", "word\n",
        ])
    func unknown(_ text: String) { #expect(ForwardedMessage(text) == nil) }
}
