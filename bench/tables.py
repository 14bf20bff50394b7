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
    "W6": ("1,000 senders in 1,000 conversations, each sends when answered", "cpu_us_per_answer", "CPU µs per answered send", "answer_us"),
}
SERVERS = ["raw", "raw-coalesce", "confab", "confab-sqlite"]


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


def latency(runs, key):
    found = [run["report"][key] for run in runs if key and run["report"].get(key)]
    if not found:
        return "–"
    return " / ".join(microseconds(statistics.median(entry[part] for entry in found)) for part in ("p50", "p99"))


def remarks(workload, runs):
    reports = [run["report"] for run in runs]
    said = []
    if workload in ("W1s", "W2"):
        said.append(f"{statistics.median(r['deliveries_per_second'] for r in reports):,.0f} deliveries/s")
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
    if workload in ("W1", "W1s", "W2", "W6"):
        said.append(f"{statistics.median(r['bytes_per_delivery'] or 0 for r in reports):.0f} B per delivery")
    return "; ".join(said)


def table(workload, runs):
    what, key, unit, latency_key = WORKLOADS[workload]
    first = runs[0]["report"]
    print(f"\n## {workload}: {what.format(connections=first['connections'])}\n")
    print(f"| server | {unit}: median (min–max) | × raw, by round | latency p50 / p99 | deliveries | failures | more |")
    print("|---|---|---|---|---|---|---|")
    floor = {run["round"]: figure(run, key) for run in runs if run["server"] == "raw" and run["report"]["result"] == "ok"}
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
        print(f"| {server} | {spread([figure(run, key) for run in good])} | {spread(ratios)} | {latency(good, latency_key)} | "
              f"{deliveries:,} | {said} | {remarks(workload, good)} |")


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


if __name__ == "__main__":
    main()
