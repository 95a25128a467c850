"""The figures as a Markdown table, as it stands in docs/performance.md."""

from statistics import median

NONE = "–"


def number(value, digits):
    return f"{value:,.{digits}f}"


def spread(values, digits):
    """Median with the lowest and the highest round: how far a figure may be trusted."""
    values = list(values)
    middle = number(median(values), digits)
    if len(values) == 1:
        return middle
    return f"{middle} ({number(min(values), digits)} to {number(max(values), digits)})"


def own(figure, digits):
    """Cell of a figure of the subject itself."""
    return lambda seen: spread((turn["subject"][figure] for turn in seen["rounds"]), digits)


def beside(figure, yardstick):
    """Cell of its ratio to a yardstick in the same round."""
    return lambda seen: spread((turn["subject"][figure] / turn[yardstick][figure] for turn in seen["rounds"]), 2)


def plain(figure, digits):
    """Cell of a figure of rounds without a yardstick."""
    return lambda seen: spread((turn[figure] for turn in seen["rounds"]), digits)


def reached(seen):
    return own("rate", 0)(seen) + ("" if seen["reached"] else ", **not reached**")


def saturation_rows(_):
    return [
        ("saturation: checks/s", "", own("rate", 0)),
        ("saturation: checks/s ÷ loop", "≥ 0.75", beside("rate", "loop")),
        ("saturation: CPU s per 1,000 checks", "", own("cpu_per_1000", 3)),
        ("saturation: CPU ÷ loop", "≤ 1.3", beside("cpu_per_1000", "loop")),
    ]


def rate_rows(rate):
    return [
        (f"{rate}: checks/s", "", reached),
        (f"{rate}: CPU s per 1,000 checks", "", own("cpu_per_1000", 3)),
        (f"{rate}: CPU ÷ loop at this rate", "≤ 1.3", beside("cpu_per_1000", "loop")),
        (f"{rate}: CPU ÷ loop at saturation", "", beside("cpu_per_1000", "full_loop")),
    ]


def memory_rows(found):
    size = f"{found['services']:,} services, idle"
    nagios = found.get("nagios", {}).get("pss")
    return [
        (f"{size}: RSS MiB", "", plain("rss", 0)),
        (f"{size}: PSS MiB", "", plain("pss", 0)),
        (f"{size}: PSS ÷ Nagios's", "≤ 0.5", lambda seen: number(seen["pss"] / nagios, 2) if nagios else NONE),
    ]


def start_rows(found):
    def faster(figure):
        def cell(seen):
            ratio = seen[f"{figure}_nagios_ratio"]
            return number(ratio, 1) if ratio else NONE

        return cell

    def memory(seen):
        held = seen.get("memory_with_state")
        return number(held["pss"], 0) if held else NONE

    size = f"{found['services']:,} services"
    return [
        (f"{size}: cold start s", "", plain("cold", 2)),
        (f"{size}: Nagios's cold start ÷ this", "≥ 5", faster("cold")),
        (f"{size}: restart with state s", "", plain("restart", 2)),
        (f"{size}: Nagios's restart ÷ this", "≥ 6", faster("restart")),
        (f"{size}: PSS MiB after that restart, once", "", memory),
    ]


def tables(results):
    """What was measured, with its rows."""
    for what, rows in (("saturation", saturation_rows), ("memory", memory_rows), ("start", start_rows)):
        if what in results:
            yield results[what], rows(results[what])
        if what == "saturation":
            for rate, found in results.get("cpu", {}).items():
                yield found, rate_rows(f"{int(rate):,}/s")


def is_result(seen):
    return isinstance(seen, dict) and "rounds" in seen


def head(results):
    machine = results["machine"]
    state = "quiet" if results["quiet"] else "BUSY, not for comparison"
    return (
        f"{results['date']}, {machine['cpu']}, {machine['cores']} cores, {machine['kernel']}. {results['rounds']} rounds, median "
        f"(lowest to highest).\nMachine {state}: others used {results['foreign_cores_before']:.2f} cores before, "
        f"{results['foreign_cores_after']:.2f} after."
    )


def noise(results):
    """How many rounds others disturbed; which ones is in the JSON."""
    measured = [results.get("saturation", {}), *results.get("cpu", {}).values()]
    seen = [one for found in measured for one in found.values() if is_result(one)]
    noisy, rounds = sum(one["noisy_rounds"] for one in seen), sum(len(one["rounds"]) for one in seen)
    return f"Others used more than 0.1 cores in {noisy} of {rounds} rounds of execution."


def markdown(results):
    kinds = results["subjects"]
    lines = [head(results), ""]
    lines.append("| | " + " | ".join(kinds.values()) + " | goal for Stentor |")
    lines.append("|---" * (len(kinds) + 2) + "|")
    for found, rows in tables(results):
        for label, goal, cell in rows:
            cells = [cell(found[name]) if is_result(found.get(name)) else NONE for name in kinds]
            lines.append("| " + " | ".join([label, *cells, goal]) + " |")
    if found := results.get("saturation"):
        lines += ["", f"Saturation: {found['services']:,} services, each due every second."]
    if "saturation" in results or "cpu" in results:
        lines += ["", noise(results)]
    return "\n".join(lines)
