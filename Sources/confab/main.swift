import Glibc

// A descriptor that the caller has closed would be given to the next file or socket, and the command would print into that.
for (descriptor, mode) in [
    (STDIN_FILENO, O_WRONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_WRONLY),
]
where fcntl(descriptor, F_GETFD) < 0 {
    _ = open("/dev/null", mode)
}

exit(await Program.run(Array(CommandLine.arguments.dropFirst())))
