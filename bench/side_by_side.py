#!/usr/bin/env python3
"""What a change costs: W2 by two or more builds at the same time, so that all of them have the same noise.

    bench/side_by_side.py [--rounds N] [--seconds N] CONFAB CONFAB...

Each is the path of a program, with options of `confab serve` behind it where they are quoted together. In each round all of them serve at
once, each with its share of W2 (5,000 connections in conversations of ten, 2,000 messages a second), and a generator each. Prints the
CPU time of a message, and its ratio to the first program's: the mean of the rounds, and that mean's standard error. On a machine whose
rounds differ by a tenth from each other, ten rounds tell half a hundredth. The figures themselves are no measure of a server that is
alone: beside others it has less of the processor's caches.
"""
import argparse
import json
import pathlib
import random
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile

import node

CONNECTIONS = 5000
RATE = 2000
MEMBERS = 10


def measure(programs, seconds, folder):
    """One round: microseconds of CPU time a message, by program."""
    order = list(range(len(programs)))
    random.shuffle(order)
    connections = CONNECTIONS // len(programs) // MEMBERS * MEMBERS
    servers, generators, figures = {}, {}, {}
    try:
        for number in order:
            path, *options = shlex.split(programs[number])
            servers[number] = node.serve([path], folder, *options, log=f"log-{number}")
        for number in order:
            server, url, _ = servers[number]
            # One and the same generator for all.
            generators[number] = subprocess.Popen(
                [shlex.split(programs[0])[0], "bench", "groups", url, "--connections", str(connections), "--groups", str(connections // MEMBERS),
                 "--publishers", "2", "--rate", str(RATE // len(programs)), "--seconds", str(seconds), "--warmup", "2",
                 "--secret-file", f"{folder}/secret", "--server-pid", str(server.pid), "--output", "json"], stdout=subprocess.PIPE)
        for number in order:
            report = json.loads(generators[number].communicate(timeout=seconds + 60)[0])
            if report["result"] != "ok":
                sys.exit(f"{programs[number]}: {report['failures']}")
            figures[number] = report["server"]["cpu_us_per_message"]
    finally:
        for process in [*generators.values(), *(server for server, *_ in servers.values())]:
            process.terminate()
            process.wait(20)
    return [figures[number] for number in range(len(programs))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("programs", nargs="+", metavar="CONFAB")
    wanted = parser.parse_args()
    if wanted.rounds < 2 or wanted.seconds < 1 or len(wanted.programs) < 2:
        parser.error("two programs, two rounds and one second are the least")
    programs = [shlex.join([str(pathlib.Path(path).resolve()), *options]) for path, *options in map(shlex.split, wanted.programs)]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(wanted.rounds):
            rounds.append(measure(programs, wanted.seconds, folder))
            print(f"round {number + 1}: " + ", ".join(f"{figure:.1f}" for figure in rounds[-1]), file=sys.stderr, flush=True)
    print("| program | CPU µs a message | × the first |")
    print("|---|---|---|")
    for place, program in enumerate(wanted.programs):
        ratios = [figures[place] / figures[0] for figures in rounds]
        error = statistics.stdev(ratios) / len(ratios) ** 0.5
        print(f"| {program} | {statistics.mean(figures[place] for figures in rounds):.1f} | {statistics.mean(ratios):.3f} ± {error:.3f} |")


main()
