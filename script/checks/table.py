"""The table of all checks: what each does, what it needs and beside which others it runs.

`needs`:  nothing  only the checkout and Swift's toolchain
          tools    the programs of script/bootstrap tests
          confab   also .build/debug/confab
          tests    also the test binary
`runs`:   first    beside each other, while script/bootstrap installs the tools
          idle     with the lowest priority, beside the checks that follow, except `alone`
          build    the build itself, which needs every core
          beside   beside each other, because most of these tests wait
          alone    with the whole machine: they start clusters, measure time or build
"""

from dataclasses import dataclass

STEPS = ("first", "build", "beside", "alone")


@dataclass(frozen=True)
class Check:
    name: str
    needs: str
    runs: str
    help: str
    # A check of the everyday list, or one that only --long and its name run.
    is_long: bool = False


CHECKS = (
    Check("shell", "nothing", "first", "the scripts parse, and the tests of script/ pass"),
    Check("style", "nothing", "first", "names, line lengths, imports and words; script/style "
          "--help lists the rules"),
    Check("format", "nothing", "idle", "swift format lint --strict"),
    Check("model", "tools", "idle", "spin finds no fault in docs/model, and one without each of "
          "its rules"),
    Check("build", "tools", "build", "everything compiles without a warning"),
    Check("unit", "tests", "beside", "unit, contract and simulation tests"),
    Check("docs", "tests", "beside", "links and files exist; docs/reference.md equals the command "
          "line's help"),
    Check("kits", "confab", "beside", "the client kits for Python and JavaScript against real "
          "nodes, without their long fault tests"),
    Check("manifests", "confab", "beside", "the files of docker/, debian/ and .github/: hadolint, "
          "schemas of compose, Kubernetes and GitHub, systemd-analyze, settings, and "
          "script/release"),
    Check("pages", "confab", "beside", "the web pages in headless Chromium against real nodes; "
          "prints the folder of the screenshots, which CONFAB_SCREENSHOTS can name"),
    Check("system", "tests", "alone", "real processes, a cluster with faults, Python clients, "
          "headless Chromium, promtool, the README as printed"),
    Check("unit-all", "tests", "beside", "unit, with its tests that take minutes", True),
    Check("kits-all", "confab", "alone", "every test of the kits, with kills of clusters, and "
          "damages that they must see; then all kits under KITS_MINUTES (3) minutes of random "
          "faults", True),
    Check("pages-all", "confab", "alone", "every test of the pages, with axe in all states, "
          "bursts and kills", True),
    Check("system-all", "tests", "alone", "system, with its tests that take minutes", True),
    Check("seeds", "tools", "alone", "5,000 simulated clusters (SIMULATION_SEEDS) keep every "
          "promise under lost packets, kills and stalls; unit has ten of them", True),
    Check("browsers", "confab", "alone", "the story of the pages in Chromium, Firefox and WebKit, "
          "also while nodes of a cluster are killed", True),
    Check("operating", "confab", "alone", "cluster/rolling-restart under load, behind HAProxy and "
          "nginx; a drain of 5,000 clients (DRAIN_CLIENTS) behind HAProxy; backups of Redis as "
          "printed in the documentation; the admin API against its document; `confab top` and "
          "the tables in tmux", True),
    Check("monitoring", "confab", "alone", "every query of cluster/monitoring with a real "
          "Prometheus, a loaded cluster of three nodes, and faults that must fire alerts", True),
    Check("packages", "confab", "alone", "what script/package builds: lintian, piuparts, the "
          "tarball in a bare Debian, and the service in a booted container; needs root", True),
    Check("containers", "confab", "alone", "the image of docker/Dockerfile in Docker's engine, "
          "and both compositions: their containers are killed, paused and disconnected under "
          "load; needs root", True),
    Check("release", "tests", "alone", "the system tests again, with the optimised binary", True),
    Check("thread", "tools", "alone", "unit and system tests under the thread sanitizer", True),
    Check("address", "tools", "alone", "unit and system tests under the address sanitizer", True),
    Check("fuzz", "tools", "alone", "every fuzzer for FUZZ_SECONDS (60) each", True),
    Check("autobahn", "tools", "alone", "the Autobahn suite, if autobahn.sh is in CONFAB_CHECKS "
          "(../shared/checks)", True),
)
BY_NAME = {check.name: check for check in CHECKS}


def usual():
    return [check.name for check in CHECKS if not check.is_long]


def everything():
    """The checks of --long: X-all contains X, and replaces it."""
    names = [name + "-all" if name + "-all" in BY_NAME else name for name in usual()]
    return names + [check.name for check in CHECKS if check.is_long and check.name not in names]


def listing(width=100):
    """The table as text for --help."""
    import textwrap

    lines = []
    for title, is_long in (("Checks:", False), ("With --long:", True)):
        lines += ["", f"{title:13}{'needs':9}{'runs':8}"]
        for check in CHECKS:
            if check.is_long == is_long:
                start = f"  {check.name:11}{check.needs:9}{check.runs:8}"
                lines += textwrap.wrap(
                    check.help, width, initial_indent=start, subsequent_indent=" " * len(start),
                    break_on_hyphens=False)
    return "\n".join(lines)
