import Bytes
import ConfabClient
public import Configuration
import EventLoop
import Identity
import JSON
import TLS
import Telemetry

/// The load generator: `confab bench`.
public enum Benchmark {
    /// Runs a benchmark and writes its report.
    ///
    /// - Parameters:
    ///   - adapters: the choices of `--adapter`; the first is the default.
    ///   - write: receives the report, as text or as one JSON document, with a newline at the end.
    ///   - printError: receives lines for standard error.
    /// - Returns: the exit status: 0 when every message arrived once and in order, else 1.
    public static func run(
        _ options: BenchOptions, adapters: [LoadAdapter], write: (String) -> Void,
        printError: (String) -> Void
    ) -> Int32 {
        do throws(BenchmarkError) {
            let report = try self.report(of: options, adapters)
            write(options.output == .json ? report.json.text + "\n" : report.text)
            // The JSON document is for programs, so the failures are also printed for the user.
            if options.output == .json {
                for line in report.failures.descriptions { printError(line) }
            }
            return report.isGood ? 0 : 1
        } catch {
            printError(error.description)
            return 1
        }
    }

    static func report(of options: BenchOptions, _ adapters: [LoadAdapter])
        throws(BenchmarkError) -> BenchmarkReport
    {
        let name = "bench-" + Hex.encode((0..<4).map { _ in UInt8.random(in: 0...255) })
        let plan = try LoadPlan(options, name: name, adapters: adapters)
        for process in options.serverProcesses where ProcessStatistics(of: process) == nil {
            throw .noSuchProcess(process)
        }
        let dialect = try self.dialect(plan, options)
        let tls = try self.tlsContext(plan, options)
        let limit = ProcessSetup.raiseDescriptorLimit()
        guard plan.connections + 32 <= limit else {
            throw .option(
                "--connections",
                problem: "this process may open only \(limit) files (see ulimit -n)"
            )
        }
        let addresses = try plan.urls.map { url throws(BenchmarkError) in try self.address(of: url)
        }
        let counter = try options.redis.map { url throws(BenchmarkError) in try CommandCounter(url)
        }
        let sampler = ServerSampler(processes: options.serverProcesses, counter: counter)
        do throws(SocketError) {
            // A constant rate needs short ticks.
            let tick: Duration = plan.pacing == .quiet ? .milliseconds(20) : .milliseconds(1)
            let loop = try EventLoop.start(name: "bench", tickPeriod: tick)
            let run = LoadRun(
                plan, on: loop, addresses: addresses, dialect: dialect, tls: tls, sampler: sampler)
            let handler = LoadRunHandler(run, on: loop)
            loop.setHandler(handler)
            loop.join()
            guard let report = handler.report else {
                preconditionFailure("The benchmark's loop ended without a report.")
            }
            return report
        } catch {
            throw .socket(error)
        }
    }

    private static func dialect(_ plan: LoadPlan, _ options: BenchOptions)
        throws(BenchmarkError) -> MemberFrames
    {
        var signer: TokenSigner?
        if plan.adapter.needsTokens {
            guard let path = options.secretFile else {
                throw .option(
                    "--secret-file",
                    problem: "the server's secret is required to sign the users' tokens")
            }
            do throws(KeyError) {
                signer = TokenSigner(secret: try SecretFile(path: path).read())
            } catch {
                throw .secret(error)
            }
        }
        // Longer than any run.
        let expiry = Timestamp(milliseconds: WallClock.now.milliseconds + 30 * 86_400_000)
        return MemberFrames(plan, signer: signer, tokenExpiry: expiry)
    }

    private static func tlsContext(_ plan: LoadPlan, _ options: BenchOptions)
        throws(BenchmarkError) -> TLSContext?
    {
        guard plan.urls.contains(where: \.isSecure) else { return nil }
        do throws(TLSError) {
            return try TLSContext(clientTrusting: options.authorities, offersHTTP: true)
        } catch {
            throw .client(.tls(error))
        }
    }

    /// Returns the first address of the host that accepts connections: `localhost` has two, and
    /// servers often listen on one.
    private static func address(of url: WebSocketURL) throws(BenchmarkError) -> SocketAddress {
        do throws(ClientError) {
            return try ReachableAddress.find(host: url.host, port: url.port)
        } catch {
            throw .client(error)
        }
    }
}
