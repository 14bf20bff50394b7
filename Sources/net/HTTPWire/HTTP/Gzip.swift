internal import CZlib

/// The content coding `gzip` (RFC 9110 section 8.4.1.3).
public enum Gzip {
    /// Compresses a file with zlib's best level, which takes milliseconds: for files that are
    /// compressed once and sent often.
    public static func compress(_ bytes: [UInt8]) -> [UInt8] {
        var stream = z_stream()
        // 16 more window bits than the maximum of 15 request the gzip format.
        let status = deflateInit2_(
            &stream, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
            Int32(MemoryLayout<z_stream>.size))
        precondition(status == Z_OK, "zlib cannot begin to deflate: \(status).")
        defer { deflateEnd(&stream) }
        let bound = Int(deflateBound(&stream, UInt(bytes.count)))
        var input = bytes
        return [UInt8](unsafeUninitializedCapacity: bound) { output, count in
            input.withUnsafeMutableBufferPointer { input in
                stream.next_in = input.baseAddress
                stream.avail_in = UInt32(input.count)
                stream.next_out = output.baseAddress
                stream.avail_out = UInt32(bound)
                let status = deflate(&stream, Z_FINISH)
                precondition(status == Z_STREAM_END, "zlib did not finish: \(status).")
            }
            count = bound - Int(stream.avail_out)
        }
    }

    /// Whether an `Accept-Encoding` field allows the coding (RFC 9110 section 12.5.3). `gzip;q=0`
    /// forbids it.
    public static func isAccepted(by field: String?) -> Bool {
        guard let field else { return false }
        var wildcard: Bool?
        for item in field.lowercased().split(separator: ",") {
            let parts = item.filter { $0 != " " && $0 != "\t" }.split(separator: ";")
            let isAllowed = parts.dropFirst().first.map { !Self.isZero($0) } ?? true
            switch parts.first {
            case "gzip", "x-gzip": return isAllowed
            case "*": wildcard = isAllowed
            default: continue
            }
        }
        return wildcard ?? false
    }

    /// Whether a parameter such as `q=0.000` is a weight of zero.
    private static func isZero(_ parameter: Substring) -> Bool {
        parameter.hasPrefix("q=0") && parameter.dropFirst(3).allSatisfy { $0 == "." || $0 == "0" }
    }
}
