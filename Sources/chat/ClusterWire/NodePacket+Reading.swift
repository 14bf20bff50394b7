internal import ChatEngine

extension NodePacket {
    /// Reads a packet that the node `receiver` received. All contents are copied out of `bytes`,
    /// except interned keys.
    public init(
        _ bytes: RawSpan, for receiver: UInt64, key: ClusterKey, interning: inout KeyInterning
    ) throws(NodePacketError) {
        self = try bytes.withUnsafeBytes { bytes throws(NodePacketError) in
            guard bytes.count <= Self.byteLimit else { throw .tooLong(limit: Self.byteLimit) }
            guard bytes.count >= Self.headerBytes + Self.codeBytes else { throw .tooShort }
            // The position of the code is only known for this version.
            guard bytes[0] == Self.version else { throw .unsupportedVersion(bytes[0]) }
            guard key.isSealed(bytes) else { throw .notAuthentic }
            let packet = try Self(
                unsealed: UnsafeRawBufferPointer(rebasing: bytes.dropLast(Self.codeBytes)),
                interning: &interning)
            guard packet.to == receiver else { throw .wrongReceiver(packet.to) }
            return packet
        }
    }

    /// Reads a packet without its authentication code.
    init(unsealed bytes: UnsafeRawBufferPointer, interning: inout KeyInterning)
        throws(NodePacketError)
    {
        guard bytes.count >= Self.headerBytes else { throw .tooShort }
        guard bytes[0] == Self.version else { throw .unsupportedVersion(bytes[0]) }
        guard bytes[1] & Self.mandatoryFlags == 0 else { throw .unknownFlags(bytes[1]) }
        self.from = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt64.self))
        self.to = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 10, as: UInt64.self))
        // Moved, so that the reader does not modify a copy.
        var reader = WireReader(
            bytes, from: Self.headerBytes, interning: exchange(&interning, with: KeyInterning()))
        defer { interning = reader.keyInterning }
        var envelopes: [Envelope] = []
        do throws(WireDecodingError) {
            while !reader.isAtEnd {
                envelopes.append(try reader.envelope(from: self.from, to: self.to))
            }
        } catch {
            switch error {
            case .malformed(let defect): throw .malformed(defect, at: reader.position)
            case .unknownKind:
                preconditionFailure(
                    "an unknown kind outside of an item, at byte \(reader.position)")
            }
        }
        self.envelopes = envelopes
        self.unknownItemCount = reader.unknownItemCount
    }
}
