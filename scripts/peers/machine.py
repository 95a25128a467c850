"""What the kernel says: CPU time and memory of processes, how busy the machine is, how often the plugin was executed."""

import mmap
import os
import signal
import struct
import time

TICKS = os.sysconf("SC_CLK_TCK")
CORES = os.cpu_count() or 1


def processes():
    """Pid -> (parent, CPU ticks of itself and of its children that have ended)."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except OSError:
            continue  # It has ended since.
        found[int(name)] = (int(fields[1]), sum(map(int, fields[11:15])))
    return found


def tree(root, found):
    """A process and all that descend from it, parents first."""
    children = {}
    for pid, (parent, _) in found.items():
        children.setdefault(parent, []).append(pid)
    members = [root] if root in found else []
    for pid in members:
        members.extend(children.get(pid, []))
    return members


def cpu_seconds(root):
    """A child that ends hands its time to its parent, so the sum over the tree counts each plugin once."""
    found = processes()
    return sum(found[pid][1] for pid in tree(root, found)) / TICKS


def memory_mib(root):
    """Resident memory of a tree: RSS counts shared pages in each process, PSS divides them."""
    rss = pss = count = 0
    for pid in tree(root, processes()):
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                rows = dict(line.split(":", 1) for line in file.read().splitlines()[1:])
        except OSError:
            continue
        rss += int(rows["Rss"].split()[0])
        pss += int(rows["Pss"].split()[0])
        count += 1
    return {"rss": rss / 1024, "pss": pss / 1024, "processes": count}


def kill(root):
    """Ends a tree that did not end by itself. Stopped first, so that nobody in it starts another."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in tree(root, processes()):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass


def busy_seconds():
    """CPU time of the whole machine, waiting for disks and idling left out."""
    with open("/proc/stat") as file:
        ticks = list(map(int, file.readline().split()[1:9]))
    return (sum(ticks) - ticks[3] - ticks[4]) / TICKS


def busy_cores(seconds=2.0):
    """Cores in use by others: ask while nothing of ours runs."""
    before = busy_seconds()
    time.sleep(seconds)
    return (busy_seconds() - before) / seconds


def describe():
    model = "unknown"
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    system = os.uname()
    return {"cpu": model, "cores": CORES, "kernel": f"{system.sysname} {system.release}", "machine": system.machine}


class Counter:
    """The word that each execution of the plugin adds one to."""

    def __init__(self, path):
        self.path = path
        with open(path, "wb") as file:
            file.write(bytes(8))
        os.chmod(path, 0o666)  # Plugins run as the user of the peers.
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 8)

    def read(self):
        return struct.unpack("=Q", self.memory[:8])[0]

    def remove(self):
        if os.path.exists(self.path):
            os.unlink(self.path)


def window(root, counter, seconds):
    """What a tree did in some seconds: executions per second, CPU seconds per 1,000 of them, cores used by others."""
    begun, busy, cpu, count = time.monotonic(), busy_seconds(), cpu_seconds(root), counter.read()
    time.sleep(seconds)
    count = counter.read() - count
    cpu = cpu_seconds(root) - cpu
    busy = busy_seconds() - busy
    lasted = time.monotonic() - begun
    if count == 0:
        raise RuntimeError("no plugin was executed")
    return {
        "rate": count / lasted,
        "cpu_per_1000": cpu / count * 1000,
        "cores": cpu / lasted,
        "foreign_cores": max(0.0, (busy - cpu) / lasted),
    }
