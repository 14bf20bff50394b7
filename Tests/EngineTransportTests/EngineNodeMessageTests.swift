import Bytes
import ChatModel
import EngineIO
import Testing

@testable import EngineTransport

/// Nodes of different versions exchange these texts, so they are written out here.
@Suite("A message between nodes about an Engine.IO request")
struct EngineNodeMessageTests {
    @Test(
        "has a word for what proves that a poll's answer has arrived",
        arguments: [(.nextPoll, ""), (.otherMark(.max), " \(UInt64.max)"), (.report, " report")]
            as [(EnginePollProof, String)])
    func proofs(_ proof: EnginePollProof, _ word: String) throws {
        let session = try #require(EngineSessionID(named: "a.0.x"))
        let request = NodeSessionRequest(
            .poll, 9, from: 3, for: session, by: .noToken, body: "", proof: proof)
        #expect(request.text == "ask poll 9 3 a.0.x -\(word)\n")
        guard case .request(let read)? = EngineNodeMessage(request.text) else {
            Issue.record("\(request.text) is not a request")
            return
        }
        #expect(read.proof == proof)
    }

    @Test(
        "has these words, and is read again from them",
        arguments: [
            (.poll, "poll"), (.post, "post"), (.binaryPost, "bytes"), (.postStarted, "began"),
            (.postTooLong, "tooLong"), (.probe, "probe"), (.takeOver, "take"),
            (.pollArrived, "arrived"), (.pollAborted, "broke"), (.probeClosed, "closed"),
            (.postAborted, "torn"),
        ] as [(NodeSessionRequest.Kind, String)])
    func requests(_ kind: NodeSessionRequest.Kind, _ word: String) throws {
        let session = try #require(EngineSessionID(named: "a.0.x"))
        let ann = UserID(tokenSubject: "é o")
        let identities: [(EngineRequestIdentity, String)] = [
            (.noToken, "-"), (.invalidToken, "!"),
            (.bearer(tenant: "t", user: ann), "dA.w6kgbw"),
        ]
        for (identity, identityText) in identities {
            for body in ["", "4a", "4a\n4b\u{1E}ask poll", "é\r\n"] {
                let text = "ask \(word) 9 3 a.0.x \(identityText)\n\(body)"
                let request = NodeSessionRequest(
                    kind, 9, from: 3, for: session, by: identity, body: body[...])
                #expect(request.text == text)
                guard case .request(let read)? = EngineNodeMessage(text) else {
                    Issue.record("\(text) is not a request")
                    continue
                }
                #expect(read.kind == kind && read.number == 9 && read.loop == 3)
                #expect(read.session == session && read.identity == identity && read.body == body)
            }
        }
    }

    private static let transfer = TransferredSession(
        expiresAfter: 5, state: "{}", packets: ["4a", "4b"])

    @Test(
        "has these words if it is a reply, and is read again from them",
        arguments: [
            (
                EngineNodeMessage.encodeReply(7, payload: "4a\n4b"), "answer 7 payload\n4a\n4b",
                .payload("4a\n4b")
            ),
            (EngineNodeMessage.encodeAcceptance(7), "answer 7 taken\n", .accepted),
            (
                EngineNodeMessage.encodeReply(7, refusal: .unknownSession),
                "answer 7 refused\n400 1", .refused(.unknownSession, closes: false)
            ),
            (
                EngineNodeMessage.encodeReply(7, refusal: .badRequest, closes: true),
                "answer 7 refused\n400 3 close", .refused(.badRequest, closes: true)
            ),
            (
                EngineNodeMessage.encodeReply(7, refusal: .forbidden), "answer 7 refused\n403 4",
                .refused(.forbidden, closes: false)
            ),
            (
                EngineNodeMessage.encodeReply(7, refusal: .payloadTooLarge, closes: true),
                "answer 7 refused\n413 3 close", .refused(.payloadTooLarge, closes: true)
            ),
            (
                EngineNodeMessage.encodeClose(7, code: 1008, "a\nb  c"),
                "answer 7 closed\n1008 a\nb  c", .closed(code: 1008, reason: "a\nb  c")
            ),
            (
                EngineNodeMessage.encodeClose(7, code: 1001, ""), "answer 7 closed\n1001 ",
                .closed(code: 1001, reason: "")
            ),
            (
                EngineNodeMessage.encodeReply(7, transfer: transfer),
                "answer 7 departed\n5\u{1E}{}\u{1E}4a\u{1E}4b",
                .transferred("5\u{1E}{}\u{1E}4a\u{1E}4b")
            ),
        ] as [(String, String, NodeSessionReply)])
    func replies(_ encoded: String, _ text: String, _ reply: NodeSessionReply) {
        #expect(encoded == text)
        guard case .reply(7, let read)? = EngineNodeMessage(text) else {
            Issue.record("\(text) is not a reply")
            return
        }
        #expect(read == reply)
    }

    @Test("has these words if a dialect broadcasts it")
    func broadcasts() {
        let text = EngineNodeMessage.encodeBroadcast("a\nb", of: "rooms")
        #expect(text == "word rooms\na\nb")
        guard case .broadcast("rooms", "a\nb")? = EngineNodeMessage(text) else {
            Issue.record("not a broadcast")
            return
        }
    }

    @Test(
        "of another version is rejected",
        arguments: [
            "", "ask", "ask\n", "ask nothing 1 0 a.0.x -\n", "ask poll 1 0 a.0.x\n",
            "ask poll -1 0 a.0.x -\n", "ask poll 1 70000 a.0.x -\n", "ask poll 1 0 a/0 -\n",
            "ask poll 1 0 a.0.x ?\n", "answer 1\n", "answer x taken\n", "answer 1 gone\n",
            "answer 1 closed\n", "answer 1 closed\n1008", "answer 1 closed\n70000 x", "word\n",
            "other 1\n",
        ])
    func unknown(_ text: String) { #expect(EngineNodeMessage(text) == nil) }

    @Test("of a later version is read without the words that this version does not know")
    func laterVersion() {
        if case .request(let request)? = EngineNodeMessage("ask poll 1 0 a.0.x - new words\n4a") {
            #expect(request.kind == .poll && request.number == 1 && request.body == "4a")
        } else {
            Issue.record("not a request")
        }
        if case .reply(1, let reply)? = EngineNodeMessage("answer 1 payload new\n4a") {
            #expect(reply == .payload("4a"))
        } else {
            Issue.record("not a reply")
        }
        // A refusal that this version does not know means that the session cannot be used.
        if case .reply(1, let reply)? = EngineNodeMessage("answer 1 refused\n499 9") {
            #expect(reply == .refused(.unknownSession, closes: false))
        } else {
            Issue.record("not a reply")
        }
        if case .broadcast("rooms", "x")? = EngineNodeMessage("word rooms new\nx") {
        } else {
            Issue.record("not a broadcast")
        }
    }

    @Test(
        "transfers a session with any number of packets",
        arguments: [
            ("0\u{1E}{}", TransferredSession(expiresAfter: 0, state: "{}", packets: [])),
            ("5\u{1E}{}\u{1E}4a\u{1E}4b", transfer),
            ("1\u{1E}\u{1E}", TransferredSession(expiresAfter: 1, state: "", packets: [""])),
        ])
    func transfers(_ text: String, _ transfer: TransferredSession) {
        #expect(transfer.text == text)
        #expect(TransferredSession(text[...]) == transfer)
    }

    @Test("does not transfer a session without a state", arguments: ["", "0", "x\u{1E}{}"])
    func unreadableTransfers(_ text: String) {
        #expect(TransferredSession(text[...]) == nil)
    }

    // MARK: Addresses and identities

    @Test(
        "goes to the node and the loop that the id of the session names",
        arguments: [
            ("a.0.x", 10, 0), ("zz.3.x", 1295, 3), ("1.70000.x", 1, 65535),
            ("a.-1.x", nil, 0), ("a.0", nil, 0), ("a.0.x.y", nil, 0), ("-.0.x", nil, 0),
            ("x", nil, 0),
        ] as [(String, UInt64?, UInt16)])
    func addresses(_ sid: String, node: UInt64?, loop: UInt16) throws {
        let address = EngineSessionAddress(try #require(EngineSessionID(named: sid)))
        #expect(address?.node == node)
        if let address { #expect(address.loop == loop && address.session.text == sid) }
    }

    @Test(
        "has identities without spaces",
        arguments: [
            .noToken, .invalidToken,
            .bearer(tenant: "default", user: UserID(tokenSubject: "a b\n.-!é")),
            .bearer(tenant: "", user: UserID(tokenSubject: "")),
            .bearer(tenant: "default", user: UserID(anonymous: "ann")),
        ] as [EngineRequestIdentity])
    func identities(_ identity: EngineRequestIdentity) {
        #expect(EngineRequestIdentity(identity.text[...]) == identity)
        #expect(!identity.text.contains { $0.isWhitespace || $0.isNewline })
    }

    @Test(
        "has no identity if it is from another version", arguments: ["", "?", "a", "a.b.c", "a.%"])
    func unknownIdentities(_ text: String) { #expect(EngineRequestIdentity(text[...]) == nil) }

    @Test(
        "is for the sessions of the same user and tenant, and for those without a user",
        arguments: [
            (
                .bearer(tenant: "t", user: UserID(anonymous: "ann")), UserID(tokenSubject: "ann"),
                false
            ),
            (.bearer(tenant: "t", user: UserID(anonymous: "ann")), UserID(anonymous: "ann"), true),
            (.bearer(tenant: "t", user: UserID(anonymous: "ann")), nil, true),
            (.bearer(tenant: "u", user: UserID(anonymous: "ann")), nil, true),
            (.bearer(tenant: "u", user: UserID(anonymous: "ann")), UserID(anonymous: "ann"), false),
            (.noToken, UserID(anonymous: "ann"), true), (.noToken, nil, true),
            (.invalidToken, UserID(anonymous: "ann"), false), (.invalidToken, nil, false),
        ] as [(EngineRequestIdentity, UserID?, Bool)])
    func owners(_ identity: EngineRequestIdentity, _ user: UserID?, isAllowed: Bool) {
        let owner = EngineSessionOwner(tenant: "t", user: user)
        #expect(identity.isAllowed(for: owner, hasInvalidToken: false) == isAllowed)
        #expect(identity.isAllowed(for: nil, hasInvalidToken: false))
        #expect(EngineRequestIdentity.invalidToken.isAllowed(for: owner, hasInvalidToken: true))
    }
}
