/// The hash by which conversations find their shard: the same on every node, in every version.
///
/// Not Hasher, which Swift seeds per process. FNV-1a over 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/),
/// then the finaliser of MurmurHash3: ids differ in their last byte, and plain FNV hardly mixes that one.
public enum StableHash {
    /// FNV-1a, continued from `state` so that several texts can be hashed one behind the other.
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

    /// Every bit of the input moves every bit of the output (MurmurHash3's `fmix64`).
    @inlinable
    public static func mix(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ (mixed >> 33)) &* 0xFF51_AFD7_ED55_8CCD
        mixed = (mixed ^ (mixed >> 33)) &* 0xC4CE_B9FE_1A85_EC53
        return mixed ^ (mixed >> 33)
    }

    /// Of texts one behind the other, each ended by a byte that no UTF-8 has.
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
