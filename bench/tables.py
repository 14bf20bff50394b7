#!/usr/bin/env python3
"""Prints the runs of script/benchmark as Markdown tables.

    bench/tables.py FILE

Each line of the file is one run: {"server", "workload", "round", "report"}. The report is the
output of `confab bench --output json`. Quote the median over the rounds. The ratio is relative to
`raw` of the same round, because a slower machine slows down all servers.
"""

import json
import statistics
import sys

# For each workload: its description, the key of its figure, the figure's unit, and the key of its
# latency.
WORKLOADS = {
    "W1": (
        "1 conversation, 1,000 subscribers, 50 messages per second",
        "cpu_us_per_delivery",
        "CPU µs per delivery",
        "latency_us",
    ),
    "W1s": (
        "the same as fast as possible, 64 messages in flight",
        "cpu_us_per_delivery",
        "CPU µs per delivery",
        "latency_us",
    ),
    "W2": (
        "5,000 connections in 500 conversations, 2,000 messages per second",
        "cpu_us_per_message",
        "CPU µs per message",
        "latency_us",
    ),
    "W3": (
        "{connections:,} idle connections in 1,000 conversations",
        "pss_bytes_per_connection",
        "PSS KiB per connection",
        None,
    ),
    "W4": (
        "10,000 connects with token and join, 256 at a time",
        "cpu_us_per_connect",
        "CPU µs per connect",
        "connect_us",
    ),
    "W5a": (
        "W1 on two nodes, the publishers on the first",
        "cpu_us_per_delivery",
        "CPU µs per delivery (all nodes and Redis)",
        "latency_us",
    ),
    "W5b": (
        "W2 on one, two and four nodes, the publishers on the first",
        "cpu_us_per_message",
        "CPU µs per message (all nodes and Redis)",
        "latency_us",
    ),
    "W5s": (
        "the same as fast as possible, 4,000 messages in flight",
        "cpu_us_per_message",
        "CPU µs per message (all nodes and Redis)",
        "latency_us",
    ),
    "W6": (
        "1,000 senders in 1,000 conversations; each sends after its answer",
        "cpu_us_per_answer",
        "CPU µs per answered send",
        "answer_us",
    ),
    "W6p": (
        "the same senders, 1,000 messages per second in total",
        "cpu_us_per_answer",
        "CPU µs per answered send",
        "answer_us",
    ),
    "W7a": (
        "100 conversations with one connection each, 2,000 messages per second",
        "cpu_us_per_message",
        "CPU µs per message",
        "answer_us",
    ),
    "W7b": (
        "{connections:,} conversations with one connection each, 2,000 messages per second",
        "cpu_us_per_message",
        "CPU µs per message",
        "answer_us",
    ),
}
# These workloads have no time to measure: only Redis' counters.
SILENT = ["W8a", "W8b", "W8c"]
SERVERS = [
    "raw",
    "raw-coalesce",
    "raw-redis",
    "raw-redis-2",
    "raw-redis-4",
    "raw-owners-2",
    "raw-owners-4",
    "confab",
    "confab-sqlite",
    "confab-pets",
    "confab-chats",
    "confab-rooms",
    "confab-rooms-polling",
    "confab-agents",
    "confab-mixed",
    "confab-redis",
    "confab-redis-2",
    "confab-redis-4",
]


def figure(run, key):
    value = (run["report"]["server"] or {}).get(key)
    if value is not None and key.startswith("pss_bytes"):
        return value / 1024
    return value


def spread(values):
    """The median, the lowest and the highest value."""
    if not values:
        return "–"
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def median(reports, value):
    return statistics.median(value(report) for report in reports)


def failure_text(failures):
    return "; ".join(failures).replace("|", "/")


def microseconds(value):
    return f"{value:,.0f} µs" if value < 10_000 else f"{value / 1000:,.0f} ms"


def latency(runs, key, floor):
    """The median p50 and p99, and the ratio of p50 to the floor's p50 of the same round."""
    measured = [run for run in runs if key and run["report"].get(key)]
    if not measured:
        return "–"
    text = " / ".join(
        microseconds(statistics.median(run["report"][key][part] for run in measured))
        for part in ("p50", "p99")
    )
    ratios = [
        run["report"][key]["p50"] / floor[run["round"]]
        for run in measured
        if floor.get(run["round"])
    ]
    return f"{text} (× raw {statistics.median(ratios):.2f})" if ratios else text


def redis_remarks(reports):
    """The CPU time of each process, Redis first, and the number of Redis commands."""
    texts = []
    processes = [report["server"]["processes"] for report in reports]
    if all(run[0]["cpu_us_per_message"] is not None for run in processes):
        redis, *nodes = (
            statistics.median(run[index]["cpu_us_per_message"] for run in processes)
            for index in range(len(processes[0]))
        )
        node_text = ", ".join(f"{name} {cpu:.1f}" for name, cpu in zip("ABCDEFGHI", nodes))
        texts.append(f"CPU µs per message: Redis {redis:.1f}, {node_text}")
    direct = median(reports, lambda report: report["redis"]["commands_per_message"])
    by_scripts = median(reports, lambda report: report["redis"]["script_commands_per_message"])
    published = reports[-1]["published"]
    frequent = ", ".join(
        f"{name} {calls / published:.2f}"
        for name, calls in reports[-1]["redis"]["commands"].items()
        if calls * 20 > published
    )
    texts.append(
        f"Redis commands per message: {direct:.2f} direct, {by_scripts:.2f} by scripts ({frequent})"
    )
    return texts


def remarks(workload, runs):
    """The text of the column "more"."""
    reports = [run["report"] for run in runs]
    texts = []
    if workload in ("W1s", "W2", "W5b", "W5s"):
        rate = median(reports, lambda report: report["deliveries_per_second"])
        texts.append(f"{rate:,.0f} deliveries/s")
    if workload == "W5s":
        rate = median(reports, lambda report: report["published"] / report["measured_seconds"])
        texts.append(f"{rate:,.0f} messages/s")
    if workload == "W6":
        rate = median(reports, lambda report: report["answers_per_second"])
        texts.append(f"{rate:,.0f} answers/s")
    if workload == "W4":
        rate = median(reports, lambda report: report["connects_per_second"])
        texts.append(f"{rate:,.0f} connects/s")
    servers = [report["server"] for report in reports]
    if workload == "W3":
        idle = median(servers, lambda server: server["idle_cpu_us_per_connection_second"] or 0)
        resident = median(servers, lambda server: server["rss_bytes_per_connection"]) / 1024
        texts.append(f"RSS {resident:.2f} KiB; idle CPU {idle:.2f} µs per second and connection")
    else:
        peak = median(servers, lambda server: server["peak_rss_bytes"]) / 2**20
        texts.append(f"peak RSS {peak:.0f} MiB")
    if workload in ("W1", "W1s", "W2", "W5a", "W5b", "W6"):
        size = median(reports, lambda report: report["bytes_per_delivery"] or 0)
        texts.append(f"{size:.0f} B per delivery")
    if all(report.get("redis") for report in reports):
        texts += redis_remarks(reports)
    return "; ".join(texts)


def table(workload, runs):
    description, key, unit, latency_key = WORKLOADS[workload]
    connections = runs[0]["report"]["connections"]
    print(f"\n## {workload}: {description.format(connections=connections)}\n")
    latency_name = {"answer_us": "answer", "connect_us": "connect"}.get(latency_key, "latency")
    print(
        f"| server | {unit}: median (min–max) | × raw, by round | {latency_name} p50 / p99"
        " | deliveries | failures | more |"
    )
    print("|---|---|---|---|---|---|---|")
    floor = {
        run["round"]: figure(run, key)
        for run in runs
        if run["server"] == "raw" and run["report"]["result"] == "ok"
    }
    floor_latency = {
        run["round"]: run["report"][latency_key]["p50"]
        for run in runs
        if latency_key and run["server"] == "raw" and run["report"].get(latency_key)
    }
    for server in SERVERS:
        server_runs = [run for run in runs if run["server"] == server]
        if server_runs:
            row(workload, server, server_runs, floor, floor_latency)


def row(workload, server, runs, floor, floor_latency):
    _, key, _, latency_key = WORKLOADS[workload]
    good = [run for run in runs if run["report"]["result"] == "ok" and figure(run, key) is not None]
    failures = failure_text(
        sorted({failure for run in runs for failure in run["report"]["failures"]})
    )
    if not good:
        print(f"| {server} | – | – | – | – | {failures} | |")
        return
    ratios = [figure(run, key) / floor[run["round"]] for run in good if floor.get(run["round"])]
    columns = [
        server,
        spread([figure(run, key) for run in good]),
        spread(ratios),
        latency(good, latency_key, floor_latency),
        f"{sum(run['report']['deliveries'] for run in good):,}",
        (
            f"{len(runs) - len(good)} of {len(runs)} runs: {failures}"
            if len(runs) > len(good)
            else "none"
        ),
        remarks(workload, good),
    ]
    print(f"| {' | '.join(columns)} |")


def silent_table(runs):
    """One row per run, because no column is a time."""
    print("\n## W8: Redis commands of two nodes with silent connections\n")
    print(
        "| connections, each in its own conversation | seconds | channels | commands | of these"
        " | failures |"
    )
    print("|---|---|---|---|---|---|")
    for run in runs:
        report = run["report"]
        failures = failure_text(report["failures"]) or "none"
        if not report.get("redis"):
            print(f"| {report['connections']:,} | – | – | – | – | {failures} |")
            continue
        redis = report["redis"]
        columns = [
            f"{report['connections']:,}",
            f"{report['measured_seconds']:.0f}",
            str(redis["channels"]),
            str(redis["commands_given"] + redis["commands_in_scripts"]),
            ", ".join(f"{name} {calls}" for name, calls in redis["commands"].items()),
            failures,
        ]
        print(f"| {' | '.join(columns)} |")


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        runs = [json.loads(line) for line in file if line.strip()]
    # If several benchmarks appended to the file, round numbers repeat. Count them again.
    rounds = {}
    for run in runs:
        key = (run["workload"], run["server"])
        rounds[key] = rounds.get(key, 0) + 1
        run["round"] = rounds[key]
    for workload in WORKLOADS:
        workload_runs = [run for run in runs if run["workload"] == workload]
        if workload_runs:
            table(workload, workload_runs)
    silent_runs = [run for run in runs if run["workload"] in SILENT]
    if silent_runs:
        silent_table(sorted(silent_runs, key=lambda run: (run["workload"], run["round"])))


if __name__ == "__main__":
    main()
