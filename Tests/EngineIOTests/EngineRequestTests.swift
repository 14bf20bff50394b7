import Bytes
import EngineIO
import Testing

@Suite("An Engine.IO request")
struct EngineRequestTests {
    private static let sid = EngineSessionDriver.id.text
    private static let polling = "EIO=4&transport=polling&sid=\(sid)"
    private static let webSocket = "EIO=4&transport=websocket&sid=\(sid)"

    @Test(
        "is a poll with a mark if it has a time",
        arguments: [
            ("EIO=4&t=Pz1&sid=x", "t=Pz1"), ("sid=x&t=%50", "t=P"), ("", "t="),
            ("t=a&t=a", "sid=x"),
        ])
    func equalMarks(_ first: String, _ second: String) {
        func proof(_ query: String) -> EnginePollProof {
            EngineRequest.proof(in: Array(query.utf8).span.bytes)
        }
        #expect(proof(first) == proof(second))
        #expect((proof(first) == .nextPoll) == (first.isEmpty || first == "t=a&t=a"))
        #expect(proof("t=a") != proof("t=b"))
    }

    @Test("polls, posts to or upgrades the session that it names")
    func sessions() throws {
        #expect(try readRequest(Self.polling) == .poll(EngineSessionDriver.id))
        #expect(try readRequest(Self.polling, .post) == .post(EngineSessionDriver.id))
        #expect(
            try readRequest(Self.webSocket, isWebSocket: true) == .upgrade(EngineSessionDriver.id))
    }

    @Test("may have its parameters in any order, percent-encoded, with unknown ones between")
    func spelling() throws {
        #expect(
            try readRequest("t=P0x1&b64=1&transport=%70olling&x&&%45IO=4") == .handshake(.polling))
        #expect(
            try readRequest("sid=\(Self.sid)&EIO=4&t=1&transport=polling&t=2")
                == .poll(EngineSessionDriver.id))
    }

    @Test(
        "is rejected with the protocol's errors",
        arguments: [
            ("", .get, false, .unknownTransport), ("?", .get, false, .unknownTransport),
            ("EIO=4&transport=flashsocket", .get, false, .unknownTransport),
            ("EIO=4&transport=webtransport", .get, true, .unknownTransport),
            ("EIO=4&transport=polling", .get, true, .badRequest),
            ("EIO=4&transport=websocket", .get, false, .badRequest),
            ("EIO=4&transport=websocket", .post, false, .badHandshakeMethod),
            ("EIO=4&transport=polling&j=0", .get, false, .badRequest),
            ("EIO=4&transport=polling&transport=polling", .get, false, .badRequest),
            ("EIO=4&transport=polling&EIO=4", .get, false, .badRequest),
            ("EIO=4&transport=polling&sid=a&sid=a", .get, false, .badRequest),
            ("EIO=4&transport=%zz", .get, false, .badRequest),
            ("EIO=4&transport=%ff", .get, false, .badRequest),
            ("%&EIO=4&transport=polling", .get, false, .badRequest),
            ("EIO=4&transport=polling&sid=", .get, false, .unknownSession),
            ("EIO=4&transport=polling&sid", .get, false, .unknownSession),
            ("EIO=4&transport=polling&sid=a%20b", .get, false, .unknownSession),
            ("EIO=4&transport=polling&sid=a%00", .get, false, .unknownSession),
            (
                "EIO=4&transport=polling&sid=\(String(repeating: "a", count: 129))", .get, false,
                .unknownSession
            ),
            ("EIO=3&transport=polling&sid=a", .get, false, .unsupportedVersion),
            ("transport=polling&sid=a", .post, false, .unsupportedVersion),
            ("EIO=4&transport=polling&sid=a", .other, false, .badRequest),
            ("EIO=4&transport=websocket&sid=a", .post, true, .badRequest),
            ("EIO=4&transport=websocket&sid=a", .get, false, .badRequest),
            ("EIO=4&transport=polling&sid=a", .get, true, .badRequest),
        ] as [(String, EngineMethod, Bool, EngineRefusal)])
    func rejected(
        _ query: String, _ method: EngineMethod, _ isWebSocket: Bool, _ refusal: EngineRefusal
    ) {
        #expect(throws: refusal) { try readRequest(query, method, isWebSocket: isWebSocket) }
    }

    @Test(
        "has a defined result wherever it is truncated",
        arguments: [polling, "t=%41b&EIO=4&transport=polling"])
    func truncated(_ query: String) {
        let refusals: [EngineRefusal?] = (0..<query.utf8.count).map { length in
            do throws(EngineRefusal) {
                _ = try readRequest(String(query.prefix(length)))
                return nil
            } catch {
                return error
            }
        }
        #expect(refusals.first == .unknownTransport)
        #expect(
            refusals.allSatisfy {
                $0 == nil || [.unknownTransport, .badRequest, .unknownSession].contains($0)
            })
    }

    @Test(
        "that is rejected has a code, a message and a status",
        arguments: [
            (.unknownTransport, 400, #"{"code":0,"message":"Transport unknown"}"#),
            (.unknownSession, 400, #"{"code":1,"message":"Session ID unknown"}"#),
            (.badHandshakeMethod, 400, #"{"code":2,"message":"Bad handshake method"}"#),
            (.badRequest, 400, #"{"code":3,"message":"Bad request"}"#),
            (.forbidden, 403, #"{"code":4,"message":"Forbidden"}"#),
            (.unsupportedVersion, 400, #"{"code":5,"message":"Unsupported protocol version"}"#),
            (.payloadTooLarge, 413, #"{"code":3,"message":"Payload too large"}"#),
        ] as [(EngineRefusal, Int, String)])
    func refusalBodies(_ refusal: EngineRefusal, _ status: Int, _ body: String) {
        var buffer = ByteBuffer()
        buffer.append(engineRefusal: refusal)
        #expect(buffer.text == body)
        #expect(refusal.status == status)
    }

    @Test("names a session by the 128 random bits of its id")
    func randomIDs() {
        #expect(EngineSessionID(random: (0, 0)).text == "AAAAAAAAAAAAAAAAAAAAAA")
        #expect(EngineSessionID(random: (.max, .max)).text == "_____________________w")
        #expect(EngineSessionID(random: (1, 0)) != EngineSessionID(random: (0, 1)))
        let id = EngineSessionID(random: (0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210))
        #expect(id.text.utf8.count == 22 && EngineSessionID(named: id.text) == id)
    }
}
