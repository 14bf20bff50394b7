internal import Bytes
internal import JSON

extension SocketPacket {
    /// Socket.IO libraries use these names for events of the connection itself, so no peer may send
    /// them.
    private static let reservedNames: [StaticString] = [
        "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener",
    ]

    /// Parses the JSON, if there is any, and checks that its form suits the packet type.
    ///
    /// - Returns: nil if it does. A sentence if the JSON is valid but exceeds the limits of this
    ///   parser.
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
            preconditionFailure("A DISCONNECT with a payload passed the checks: \(self)")
        }
        if self.kind.isBinary {
            guard self.hasValidPlaceholders(document, bytes) else { throw .badPlaceholder }
        }
        return nil
    }

    /// Reads the event name at the start of the array, without parsing the JSON, which may have
    /// been rejected. Nil if the name is longer than any event name or contains escapes.
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

    private static func isWhitespace(_ byte: UInt8) -> Bool {
        byte == 0x20 || (0x09...0x0A).contains(byte) || byte == 0x0D
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

    /// Whether the placeholders, `{"_placeholder":true,"num":…}`, name every attachment exactly
    /// once.
    private func hasValidPlaceholders(_ document: borrowing JSONDocument, _ bytes: RawSpan) -> Bool
    {
        var isNamed = [Bool](repeating: false, count: self.attachmentCount)
        // A stack instead of recursion. It never holds more values than the document.
        var containers = [document.root]
        while let container = containers.popLast() {
            if let placeholder = document.member("_placeholder", of: container, in: bytes),
                document.bool(placeholder) == true
            {
                guard
                    let number = document.member("num", of: container, in: bytes).flatMap({
                        document.integer($0, in: bytes)
                    }),
                    isNamed.indices.contains(number), !isNamed[number]
                else { return false }
                isNamed[number] = true
            }
            var element = document.firstElement(of: container)
            while let value = element {
                containers.append(value)
                element = document.element(after: value, in: container)
            }
            var member = document.firstMember(of: container)
            while let pair = member {
                containers.append(pair.value)
                member = document.member(after: pair, in: container)
            }
        }
        return isNamed.allSatisfy { $0 }
    }
}
