"""The four measurements. Each takes turns: in every round each subject runs beside its yardstick, and whoever went last
goes first the next time, so that whatever else the machine does hits all alike."""

import os
import shutil
import subprocess
import sys
import time
from statistics import median

import machine
from subjects import Load, Loop

SERVICES = 10_000  # Of the load for execution.
WARM_UP = 10.0
SPREAD_MAX = 15.0  # After a start first checks come denser than later ones, for about this long.
LOOP_WARM_UP = 1.0
SETTLE = 15.0  # Status files are written every 10 s: memory is looked at after the first time.
RATES = (500, 2_000)
RATE_REACHED = 0.9
FOREIGN_CORES_MAX = 0.1


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


class Bench:
    """Everything that one run needs and leaves behind."""

    def __init__(self, options, kinds, folder, plugin, counter):
        self.options, self.kinds = options, kinds
        self.folder, self.plugin, self.counter = folder, plugin, counter
        self.running = []
        self.failures = []

    def subject(self, kind, label, load):
        say(f"{kind.title}: writes a configuration of {load.services} services")
        return kind(os.path.join(self.folder, f"{kind.name}-{label}"), load, self.plugin)

    def start(self, subject):
        self.running.append(subject)
        return subject.start()

    def stop(self, subject):
        seconds = subject.stop()
        self.running.remove(subject)
        return seconds

    def close(self):
        for subject in self.running:
            subject.kill()
        self.running.clear()

    def attempt(self, results, kind, work):
        """One turn of one subject. Who fails is left out from then on; the others go on."""
        if kind.name in results.get("failed", {}):
            return
        try:
            work()
        except (RuntimeError, OSError, KeyError, ValueError, subprocess.SubprocessError) as error:
            say(f"{kind.title} FAILED: {error}")
            self.failures.append(f"{kind.title}: {error}")
            results.setdefault("failed", {})[kind.name] = str(error)
            self.close()

    def window(self, subject, seconds, warm_up):
        """Starts it without any state, lets it warm up, measures, stops it."""
        self.start(subject)
        time.sleep(warm_up)
        seen = machine.window(subject.process.pid, self.counter, seconds)
        self.stop(subject)
        return seen

    def loop(self, rate=0):
        return self.window(Loop(self.plugin, rate), self.options.seconds, LOOP_WARM_UP)


def in_turn(things, number):
    return list(things) if number % 2 == 0 else list(reversed(things))


def drop(subject):
    shutil.rmtree(subject.folder)


def pairs(bench, load, label, yardsticks, seconds, warm_up):
    """Rounds of a subject and its yardsticks: functions by name that measure something else beside it."""
    results = {}
    for kind in bench.kinds:
        rounds = []

        def one(subject, number, rounds=rounds):
            turn = {}

            def itself():
                subject.clean()
                return bench.window(subject, seconds, warm_up)

            for name, measure in in_turn([(subject.name, itself), *yardsticks.items()], number):
                seen = measure()
                say(
                    f"{label} {number + 1}/{bench.options.rounds} of {subject.title}: {name} "
                    f"{seen['rate']:.0f}/s, {seen['cpu_per_1000']:.3f} CPU s per 1,000"
                )
                turn["subject" if name == subject.name else name] = seen
            rounds.append(turn)

        def all_rounds(kind=kind, one=one):
            subject = bench.subject(kind, label, load)
            for number in range(bench.options.rounds):
                one(subject, number)
            drop(subject)

        bench.attempt(results, kind, all_rounds)
        if rounds:
            results[kind.name] = {"rounds": rounds, **summary(rounds, yardsticks)}
    return results


def summary(rounds, yardsticks):
    """Medians; ratios to a yardstick are medians of the ratios within each round."""
    own = [turn["subject"] for turn in rounds]
    found = {
        "rate": median(seen["rate"] for seen in own),
        "cpu_per_1000": median(seen["cpu_per_1000"] for seen in own),
        "noisy_rounds": sum(
            any(seen["foreign_cores"] > FOREIGN_CORES_MAX for seen in turn.values()) for turn in rounds
        ),
    }
    for name in yardsticks:
        for figure in ("rate", "cpu_per_1000"):
            found[f"{figure}_{name}"] = median(turn[name][figure] for turn in rounds)
            found[f"{figure}_ratio_{name}"] = median(turn["subject"][figure] / turn[name][figure] for turn in rounds)
    return found


def saturation(bench):
    """More is due than anybody can do: 10,000 services every second, more where the bare loop is fast."""
    ability = bench.loop()["rate"]
    services = SERVICES
    while services < 1.6 * ability:
        services += SERVICES
    say(f"saturation: the bare loop does {ability:.0f}/s; {services} services every second are asked for")
    load = Load(services=services, interval=1)
    found = pairs(bench, load, "saturation", {"loop": bench.loop}, bench.options.seconds, WARM_UP)
    return {"services": services, "interval": load.interval, **found}


def cpu(bench):
    """At a rate that all can keep: beside the loop at that rate, which also sleeps and wakes, and beside the full loop."""
    found = {}
    for rate in RATES:
        load = Load(services=SERVICES, interval=SERVICES // rate)
        yardsticks = {"loop": lambda rate=rate: bench.loop(rate), "full_loop": bench.loop}
        # Whole intervals, so that an uneven spread within one does not matter.
        seconds = max(bench.options.seconds, load.interval)
        seconds = -(-seconds // load.interval) * load.interval
        warm_up = max(SPREAD_MAX, load.interval) + 5
        found[str(rate)] = pairs(bench, load, f"{rate}/s", yardsticks, seconds, warm_up)
        for kind in bench.kinds:
            seen = found[str(rate)].get(kind.name)
            if seen:
                seen["reached"] = seen["rate"] >= RATE_REACHED * rate
    return found


def memory(bench):
    """Idle: everything loaded, nothing checked."""
    results = {}
    load = Load(services=bench.options.large, checked=False)
    rounds = {kind.name: [] for kind in bench.kinds}
    subjects = {kind.name: bench.subject(kind, "memory", load) for kind in bench.kinds}

    def one(subject, number):
        subject.clean()
        bench.start(subject)
        time.sleep(SETTLE)
        seen = machine.memory_mib(subject.process.pid)
        bench.stop(subject)
        turn = f"memory {number + 1}/{bench.options.rounds} of {subject.title}"
        say(f"{turn}: {seen['rss']:.0f} MiB RSS, {seen['pss']:.0f} MiB PSS")
        rounds[subject.name].append(seen)

    for number in range(bench.options.rounds):
        for kind in in_turn(bench.kinds, number):
            bench.attempt(results, kind, lambda: one(subjects[kind.name], number))
    for name, seen in rounds.items():
        drop(subjects[name])
        if seen:
            results[name] = {"rounds": seen, **{figure: median(one[figure] for one in seen) for figure in seen[0]}}
    return results | {"services": load.services}


def start(bench):
    """From the start of the process to ready: without any state, and with the state of a run in which each service had a
    result. What each calls ready is not the same; docs/performance.md says what it is."""
    results = {}
    load = Load(services=bench.options.large, checked=False)
    cold, kept, held, rounds = {}, {}, {}, {kind.name: [] for kind in bench.kinds}

    def prepare(kind):
        cold[kind.name] = bench.subject(kind, "cold", load)
        kept[kind.name] = subject = bench.subject(kind, "kept", load)
        bench.start(subject)
        say(f"{subject.title}: takes {load.services} results")
        subject.fill()
        bench.stop(subject)
        if hasattr(subject, "check_retained"):
            subject.check_retained()

    def one(kind, number):
        seen = {}
        cold[kind.name].clean()
        for name, subject in (("cold", cold[kind.name]), ("restart", kept[kind.name])):
            seen[name] = bench.start(subject)
            if name == "restart" and hasattr(subject, "check_started_with_state"):
                subject.check_started_with_state()
            seen[f"{name}_cpu"] = machine.cpu_seconds(subject.process.pid)
            seen[f"{name}_stop"] = bench.stop(subject)
        turn = f"start {number + 1}/{bench.options.rounds} of {kind.title}"
        say(f"{turn}: cold {seen['cold']:.2f} s, restart {seen['restart']:.2f} s")
        rounds[kind.name].append(seen)

    def hold(kind):
        subject = kept[kind.name]
        bench.start(subject)
        time.sleep(SETTLE)
        held[kind.name] = machine.memory_mib(subject.process.pid)
        bench.stop(subject)
        say(f"memory with state of {kind.title}: {held[kind.name]['pss']:.0f} MiB PSS")

    for kind in bench.kinds:
        bench.attempt(results, kind, lambda: prepare(kind))
    for number in range(bench.options.rounds):
        for kind in in_turn(bench.kinds, number):
            bench.attempt(results, kind, lambda: one(kind, number))
    for kind in bench.kinds:
        bench.attempt(results, kind, lambda: hold(kind))
    for name, seen in rounds.items():
        if not seen:
            continue
        results[name] = {"rounds": seen, **{figure: median(one[figure] for one in seen) for figure in seen[0]}}
        results[name]["memory_with_state"] = held.get(name)
        nagios = rounds.get("nagios", [])
        for figure in ("cold", "restart"):
            ratios = [theirs[figure] / own[figure] for theirs, own in zip(nagios, seen)]
            results[name][f"{figure}_nagios_ratio"] = median(ratios) if ratios else None
    for subject in (*cold.values(), *kept.values()):
        drop(subject)
    return results | {"services": load.services}


MEASUREMENTS = {"saturation": saturation, "cpu": cpu, "memory": memory, "start": start}
