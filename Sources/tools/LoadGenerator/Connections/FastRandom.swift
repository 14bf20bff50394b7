/// Random numbers for handshake keys and frame masks (SplitMix64).
///
/// The RFC requires unpredictable masks because of untrusted pages in a browser (RFC 6455 section
/// 10.3). Here only the load generator writes frames. The system's generator costs one system call
/// per number: 16 of them for every key.
struct FastRandom: RandomNumberGenerator {
    private var state = UInt64.random(in: .min ... .max)

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func mask() -> UInt32 { UInt32(truncatingIfNeeded: self.next()) }
}
