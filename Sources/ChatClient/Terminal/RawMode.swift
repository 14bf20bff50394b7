internal import Glibc

/// Raw mode of a terminal, until `restore()`: the terminal passes on every key at once and echoes
/// none.
struct RawMode {
    private let descriptor: Int32
    private let savedSettings: termios

    /// Nil when the descriptor is not a terminal.
    init?(_ descriptor: Int32) {
        var settings = termios()
        guard tcgetattr(descriptor, &settings) == 0 else { return nil }
        self.descriptor = descriptor
        self.savedSettings = settings
        settings.c_lflag &= ~tcflag_t(ICANON | ECHO)
        settings.c_iflag &= ~tcflag_t(IXON)
        withUnsafeMutableBytes(of: &settings.c_cc) { keys in
            keys[Int(VMIN)] = 1
            keys[Int(VTIME)] = 0
            // Ctrl-C still sends its signal. Ctrl-Z is disabled, because the shell would get a
            // terminal without echo.
            keys[Int(VSUSP)] = 0
        }
        guard tcsetattr(descriptor, TCSADRAIN, &settings) == 0 else { return nil }
    }

    func restore() {
        var settings = self.savedSettings
        tcsetattr(self.descriptor, TCSADRAIN, &settings)
    }

    /// The width of the terminal; 80 where it is unknown.
    static func columns(of descriptor: Int32) -> Int {
        // `struct winsize`: rows, columns, and both in pixels.
        var size: (UInt16, UInt16, UInt16, UInt16) = (0, 0, 0, 0)
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.1 > 0 else { return 80 }
        return Int(size.1)
    }
}
