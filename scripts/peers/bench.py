"""Nagios, Icinga and Stentor under the same load, one after the other: scripts/bench-peers runs this.

Installs the Debian packages nagios4-core and icinga2-bin where they are missing, builds a release of Stentor unless one is
there, and prints a Markdown table; what each row means stands in docs/performance.md. Needs root: the peers change their
user. Takes about 50 minutes with all measurements. Everything it starts or writes is gone when it ends, packages apart.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import machine
import report
from rounds import FOREIGN_CORES_MAX, MEASUREMENTS, Bench, say
from subjects import ALL, USER, Loop, Stentor

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
ROUNDS_MIN = 5
POLICY = "/usr/sbin/policy-rc.d"


def chosen(names):
    def split(text):
        found = text.split(",")
        for name in found:
            if name not in names:
                raise argparse.ArgumentTypeError(f"'{name}' is none of {', '.join(names)}")
        return [name for name in names if name in found]

    return split


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/bench-peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--only", type=chosen(list(ALL)), default=list(ALL), metavar="NAME,…", help=f"of {','.join(ALL)}")
    add("--what", type=chosen(list(MEASUREMENTS)), default=list(MEASUREMENTS), metavar="WHAT,…",
        help=f"of {','.join(MEASUREMENTS)}")
    add("--rounds", type=int, default=ROUNDS_MIN, help=f"turns of each subject (default {ROUNDS_MIN}, fewer is a trial)")
    add("--seconds", type=int, default=10, help="length of a window in which executions are counted (default 10)")
    add("--large", type=int, default=100_000, help="services for memory and start (default 100000)")
    add("--out", metavar="FILE", help="all figures of all rounds, as JSON")
    add("--stentor", metavar="PROGRAM", help="this one instead of target/release/stentor")
    add("--dir", default="/var/tmp", help="where configurations and states are written: a real disk (default /var/tmp)")
    options = parser.parse_args()
    for name in ("rounds", "seconds", "large"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1")
    return options


def die(text):
    sys.exit(f"scripts/bench-peers: {text}")


def install(kinds):
    """Installing must not start the services: status 101 of policy-rc.d forbids that."""
    # The user of the peers comes with either package.
    wanted = [kind.package for kind in kinds if kind.package and not shutil.which(kind.program)]
    wanted += [] if shutil.which("cc") else ["gcc", "libc6-dev"]
    wanted += [] if shutil.which("openssl") else ["openssl"]
    if not wanted:
        return
    if not shutil.which("apt-get"):
        die(f"no apt-get here; install what Debian has as {' '.join(wanted)}")
    say(f"installs {' '.join(wanted)}")
    ours = not os.path.exists(POLICY)
    try:
        if ours:
            with open(POLICY, "w") as file:
                file.write("#!/bin/sh\nexit 101\n")
            os.chmod(POLICY, 0o755)
        command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *wanted]
        asking = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        silent = {"env": asking, "stdin": subprocess.DEVNULL, "stdout": sys.stderr}
        if subprocess.run(command, **silent).returncode != 0:
            subprocess.run(["apt-get", "update", "-q"], check=True, **silent)
            subprocess.run(command, check=True, **silent)
    finally:
        if ours and os.path.exists(POLICY):
            os.unlink(POLICY)


def stentor(options, folder):
    """A copy where the user of the peers can run it."""
    built = options.stentor or os.path.join(ROOT, "target", "release", "stentor")
    if not os.path.exists(built):
        if options.stentor:
            die(f"there is no {built}")
        path = os.environ.get("PATH", "") + ":" + os.path.expanduser("~/.cargo/bin")
        cargo = shutil.which("cargo", path=path)
        if not cargo:
            die("no release of Stentor and no cargo to build one: run `cargo build --release` first, or name a program with --stentor")
        say("builds a release of Stentor")
        command = [cargo, "build", "--release", "--bin", "stentor", "--locked", "--manifest-path", f"{ROOT}/Cargo.toml"]
        subprocess.run(command, check=True, env=os.environ | {"PATH": path, "CARGO_TARGET_DIR": f"{ROOT}/target"})
    say(f"takes {built}, built {time.strftime('%Y-%m-%d %H:%M', time.localtime(os.path.getmtime(built)))}")
    copy = os.path.join(folder, "stentor")
    shutil.copy(built, copy)
    os.chmod(copy, 0o755)
    return copy


def compile_tools(folder, counter):
    plugin, Loop.binary = os.path.join(folder, "plugin"), os.path.join(folder, "spawnloop")
    subprocess.run(["cc", "-Os", "-static", f'-DCOUNTER="{counter}"', "-o", plugin, f"{HERE}/plugin.c"], check=True)
    subprocess.run(["cc", "-O2", "-pthread", "-o", Loop.binary, f"{HERE}/spawnloop.c"], check=True)
    return plugin


def foreign(when):
    cores = machine.busy_cores()
    if cores > FOREIGN_CORES_MAX:
        say(f"WARNING: {cores:.2f} cores are busy {when}: the figures are not for comparison")
    return cores


def measure(options, folder, counter):
    kinds = [ALL[name] for name in options.only]
    if "stentor" in options.only:
        Stentor.binary = stentor(options, folder)
    bench = Bench(options, kinds, folder, compile_tools(folder, counter.path), counter)
    results = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine.describe(),
        "subjects": {kind.name: kind.version() for kind in kinds},
        "rounds": options.rounds,
        "seconds": options.seconds,
        "foreign_cores_before": foreign("before the run"),
    }
    try:
        for what in options.what:
            say(f"measures {what}")
            results[what] = MEASUREMENTS[what](bench)
    finally:
        # A second Ctrl-C must not cut this short.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        bench.close()
    results["foreign_cores_after"] = foreign("after the run")
    results["quiet"] = max(results["foreign_cores_before"], results["foreign_cores_after"]) <= FOREIGN_CORES_MAX
    return results, bench.failures


def main():
    options = arguments()
    if os.geteuid() != 0:
        die("must run as root: Nagios and Icinga change their user")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    install([ALL[name] for name in options.only])
    if subprocess.run(["getent", "passwd", USER], stdout=subprocess.DEVNULL).returncode != 0:
        die(f"there is no user {USER}: install nagios4-core, or make one (useradd --system {USER})")
    if options.rounds < ROUNDS_MIN:
        say(f"a trial: fewer than {ROUNDS_MIN} rounds")
    folder = tempfile.mkdtemp(prefix="stentor-bench-", dir=options.dir)
    os.chmod(folder, 0o755)
    counter = machine.Counter(f"/dev/shm/{os.path.basename(folder)}")
    try:
        results, failures = measure(options, folder, counter)
        if options.out:
            with open(options.out, "w") as file:
                json.dump(results, file, indent=1)
        print(report.markdown(results))
    except KeyboardInterrupt:
        die("interrupted; all is stopped and removed")
    finally:
        counter.remove()
        shutil.rmtree(folder)
    if failures:
        die("failed: " + "; ".join(failures))


main()
