internal import Bytes
internal import JSON

extension SocketPacket {
    /// What clients and servers tell their own application with, and so nobody may send.
    private static let reservedNames: [StaticString] = [
        "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener",
    ]

    /// Reads the JSON, if there is any, and checks that it is what packets of this kind have.
    ///
    /// - Returns: nil when it is; a sentence when other readers would take the JSON and we do not, because it is beyond our bounds.
    func readPayload(in text: RawSpan, into document: inout JSONDocument) throws(SocketPacketError)
        -> String?
    {
        guard let payload = self.payload else { return nil }
        let bytes = text.extracting(payload)
        do throws(JSONError) {
            try document.parse(bytes)
        } catch {
            switch error.reason {
            case .loneSurrogate, .tooDeep, .tooManyValues: return error.description
            default: throw .badJSON(error)
            }
        }
        let kind = document.kind(of: document.root)
        switch self.kind {
        case .connect:
            guard kind == .object else { throw .payloadIsNoObject }
        case .connectError:
            guard kind == .object || kind == .string else { throw .payloadIsNoObject }
        case .ack, .binaryAck:
            guard kind == .array else { throw .payloadIsNoArray }
        case .event, .binaryEvent:
            guard kind == .array else { throw .payloadIsNoArray }
            try self.checkEventName(document, bytes)
        case .disconnect:
            preconditionFailure("A DISCONNECT with a payload was let through: \(self)")
        }
        if self.kind.isBinary {
            guard self.hasValidPlaceholders(document, bytes) else { throw .badPlaceholder }
        }
        return nil
    }

    /// The name with which an event's array begins, read without its JSON, which may be one that is refused. Nil where it is longer than any
    /// event's name, or is written with escapes.
    func eventName(in text: RawSpan) -> ByteString? {
        guard let payload = self.payload else { return nil }
        var bytes = text.extracting(payload.prefix(128)).withUnsafeBytes { Array($0) }.drop(
            while: Self.isWhitespace)
        guard bytes.popFirst() == UInt8(ascii: "[") else { return nil }
        bytes = bytes.drop(while: Self.isWhitespace)
        guard bytes.popFirst() == UInt8(ascii: "\""),
            let end = bytes.firstIndex(of: UInt8(ascii: "\""))
        else { return nil }
        let name = bytes[..<end]
        return name.contains(UInt8(ascii: "\\"))
            ? nil : ByteString(String(decoding: name, as: UTF8.self))
    }

    private static func isWhitespace(_ letter: UInt8) -> Bool {
        letter == 0x20 || (0x09...0x0A).contains(letter) || letter == 0x0D
    }

    private func checkEventName(_ document: borrowing JSONDocument, _ bytes: RawSpan)
        throws(SocketPacketError)
    {
        guard let name = document.firstElement(of: document.root) else { throw .missingEventName }
        switch document.kind(of: name) {
        case .number: return
        case .string: break
        default: throw .missingEventName
        }
        for reserved in Self.reservedNames where document.equals(name, reserved, in: bytes) {
            throw .reservedEventName(reserved.description)
        }
    }

    /// Whether the placeholders, `{"_placeholder":true,"num":…}`, name every attachment once.
    private func hasValidPlaceholders(_ document: borrowing JSONDocument, _ bytes: RawSpan) -> Bool
    {
        var isNamed = [Bool](repeating: false, count: self.attachmentCount)
        // Places still to be looked at: no recursion, and no more of them than the document has values.
        var places = [document.root]
        while let place = places.popLast() {
            if let mark = document.member("_placeholder", of: place, in: bytes),
                document.bool(mark) == true
            {
                guard
                    let number = document.member("num", of: place, in: bytes).flatMap({
                        document.integer($0, in: bytes)
                    }),
                    isNamed.indices.contains(number), !isNamed[number]
                else { return false }
                isNamed[number] = true
            }
            var element = document.firstElement(of: place)
            while let value = element {
                places.append(value)
                element = document.element(after: value, in: place)
            }
            var member = document.firstMember(of: place)
            while let pair = member {
                places.append(pair.value)
                member = document.member(after: pair, in: place)
            }
        }
        return isNamed.allSatisfy { $0 }
    }
}
