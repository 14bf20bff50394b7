import Bytes
import JSON
import SeededRandom
import SocketIO
import Testing

extension SocketPacketError {
    static func badJSON(_ reason: JSONError.Reason = .valueExpected, at offset: Int)
        -> SocketPacketError
    {
        .badJSON(JSONError(reason, at: offset))
    }
}

@Suite("A Socket.IO packet")
struct SocketPacketTests {
    @Test(
        "that breaks the protocol closes the connection with an error",
        arguments: [
            ("", .empty), ("7", .unknownType(0x37)), (" 2", .unknownType(0x20)),
            ("\"2\"", .unknownType(0x22)), ("é", .unknownType(0xC3)),
            ("\u{0}", .unknownType(0)), ("-1", .unknownType(0x2D)),
            // Payloads
            ("2", .missingPayload), ("21", .missingPayload), ("2/,", .missingPayload),
            ("2/", .missingPayload), ("31", .missingPayload),
            ("1{}", .unexpectedPayload), ("1/,[]", .unexpectedPayload), ("4", .missingPayload),
            ("0[]", .payloadIsNoObject),
            (#"0"a""#, .payloadIsNoObject), ("0null", .payloadIsNoObject),
            ("2null", .payloadIsNoArray), (#"2"a""#, .payloadIsNoArray),
            ("31{}", .payloadIsNoArray), ("4[]", .payloadIsNoObject), ("2[]", .missingEventName),
            ("2[null]", .missingEventName),
            ("2[[\"a\"]]", .missingEventName), ("2[true,1]", .missingEventName),
            (#"2["connect"]"#, .reservedEventName("connect")),
            (#"2["disconn\u0065ct",1]"#, .reservedEventName("disconnect")),
            (#"2["newListener"]"#, .reservedEventName("newListener")),
            (#"50-["connect_error"]"#, .reservedEventName("connect_error")),
            ("2[", .badJSON(.unexpectedEnd, at: 1)), (#"2["a",]"#, .badJSON(at: 5)),
            (#"2["a"]["#, .badJSON(.trailingContent, at: 5)),
            (#"2['a']"#, .badJSON(at: 1)), ("0{a:1}", .badJSON(.nameExpected, at: 1)),
            // Ack ids
            ("201[\"a\"]", .badAckID), ("29007199254740992[\"a\"]", .badAckID),
            ("2\(String(repeating: "9", count: 1000))[\"a\"]", .badAckID),
            ("2-1[\"a\"]", .badJSON(.trailingContent, at: 2)), ("2+1[\"a\"]", .badJSON(at: 0)),
            ("21.5[\"a\"]", .badJSON(at: 0)),
            ("3[]", .missingAckID), ("3/,[]", .missingAckID), ("60-[]", .missingAckID),
            ("01", .unexpectedAckID),
            ("012{}", .unexpectedAckID),
            ("11", .unexpectedAckID), ("41{}", .unexpectedAckID),
            // Attachments
            (#"5["a"]"#, .badAttachmentCount(limit: 1000)),
            (#"5-["a"]"#, .badAttachmentCount(limit: 1000)),
            (#"51["a"]"#, .badAttachmentCount(limit: 1000)),
            (#"51001-["a"]"#, .badAttachmentCount(limit: 1000)),
            (#"501-["a"]"#, .badAttachmentCount(limit: 1000)),
            (#"5\#(String(repeating: "1", count: 1000))-["a"]"#, .badAttachmentCount(limit: 1000)),
            (#"61[{}]"#, .badAttachmentCount(limit: 1000)),
            // Placeholders
            (#"51-["a"]"#, .badPlaceholder),
            (#"50-["a",{"_placeholder":true,"num":0}]"#, .badPlaceholder),
            (#"51-["a",{"_placeholder":true,"num":1}]"#, .badPlaceholder),
            (#"51-["a",{"_placeholder":true,"num":-1}]"#, .badPlaceholder),
            (#"51-["a",{"_placeholder":true}]"#, .badPlaceholder),
            (#"51-["a",{"_placeholder":true,"num":"0"}]"#, .badPlaceholder),
            (#"51-["a",{"_placeholder":true,"num":0.0}]"#, .badPlaceholder),
            (#"51-["a",{"_placeholder":1,"num":0}]"#, .badPlaceholder),
            (
                #"52-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]"#,
                .badPlaceholder
            ),
            (
                #"51-["a",{"_placeholder":true,"num":0,"x":{"_placeholder":true,"num":0}}]"#,
                .badPlaceholder
            ),
            // Namespaces
            ("0/a\u{1E}1,", .controlCharacterInNamespace), ("0/a\nb", .controlCharacterInNamespace),
            ("2/\u{7F},[\"a\"]", .controlCharacterInNamespace),
            ("0/\(String(repeating: "a", count: 256))", .namespaceTooLong(limit: 256)),
        ] as [(String, SocketPacketError)])
    func rejected(_ packet: String, _ error: SocketPacketError) {
        for var driver in [SocketSessionDriver(), SocketSessionDriver.connected()] {
            #expect(driver.receive(packet) == [.end(.malformed(error))])
            #expect(driver.receive("0") == [])
            #expect(driver.session.deadline == nil)
        }
        #expect(!error.description.isEmpty)
    }

    @Test(
        "beyond the limits is rejected with an error, and the connection continues",
        arguments: [
            (#"27["a","\ud800"]"#, 7, "a", "surrogate"),
            (
                "28\(String(repeating: "[", count: 33))\(String(repeating: "]", count: 33))", 8,
                nil, "deep"
            ),
            ("2[\"a\"\(String(repeating: ",0", count: 65_536))]", nil, "a", "values"),
            (#"51-9["a","\udc00"]"#, 9, "a", "surrogate"),
            ("21 [\t\"b c\" ,\"\\ud800\"]", 1, "b c", "surrogate"),
            (#"21["\u0061","\ud800"]"#, 1, nil, "surrogate"),
            (#"35["\ud800"]"#, nil, nil, "surrogate"), ("50-[1]", nil, nil, "binary"),
            ("60-5[]", nil, nil, "binary"),
            ("21[\"\(String(repeating: "x", count: 200))\",\"\\ud800\"]", 1, nil, "surrogate"),
        ] as [(String, Int?, String?, String)])
    func beyondLimits(_ packet: String, _ ackID: Int?, _ event: String?, _ word: String) {
        var driver = SocketSessionDriver.connected()
        let steps = driver.receive(packet)
        guard case .refused(ackID, event, let sentence) = steps.first, steps.count == 1 else {
            Issue.record("\(steps)")
            return
        }
        #expect(sentence.contains(word))
        #expect(driver.session.isConnected)
    }

    @Test(
        "is parsed into its parts",
        arguments: [
            ("0", .connect, 0, nil, nil, nil), ("1/admin,", .disconnect, 0, "/admin", nil, nil),
            ("1/admin", .disconnect, 0, "/admin", nil, nil),
            (#"2["a"]"#, .event, 0, nil, nil, #"["a"]"#),
            (#"20["a"]"#, .event, 0, nil, 0, #"["a"]"#),
            (#"29007199254740991["a"]"#, .event, 0, nil, 9_007_199_254_740_991, #"["a"]"#),
            (#"2/x,12["a"]"#, .event, 0, "/x", 12, #"["a"]"#),
            ("3/x,12[]", .ack, 0, "/x", 12, "[]"),
            (#"4/x,{"message":"no"}"#, .connectError, 0, "/x", nil, #"{"message":"no"}"#),
            (#"510-/x,3["a"]"#, .binaryEvent, 10, "/x", 3, #"["a"]"#),
            ("60-3[]", .binaryAck, 0, nil, 3, "[]"),
        ] as [(String, SocketPacketKind, Int, String?, Int?, String?)])
    func parts(
        _ text: String, _ kind: SocketPacketKind, _ attachments: Int, _ namespace: String?,
        _ ackID: Int?, _ payload: String?
    ) throws {
        let bytes = Array(text.utf8)
        let packet = try SocketPacket.parse(bytes.span.bytes, limits: SocketLimits())
        #expect(
            packet.kind == kind && packet.attachmentCount == attachments && packet.ackID == ackID)
        #expect(packet.namespace.map { String(decoding: bytes[$0], as: UTF8.self) } == namespace)
        #expect(packet.payload.map { String(decoding: bytes[$0], as: UTF8.self) } == payload)

        // A packet with only one possible spelling is the same when it is written again.
        var written = ByteBuffer()
        written.append(
            socketPacket: kind, attachmentCount: attachments,
            namespace: namespace.map { ByteString($0) }, ackID: ackID)
        if let payload { written.append(text: payload) }
        let again = try SocketPacket.parse(written.bytes.span.bytes, limits: SocketLimits())
        #expect(written.text == text || text == "1/admin" && written.text == "1/admin,")
        #expect(again.kind == kind && again.ackID == ackID && again.attachmentCount == attachments)
    }

    @Test(
        "has a defined result wherever it is truncated",
        arguments: [
            #"2/,456["message","é\u00e9",{"3":[true]}]"#,
            #"52-/,789["m",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#,
            #"0/,{"token":"é","pid":"p","offset":"o"}"#, #"345[1,"2"]"#, #"0/admin,{"a":1}"#,
        ])
    func truncated(_ text: String) {
        for length in 0..<text.utf8.count {
            var driver = text.first == "0" ? SocketSessionDriver() : .connected()
            let steps = driver.receive(Array(text.utf8.prefix(length)))
            #expect(steps.count == 1, "\(text.utf8.prefix(length))")
            switch steps.first {
            case .end(.malformed): #expect(driver.session.deadline == nil)
            // A text that ends within the namespace, or directly after the type, is a complete
            // CONNECT.
            case .connect, .sent: #expect(text.first == "0")
            default: Issue.record("\(length) \(steps)")
            }

            // The rest may be a packet of another type. It has at most one answer.
            var other = SocketSessionDriver.connected()
            #expect(other.receive(Array(text.utf8.dropFirst(length))).count <= 1)
        }
    }

    @Test("is parsed as it was written", arguments: 0..<300 as Range<UInt64>)
    func roundTrip(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let text = String(
            (0..<random.number(0...40)).map { _ in
                random.pick(Array("aé€😀\u{1E}\u{0}\"\\/,[]{}-0 \n")) ?? " "
            })
        let id =
            random.happens(perMille: 100) ? SocketPacket.ackIDLimit : random.number(0...1_000_000)
        var ack = ByteBuffer()
        ack.append(socketAck: id) { $0.append(jsonString: text) }
        var event = ByteBuffer()
        event.append(socketEvent: "say") { $0.append(jsonString: text) }
        #expect(!ack.bytes.contains(0x1E) && !event.bytes.contains(0x1E))

        var driver = SocketSessionDriver.connected()
        guard case .acknowledged(id, let arguments) = driver.receive(ack.bytes).first else {
            throw UnexpectedSocketStep()
        }
        #expect(try JSONTree(parsing: arguments) == [.string(text)])
        guard case .event("say", let payload, nil) = driver.receive(event.bytes).first else {
            throw UnexpectedSocketStep()
        }
        #expect(try JSONTree(parsing: payload) == ["say", .string(text)])
    }
}

struct UnexpectedSocketStep: Error {}
