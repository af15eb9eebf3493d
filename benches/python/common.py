"""What the Python programs share: the command line, clocks and the line of JSON."""

import json
import resource
import sys
import time

LIMIT = 10
BUFFER = 1024
PAGE = 10240


def arguments():
    words = sys.argv[2:]
    return {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2])}


ARGUMENTS = arguments()


def number(name, otherwise):
    return int(ARGUMENTS.get(name, otherwise))


def run(workloads):
    """Runs the workload that the command line names and prints what came out."""
    # Ten thousand connections need as many descriptors.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in workloads:
        sys.exit(f"WORKLOAD [--NAME VALUE ...], with one of {', '.join(workloads)}")
    print(json.dumps(workloads[name]()))


def announce(port):
    print(json.dumps({"port": port}), flush=True)


def kibibytes(name):
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(name):
                return float(line.split()[1])
    return 0.0


class Meter:
    def __init__(self):
        self.cpu = time.process_time()
        self.begun = time.perf_counter()

    def stop(self, count):
        wall = time.perf_counter() - self.begun
        cpu = time.process_time() - self.cpu
        return {
            "ns": wall * 1e9 / count,
            "cpu_ns": cpu * 1e9 / count,
            "seconds": wall,
            "peak_kib": kibibytes("VmHWM:"),
        }

    def stop_rate(self, count):
        wall = time.perf_counter() - self.begun
        cpu = time.process_time() - self.cpu
        return {"rate": count / wall, "cpu_us": cpu * 1e6 / count, "peak_kib": kibibytes("VmHWM:")}

    def overshoots(self, late, longest):
        """`late` in seconds."""
        wall = time.perf_counter() - self.begun
        cpu = time.process_time() - self.cpu
        late.sort()
        at = lambda part: late[int((len(late) - 1) * part)] * 1e3
        return {
            "p50_ms": at(0.5),
            "p99_ms": at(0.99),
            "max_ms": at(1),
            "total_ms": (wall - longest) * 1e3,
            "cpu_s": cpu,
            "peak_kib": kibibytes("VmHWM:"),
        }


class Growth:
    """How much memory has been added since."""

    def __init__(self):
        self.resident = kibibytes("VmRSS:")
        self.tables = kibibytes("VmPTE:")
        self.begun = time.perf_counter()

    def each(self, count):
        resident = (kibibytes("VmRSS:") - self.resident) * 1024 / count
        tables = (kibibytes("VmPTE:") - self.tables) * 1024 / count
        seconds = time.perf_counter() - self.begun
        return {"bytes": resident + tables, "resident": resident, "tables": tables, "seconds": seconds}


def sleeps(count):
    """The same numbers as in every other program, in seconds."""
    state, numbers = 42, []
    for _ in range(count):
        state = (state * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % (1 << 64)
        numbers.append((state >> 32) % 1_000_000 / 1e6)
    return numbers
