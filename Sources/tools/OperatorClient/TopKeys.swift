/// Parses the keys of `confab top` from the bytes of a terminal in raw mode.
struct TopKeys {
    /// How much of a sequence, such as an arrow key, has arrived.
    private enum SequenceProgress { case none, escape, parameters }

    private var progress = SequenceProgress.none

    /// - Returns: the keys. Those without a meaning are `other`: any key closes the list of keys.
    mutating func parse(_ bytes: some Sequence<UInt8>) -> [TopScreen.Key] {
        var keys: [TopScreen.Key] = []
        for byte in bytes {
            switch (self.progress, byte) {
            case (.none, 0x1B): self.progress = .escape
            // Arrow keys are `ESC [ C` or, in the application mode of some terminals, `ESC O C`.
            case (.escape, UInt8(ascii: "[")), (.escape, UInt8(ascii: "O")):
                self.progress = .parameters
            // Parameters of another key, such as Delete.
            case (.parameters, UInt8(ascii: "0")...UInt8(ascii: "9")),
                (.parameters, UInt8(ascii: ";")):
                break
            case (.parameters, _):
                self.progress = .none
                switch byte {
                case UInt8(ascii: "C"): keys.append(.nextView)
                case UInt8(ascii: "D"): keys.append(.previousView)
                default: keys.append(.other)
                }
            default:
                self.progress = .none
                keys.append(Self.key(byte))
            }
        }
        return keys
    }

    private static func key(_ byte: UInt8) -> TopScreen.Key {
        switch byte {
        case UInt8(ascii: "s"): .sort
        case UInt8(ascii: "r"): .reverse
        case UInt8(ascii: "p"): .pause
        case UInt8(ascii: "?"), UInt8(ascii: "h"): .help
        case UInt8(ascii: "q"): .quit
        case UInt8(ascii: "\t"): .nextView
        default: .other
        }
    }
}
