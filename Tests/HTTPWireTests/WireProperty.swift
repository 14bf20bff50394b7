import Bytes
import HTTPWire

/// Properties that hold for any bytes. The fuzzer (`script/fuzz`) and the corpus in the ordinary
/// tests supply the bytes. A violation ends the process.
enum WireProperty {
    /// The parsed requests and the final error do not depend on how the bytes are split.
    ///
    /// - Returns: whether all bytes were accepted.
    @discardableResult
    static func checkHTTP(_ bytes: [UInt8]) -> Bool {
        var whole = HTTPTestReader()
        whole.limits = HTTPLimits(headBytes: 600, requestLineBytes: 200, fieldCount: 10)
        whole.bodyLimit = 100
        var byteWise = whole
        let wholeError = whole.error(receiving: [bytes])
        let byteWiseError = byteWise.error(receiving: bytes.map { [$0] })
        precondition(
            wholeError?.status == byteWiseError?.status,
            "\(String(describing: wholeError)) \(String(describing: byteWiseError))")
        precondition(
            whole.requests.count == byteWise.requests.count,
            "\(whole.requests) \(byteWise.requests)")
        precondition(
            wholeError != nil
                || whole.requests == byteWise.requests && whole.unread == byteWise.unread,
            "\(whole.requests) \(byteWise.requests)")
        self.checkResponse(bytes)
        return wholeError == nil
    }

    private static func checkResponse(_ bytes: [UInt8]) {
        var parser = HTTPResponseParser()
        var head = HTTPResponseHead()
        guard (try? parser.parse(bytes.span.bytes, into: &head)) == true else { return }
        precondition(
            head.byteCount <= bytes.count && (100...999).contains(head.status.rawValue), "\(head)")
    }

    /// The received messages and the final error do not depend on how the bytes are split.
    ///
    /// - Parameter bytes: the first byte selects the role of the reader and whether compression was
    ///   negotiated.
    /// - Returns: whether all bytes were accepted.
    @discardableResult
    static func checkWebSocket(_ bytes: [UInt8]) -> Bool {
        guard let choice = bytes.first else { return false }
        let limits = WebSocketLimits(frameBytes: 70_000, messageBytes: 80_000)
        let role: WebSocketReader.EndpointRole = choice & 1 == 0 ? .server : .client
        var whole = WebSocketTestReader(
            role: role, acceptsCompression: choice & 2 != 0, limits: limits)
        var byteWise = WebSocketTestReader(
            role: role, acceptsCompression: choice & 2 != 0, limits: limits)
        let wholeError = whole.error(receiving: [Array(bytes.dropFirst())])
        let byteWiseError = byteWise.error(receiving: bytes.dropFirst().map { [$0] })
        precondition(
            wholeError == byteWiseError,
            "\(String(describing: wholeError)) \(String(describing: byteWiseError))")
        precondition(whole.received == byteWise.received, "\(whole.received) \(byteWise.received)")
        return wholeError == nil
    }

    /// The output never exceeds the limit, and compressed data can be decompressed.
    ///
    /// - Returns: whether the bytes could be decompressed.
    @discardableResult
    static func checkInflate(_ bytes: [UInt8]) -> Bool {
        let inflater = Inflater()
        let byteLimit = 20_000
        func inflate(_ message: [UInt8]) -> Bool {
            do throws(InflateError) {
                try message.span.bytes.withUnsafeBytes { bytes throws(InflateError) in
                    try inflater.inflate(bytes, byteLimit: byteLimit)
                }
                return true
            } catch {
                return false
            }
        }
        let isGood = inflate(bytes)
        precondition(
            inflater.output.count <= byteLimit,
            "The output exceeds the limit: \(inflater.output.count)")
        precondition(isGood || inflater.output.isEmpty, "Invalid data was decompressed.")

        var deflated = ByteBuffer()
        let deflater = Deflater()
        if bytes.count <= byteLimit,
            bytes.withUnsafeBytes({ deflater.deflate($0, into: &deflated) })
        {
            precondition(deflated.count < bytes.count, "The compressed message is longer.")
            precondition(
                inflate(deflated.bytes) && inflater.output.elementsEqual(bytes),
                "The compressed message is decompressed to other bytes.")
        }
        return isGood
    }
}
