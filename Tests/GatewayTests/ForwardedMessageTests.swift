import Bytes
import ChatModel
import EngineIO
import Testing

@testable import Gateway

@Suite("A forwarded message")
struct ForwardedMessageTests {
    @Test(
        "distinguishes all refusals",
        arguments: [.unknownSession, .badRequest, .forbidden, .payloadTooLarge] as [EngineRefusal])
    func refusals(_ refusal: EngineRefusal) throws {
        for isLast in [false, true] {
            let text = ForwardedMessage.encodeReply(
                7, .refused(refusal), EngineSteps(), closes: isLast)
            guard case .reply(7, .refused(let read, let closes))? = ForwardedMessage(text) else {
                Issue.record("\(text) is not a refusal")
                return
            }
            #expect(read == refusal && closes == isLast)
        }
    }

    @Test(
        "contains the close code and reason of a WebSocket",
        arguments: ["", "the session is over", "a\nb  c"])
    func closing(_ reason: String) {
        guard
            case .reply(7, .closed(let code, let read))? = ForwardedMessage(
                ForwardedMessage.encodeClose(7, code: 1008, reason))
        else {
            Issue.record("not a close")
            return
        }
        #expect(code == 1008 && read == reason)
    }

    @Test(
        "preserves the bodies of requests and replies",
        arguments: ["", "4a", "4a\n4b\u{1E}ask poll", "é\r\n"])
    func bodies(_ body: String) throws {
        let session = try #require(EngineSessionID(named: "a.0.x"))
        for kind in [
            ForwardedMessage.Kind.poll, .post, .binaryPost, .postStarted, .postTooLong, .probe,
            .takeOver, .pollAborted, .probeClosed, .postAborted,
        ] {
            let text = ForwardedMessage.encodeRequest(
                kind, 9, from: 3, session,
                by: .bearer(tenant: "t", user: UserID(tokenSubject: "é o")), body)
            guard case .request(let request)? = ForwardedMessage(text) else {
                Issue.record("\(kind) is not a request")
                continue
            }
            #expect(
                request.kind == kind && request.number == 9 && request.loop == 3
                    && request.session == session)
            #expect(
                request.identity == .bearer(tenant: "t", user: UserID(tokenSubject: "é o"))
                    && request.body == body)
        }
        guard
            case .reply(9, .transferred(let state))? = ForwardedMessage(
                ForwardedMessage.encodeTransfer(9, state: body))
        else {
            Issue.record("not a transfer")
            return
        }
        #expect(state == body)
    }

    @Test(
        "of another version is rejected",
        arguments: [
            "", "ask\n",
            "ask nothing 1 0 a.0.x -\n", "ask poll 1 0 a.0.x\n", "ask poll -1 0 a.0.x -\n",
            "ask poll 1 0 a.0.x ?\n", "answer 1\n",
            "answer 1 gone\n", "answer 1 closed\n", "answer 1 closed\n1008",
            "answer 1 closed\n70000 x", "word\n",
        ])
    func unknown(_ text: String) { #expect(ForwardedMessage(text) == nil) }

    @Test("of a later version is read without the words that this version does not know")
    func laterVersion() {
        if case .request(let request)? = ForwardedMessage("ask poll 1 0 a.0.x - new words\n4a") {
            #expect(request.kind == .poll && request.number == 1 && request.body == "4a")
        } else {
            Issue.record("not a request")
        }
        if case .reply(1, .payload(let payload))? = ForwardedMessage("answer 1 payload new\n4a") {
            #expect(payload == "4a")
        } else {
            Issue.record("not a reply")
        }
        if case .broadcast("rooms", let text)? = ForwardedMessage("word rooms new\nx") {
            #expect(text == "x")
        } else {
            Issue.record("not a broadcast")
        }
    }
}
