public import Bytes
internal import JSON

/// Writes packets as text. Their JSON escapes control characters, so no packet contains Engine.IO's
/// record separator.
extension ByteBuffer {
    /// Appends a packet up to its JSON.
    ///
    /// - Parameters:
    ///   - attachmentCount: the number of binary frames that follow; only for the binary types.
    ///   - namespace: the namespace with its slash, as clients write it; nil for the main one.
    public mutating func append(
        socketPacket kind: SocketPacketKind, attachmentCount: Int = 0, namespace: ByteString? = nil,
        ackID: Int? = nil
    ) {
        self.append(kind.typeByte)
        if kind.isBinary {
            self.append(decimal: attachmentCount)
            self.append("-")
        }
        if let namespace {
            self.append(text: namespace.string)
            self.append(",")
        }
        if let ackID { self.append(decimal: ackID) }
    }

    /// Appends an event of the main namespace with one argument: `2["<name>",<argument>]`.
    ///
    /// - Parameter argument: writes JSON.
    public mutating func append(
        socketEvent name: StaticString, _ argument: (inout ByteBuffer) -> Void
    ) {
        self.append(socketPacket: .event)
        self.append(#"[""#)
        self.append(name)
        self.append(#"","#)
        argument(&self)
        self.append("]")
    }

    /// Appends the acknowledgement of an event of the main namespace: `3<id>[<argument>]`.
    ///
    /// - Parameter argument: writes JSON.
    public mutating func append(socketAck id: Int, _ argument: (inout ByteBuffer) -> Void) {
        self.append(socketPacket: .ack, ackID: id)
        self.append("[")
        argument(&self)
        self.append("]")
    }

    /// Appends the answer to an accepted CONNECT: `0{"sid":…}`, with `pid` if the connection can be
    /// recovered.
    mutating func append(socketConnected sid: String, pid: String?) {
        self.append(socketPacket: .connect)
        self.append(#"{"sid":"#)
        self.append(jsonString: sid)
        if let pid {
            self.append(#","pid":"#)
            self.append(jsonString: pid)
        }
        self.append("}")
    }

    /// Appends the answer to a rejected CONNECT: `4{"message":…}`.
    mutating func append(socketConnectError message: String, namespace: ByteString? = nil) {
        self.append(socketPacket: .connectError, namespace: namespace)
        self.append(#"{"message":"#)
        self.append(jsonString: message)
        self.append("}")
    }
}
