#!/usr/bin/env python3
"""Prints the runs of script/benchmark as Markdown: tables.py FILE

Each line of the file is one run: {"server", "workload", "round", "report"}, the report as `confab bench --output json` writes it. The figure
to quote is the median over the rounds; the ratio is to `raw` of the same round, because a machine that slows down does so for all servers.
"""
import json
import statistics
import sys

# What a workload is, the figure of it and its unit, and what else is worth a column.
WORKLOADS = {
    "W1": ("1 conversation, 1,000 subscribers, 50 messages a second", "cpu_us_per_delivery", "CPU µs per delivery", "latency_us"),
    "W1s": ("the same, as fast as taken, 64 messages on their way", "cpu_us_per_delivery", "CPU µs per delivery", "latency_us"),
    "W2": ("5,000 connections in 500 conversations, 2,000 messages a second", "cpu_us_per_message", "CPU µs per message", "latency_us"),
    "W3": ("{connections:,} idle connections in 1,000 conversations", "pss_bytes_per_connection", "PSS KiB per connection", None),
    "W4": ("10,000 connects with token and entrance, 256 at a time", "cpu_us_per_connect", "CPU µs per connect", "connect_us"),
    "W5a": ("two nodes: W1, the publishers on the first", "cpu_us_per_delivery", "CPU µs per delivery, of all nodes and Redis", "latency_us"),
    "W5b": ("one, two and four nodes: W2, the publishers on the first", "cpu_us_per_message", "CPU µs per message, of all nodes and Redis",
            "latency_us"),
    "W5s": ("the same as fast as taken, 4,000 messages on their way", "cpu_us_per_message",
            "CPU µs per message, of all nodes and Redis", "latency_us"),
    "W6": ("1,000 senders in 1,000 conversations, each sends when answered", "cpu_us_per_answer", "CPU µs per answered send", "answer_us"),
    "W6p": ("the same, 1,000 sends a second in all", "cpu_us_per_answer", "CPU µs per answered send", "answer_us"),
    "W7a": ("100 conversations with one connection each, 2,000 messages a second", "cpu_us_per_message", "CPU µs per message", "answer_us"),
    "W7b": ("{connections:,} conversations with one connection each, 2,000 messages a second", "cpu_us_per_message", "CPU µs per message",
            "answer_us"),
}
# What only Redis' counters tell, and how many connections it was with.
QUIET = ["W8a", "W8b", "W8c"]
SERVERS = ["raw", "raw-coalesce", "raw-redis", "raw-redis-2", "raw-redis-4", "raw-owners-2", "raw-owners-4", "confab", "confab-sqlite",
           "confab-pets", "confab-chats", "confab-rooms", "confab-rooms-polling", "confab-agents", "confab-mixed", "confab-redis",
           "confab-redis-2", "confab-redis-4"]


def figure(run, key):
    value = (run["report"]["server"] or {}).get(key)
    if value is not None and key.startswith("pss_bytes"):
        return value / 1024
    return value


def spread(values, places=2):
    if not values:
        return "–"
    return f"{statistics.median(values):.{places}f} ({min(values):.{places}f}–{max(values):.{places}f})"


def microseconds(value):
    return f"{value:,.0f} µs" if value < 10_000 else f"{value / 1000:,.0f} ms"


def latency(runs, key, floor):
    found = [run for run in runs if key and run["report"].get(key)]
    if not found:
        return "–"
    said = " / ".join(microseconds(statistics.median(run["report"][key][part] for run in found)) for part in ("p50", "p99"))
    ratios = [run["report"][key]["p50"] / floor[run["round"]] for run in found if floor.get(run["round"])]
    return f"{said} (× raw {statistics.median(ratios):.2f})" if ratios else said


def redis_remarks(reports):
    """What each process took, Redis' first as it was started, and how many commands that was."""
    said = []
    processes = [r["server"]["processes"] for r in reports]
    if all(p[0]["cpu_us_per_message"] is not None for p in processes):
        places = [statistics.median(p[place]["cpu_us_per_message"] for p in processes) for place in range(len(processes[0]))]
        nodes = ", ".join(f"{name} {took:.1f}" for name, took in zip("ABCDEFGHI", places[1:]))
        said.append(f"per message: Redis {places[0]:.1f}, {nodes}")
    given = statistics.median(r["redis"]["commands_per_message"] for r in reports)
    inside = statistics.median(r["redis"]["script_commands_per_message"] for r in reports)
    names = reports[-1]["redis"]["commands"].items()
    often = ", ".join(f"{name} {calls / reports[-1]['published']:.2f}" for name, calls in names if calls * 20 > reports[-1]["published"])
    said.append(f"{given:.2f} commands of Redis a message, {inside:.2f} more by scripts (of all: {often})")
    return said


def remarks(workload, runs):
    reports = [run["report"] for run in runs]
    said = []
    if workload in ("W1s", "W2", "W5b", "W5s"):
        said.append(f"{statistics.median(r['deliveries_per_second'] for r in reports):,.0f} deliveries/s")
    if workload == "W5s":
        messages = statistics.median(r["published"] / r["measured_seconds"] for r in reports)
        said.append(f"{messages:,.0f} messages/s")
    if workload == "W6":
        said.append(f"{statistics.median(r['answers_per_second'] for r in reports):,.0f} answers/s")
    if workload == "W4":
        said.append(f"{statistics.median(r['connects_per_second'] for r in reports):,.0f} connects/s")
    if workload == "W3":
        idle = statistics.median(r["server"]["idle_cpu_us_per_connection_second"] or 0 for r in reports)
        resident = statistics.median(r["server"]["rss_bytes_per_connection"] for r in reports) / 1024
        said.append(f"RSS {resident:.2f} KiB; idle CPU {idle:.2f} µs a second per connection")
    else:
        said.append(f"peak RSS {statistics.median(r['server']['peak_rss_bytes'] for r in reports) / 2**20:.0f} MiB")
    if workload in ("W1", "W1s", "W2", "W5a", "W5b", "W6"):
        said.append(f"{statistics.median(r['bytes_per_delivery'] or 0 for r in reports):.0f} B per delivery")
    if all(r.get("redis") for r in reports):
        said += redis_remarks(reports)
    return "; ".join(said)


def table(workload, runs):
    what, key, unit, latency_key = WORKLOADS[workload]
    first = runs[0]["report"]
    print(f"\n## {workload}: {what.format(connections=first['connections'])}\n")
    heard = {"answer_us": "answer", "connect_us": "connect"}.get(latency_key, "latency")
    print(f"| server | {unit}: median (min–max) | × raw, by round | {heard} p50 / p99 | deliveries | failures | more |")
    print("|---|---|---|---|---|---|---|")
    floor = {run["round"]: figure(run, key) for run in runs if run["server"] == "raw" and run["report"]["result"] == "ok"}
    floor_latency = {
        run["round"]: run["report"][latency_key]["p50"]
        for run in runs if latency_key and run["server"] == "raw" and run["report"].get(latency_key)}
    for server in SERVERS:
        mine = [run for run in runs if run["server"] == server]
        good = [run for run in mine if run["report"]["result"] == "ok" and figure(run, key) is not None]
        if not mine:
            continue
        failures = sorted({sentence for run in mine for sentence in run["report"]["failures"]})
        if not good:
            print(f"| {server} | – | – | – | – | {'; '.join(failures).replace('|', '/')} | |")
            continue
        ratios = [figure(run, key) / floor[run["round"]] for run in good if floor.get(run["round"])]
        deliveries = sum(run["report"]["deliveries"] for run in good)
        said = f"{len(mine) - len(good)} of {len(mine)} runs: {'; '.join(failures)}".replace("|", "/") if len(mine) > len(good) else "none"
        print(f"| {server} | {spread([figure(run, key) for run in good])} | {spread(ratios)} | {latency(good, latency_key, floor_latency)} | "
              f"{deliveries:,} | {said} | {remarks(workload, good)} |")


def quiet_table(runs):
    """One row for each run: nothing of it is a time."""
    print("\n## W8: what Redis is asked by two nodes while nobody says anything\n")
    print("| connections, each in a conversation of its own | seconds | channels | commands | of these | failures |")
    print("|---|---|---|---|---|---|")
    for run in runs:
        report = run["report"]
        failures = "; ".join(report["failures"]).replace("|", "/") or "none"
        if not report.get("redis"):
            print(f"| {report['connections']:,} | – | – | – | – | {failures} |")
            continue
        redis = report["redis"]
        names = ", ".join(f"{name} {calls}" for name, calls in redis["commands"].items())
        total = redis["commands_given"] + redis["commands_in_scripts"]
        print(f"| {report['connections']:,} | {report['measured_seconds']:.0f} | {redis['channels']} | {total} | {names} | {failures} |")


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        runs = [json.loads(line) for line in file if line.strip()]
    # A file that was appended to has rounds of the same number: the later ones get the next numbers.
    seen = {}
    for run in runs:
        key = (run["workload"], run["server"])
        seen[key] = seen.get(key, 0) + 1
        run["round"] = seen[key]
    for workload in WORKLOADS:
        mine = [run for run in runs if run["workload"] == workload]
        if mine:
            table(workload, mine)
    mine = [run for run in runs if run["workload"] in QUIET]
    if mine:
        quiet_table(sorted(mine, key=lambda run: (run["workload"], run["round"])))


if __name__ == "__main__":
    main()
