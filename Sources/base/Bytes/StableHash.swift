/// The hash that assigns conversations to shards. It is the same on every node and in every
/// version.
///
/// Not Hasher: Swift seeds it per process. The hash is 64-bit FNV-1a
/// (http://www.isthe.com/chongo/tech/comp/fnv/) followed by the finaliser of MurmurHash3. Ids
/// differ in their last byte, and plain FNV hardly mixes that byte.
public enum StableHash {
    /// FNV-1a. Pass the previous result as `state` to hash several texts one after the other.
    @inlinable
    public static func fnv1a(
        _ bytes: UnsafeBufferPointer<UInt8>, from state: UInt64 = 0xCBF2_9CE4_8422_2325
    ) -> UInt64 {
        var hash = state
        for byte in bytes {
            hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
        }
        return hash
    }

    /// Mixes the bits so that every input bit affects every output bit (MurmurHash3's `fmix64`).
    @inlinable
    public static func mix(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ (mixed >> 33)) &* 0xFF51_AFD7_ED55_8CCD
        mixed = (mixed ^ (mixed >> 33)) &* 0xC4CE_B9FE_1A85_EC53
        return mixed ^ (mixed >> 33)
    }

    /// The hash of a sequence of texts. A byte that UTF-8 never contains ends each text.
    @inlinable
    public static func of(_ texts: ByteString...) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for text in texts {
            hash = text.withBytes { self.fnv1a($0, from: hash) }
            hash = (hash ^ 0xFF) &* 0x0000_0100_0000_01B3
        }
        return self.mix(hash)
    }
}
