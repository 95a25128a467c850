"""The figures as a Markdown table, as it stands in docs/performance.md."""


def number(value, digits):
    return f"{value:,.{digits}f}"


def spread(rounds, pick, digits):
    """Median with the lowest and highest round: how far a figure may be trusted."""
    values = sorted(pick(one) for one in rounds)
    middle = len(values) // 2
    median = values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2
    if len(values) == 1:
        return number(median, digits)
    return f"{number(median, digits)} ({number(values[0], digits)} to {number(values[-1], digits)})"


def executing(label, goals, with_rate):
    """Rows of a measurement beside the loop: label, goal, cell of one subject's result."""
    rate = lambda seen: spread(seen["rounds"], lambda one: one["subject"]["rate"], 0)
    cpu = lambda seen: spread(seen["rounds"], lambda one: one["subject"]["cpu_per_1000"], 3)
    ratio = lambda figure, loop: lambda seen: spread(
        seen["rounds"], lambda one: one["subject"][figure] / one[loop][figure], 2
    )
    rows = []
    if with_rate:
        rows.append((f"{label}: checks/s", "", rate))
        rows.append((f"{label}: checks/s ÷ loop", goals[0], ratio("rate", "loop")))
    else:
        rows.append((f"{label}: reached", "", lambda seen: rate(seen) + ("" if seen["reached"] else ", **not reached**")))
    rows.append((f"{label}: CPU s per 1,000 checks", "", cpu))
    rows.append((f"{label}: CPU ÷ {'loop' if with_rate else 'loop at this rate'}", goals[1], ratio("cpu_per_1000", "loop")))
    if not with_rate:
        rows.append((f"{label}: CPU ÷ loop at saturation", goals[2], ratio("cpu_per_1000", "full_loop")))
    return rows


def rows_of(results):
    """(label, goal, cell by subject) of all that was measured."""
    rows = []

    def add(found, table):
        for label, goal, cell in table:
            rows.append((label, goal, {name: cell(seen) for name, seen in found.items() if is_result(seen)}))

    if found := results.get("saturation"):
        add(found, executing("saturation", ("≥ 0.75", "≤ 1.3"), True))
    for rate, found in results.get("cpu", {}).items():
        add(found, executing(f"{int(rate):,}/s", ("", "≤ 1.3", ""), False))
    if found := results.get("memory"):
        size = f"{found['services']:,} services, idle"
        nagios = found.get("nagios", {}).get("pss")
        add(found, [
            (f"{size}: RSS MiB", "", lambda seen: spread(seen["rounds"], lambda one: one["rss"], 0)),
            (f"{size}: PSS MiB", "", lambda seen: spread(seen["rounds"], lambda one: one["pss"], 0)),
            (f"{size}: PSS ÷ Nagios", "≤ 0.5", lambda seen: number(seen["pss"] / nagios, 2) if nagios else "–"),
        ])
    if found := results.get("start"):
        size = f"{found['services']:,} services"
        for figure, name, goal in (("cold", "cold start", "≥ 5"), ("restart", "restart with state", "≥ 6")):
            ratio = lambda seen, figure=figure: seen[f"{figure}_nagios_ratio"]
            add(found, [
                (f"{size}: {name} s", "", lambda seen, figure=figure: spread(seen["rounds"], lambda one: one[figure], 2)),
                (f"{size}: Nagios's ÷ this", goal, lambda seen, ratio=ratio: number(ratio(seen), 1) if ratio(seen) else "–"),
            ])
    return rows


def is_result(seen):
    return isinstance(seen, dict) and "rounds" in seen


def markdown(results):
    kinds = results["subjects"]
    quiet = "quiet" if results["quiet"] else "BUSY: not for comparison"
    machine = results["machine"]
    lines = [
        f"{results['date']}, {machine['cpu']}, {machine['cores']} cores, {machine['kernel']}; machine {quiet} "
        f"(others used {results['foreign_cores_before']:.2f} cores before, {results['foreign_cores_after']:.2f} after). "
        f"{results['rounds']} rounds; median (lowest to highest).",
        "",
        "| | " + " | ".join(kinds.values()) + " | goal for Stentor |",
        "|---|" + "---|" * (len(kinds) + 1),
    ]
    for label, goal, cells in rows_of(results):
        lines.append(f"| {label} | " + " | ".join(cells.get(name, "–") for name in kinds) + f" | {goal} |")
    saturation = results.get("saturation")
    if saturation:
        lines += ["", f"Saturation: {saturation['services']:,} services, each due every second."]
    noisy = [
        f"{name} {part} {seen['noisy_rounds']}"
        for part, found in (("saturation", saturation or {}), *results.get("cpu", {}).items())
        for name, seen in found.items()
        if is_result(seen) and seen["noisy_rounds"]
    ]
    if noisy:
        lines += ["", "Rounds in which others used more than 0.1 cores: " + ", ".join(noisy) + "."]
    return "\n".join(lines)
