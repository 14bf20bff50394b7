#!/usr/bin/env python3
"""Compares the CPU time of two or more builds that serve one workload at the same time.

    bench/side_by_side.py [--workload W1|W2|W6] [--rounds N] [--seconds N] CONFAB CONFAB...

Each CONFAB is the path of a program. Options of `confab serve` may follow it within the same
quotes. In each round all programs run at once, so that all have the same noise. Each serves an
equal share of the workload and has its own load generator. The workloads are those of
`script/benchmark`; W2 is the default.

Prints the CPU time, and the ratio to the first program: the geometric mean of the rounds and its
standard error. The mean of the ratios themselves would be too high for every program but the first.
Do not use the CPU times as figures of a single server: here each server has only a part of the
processor's cache.
"""

import argparse
import json
import math
import pathlib
import random
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile

import node

# The figure of each workload, and its load for one of `share` servers.
WORKLOADS = {
    "W1": (
        "delivery",
        lambda share: f"broadcast --connections {1000 // share} --publishers 10 --rate 50",
    ),
    "W2": (
        "message",
        lambda share: f"groups --connections {5000 // share // 10 * 10}"
        f" --groups {5000 // share // 10} --rate {2000 // share} --publishers 2",
    ),
    "W6": ("answer", lambda share: f"send --connections {1000 // share}"),
}


def start_generator(generator, load, server, url, seconds, folder):
    scenario, *options = load.split()
    command = [generator, "bench", scenario, url, *options]
    times = ["--seconds", str(seconds), "--warmup", "2"]
    secret = ["--secret-file", f"{folder}/secret"]
    output = ["--server-pid", str(server.pid), "--output", "json"]
    return subprocess.Popen([*command, *times, *secret, *output], stdout=subprocess.PIPE)


def measure(programs, workload, seconds, folder):
    """Runs one round, and returns the CPU time of each program in microseconds."""
    figure, load = WORKLOADS[workload]
    order = list(range(len(programs)))
    random.shuffle(order)
    # All servers have the same generator.
    generator = shlex.split(programs[0])[0]
    servers, generators, figures = {}, {}, {}
    try:
        for index in order:
            path, *options = shlex.split(programs[index])
            servers[index] = node.serve([path], folder, *options, log=f"log-{index}")
        for index in order:
            server, url, _ = servers[index]
            generators[index] = start_generator(
                generator, load(len(programs)), server, url, seconds, folder
            )
        for index in order:
            report = json.loads(generators[index].communicate(timeout=seconds + 60)[0])
            if report["result"] != "ok":
                sys.exit(f"{programs[index]}: {report['failures']}")
            figures[index] = report["server"][f"cpu_us_per_{figure}"]
    finally:
        for process in [*generators.values(), *(server for server, *_ in servers.values())]:
            process.terminate()
            process.wait(20)
    return [figures[index] for index in range(len(programs))]


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workload", choices=WORKLOADS, default="W2", help="workload (W2)")
    parser.add_argument("--rounds", type=int, default=10, help="number of rounds (10)")
    parser.add_argument("--seconds", type=int, default=8, help="length of a round's load (8)")
    parser.add_argument("programs", nargs="+", metavar="CONFAB", help="program to compare")
    arguments = parser.parse_args()
    if len(arguments.programs) < 2:
        parser.error("CONFAB: at least two programs are required")
    if arguments.rounds < 2:
        parser.error("--rounds: at least 2 are required")
    if arguments.seconds < 1:
        parser.error("--seconds: at least 1 is required")
    return arguments


def main():
    arguments = parse_arguments()
    programs = [
        shlex.join([str(pathlib.Path(path).resolve()), *options])
        for path, *options in map(shlex.split, arguments.programs)
    ]
    _, file_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (file_limit, file_limit))
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(1, arguments.rounds + 1):
            rounds.append(measure(programs, arguments.workload, arguments.seconds, folder))
            figures = ", ".join(f"{figure:.2f}" for figure in rounds[-1])
            print(f"round {number}: {figures}", file=sys.stderr, flush=True)
    print(f"| program | CPU µs per {WORKLOADS[arguments.workload][0]} | × the first |")
    print("|---|---|---|")
    for index, program in enumerate(arguments.programs):
        cpu = statistics.mean(figures[index] for figures in rounds)
        logarithms = [math.log(figures[index] / figures[0]) for figures in rounds]
        ratio = math.exp(statistics.mean(logarithms))
        error = ratio * statistics.stdev(logarithms) / len(rounds) ** 0.5
        print(f"| {program} | {cpu:.2f} | {ratio:.3f} ± {error:.3f} |")


main()
