"""The workloads on gevent."""

import http.client
import time

import gevent
from gevent import queue, socket, subprocess
from gevent.event import Event
from gevent.lock import BoundedSemaphore
from gevent.server import StreamServer

import common
from common import BUFFER, LIMIT, PAGE, Growth, Meter, number


def yields():
    tasks, depth = number("tasks", 1000), number("depth", 0)
    each = number("count", 1_000_000) // tasks

    def often():
        for _ in range(each):
            deep(depth) if depth else gevent.sleep(0)

    meter = Meter()
    gevent.joinall([gevent.spawn(often) for _ in range(tasks)])
    return meter.stop(tasks * each)


def deep(depth):
    gevent.sleep(0) if depth == 1 else deep(depth - 1)


def spawns():
    batch, yielding = number("batch", 1000), number("yield", 0)
    batches = number("count", 100_000) // batch

    def nothing():
        if yielding:
            gevent.sleep(0)

    meter = Meter()
    for _ in range(batches):
        gevent.joinall([gevent.spawn(nothing) for _ in range(batch)])
    return meter.stop(batches * batch)


def memory():
    count = number("tasks", 100_000)
    growth = Growth()
    gate = Event()
    tasks = [gevent.spawn(gate.wait) for _ in range(count)]
    gevent.sleep(0)
    result = growth.each(count)
    gate.set()
    gevent.joinall(tasks)
    return result


def pingpong():
    count, timeout = number("count", 200_000), number("timeout", 0)
    limit = LIMIT if timeout else None
    there, back = queue.Queue(1), queue.Queue(1)

    def ping():
        for value in range(count):
            there.put(value)
            back.get(timeout=limit)

    def pong():
        for _ in range(count):
            back.put(there.get(timeout=limit))

    meter = Meter()
    gevent.joinall([gevent.spawn(ping), gevent.spawn(pong)])
    return meter.stop(count)


def stream():
    count = number("count", 1_000_000)
    values = queue.SimpleQueue()

    def produce():
        for value in range(count):
            values.put(value)

    def consume():
        return sum(values.get() for _ in range(count))

    meter = Meter()
    gevent.joinall([gevent.spawn(produce), gevent.spawn(consume)])
    return meter.stop(count)


def mutex():
    tasks, each, yielding = number("tasks", 1000), number("each", 100), number("yield", 0)
    lock = BoundedSemaphore(1)

    def often():
        for _ in range(each):
            with lock:
                if yielding:
                    gevent.sleep(0)

    meter = Meter()
    gevent.joinall([gevent.spawn(often) for _ in range(tasks)])
    return meter.stop(tasks * each)


def sleeps():
    durations = common.sleeps(number("tasks", 100_000))

    def sleep(duration):
        begun = time.perf_counter()
        gevent.sleep(duration)
        return time.perf_counter() - begun - duration

    meter = Meter()
    tasks = [gevent.spawn(sleep, duration) for duration in durations]
    gevent.joinall(tasks)
    return meter.overshoots([task.value for task in tasks], max(durations))


def timer():
    count, waiting = number("count", 200_000), number("wait", 0)

    def other():
        for _ in range(count if waiting else 0):
            gevent.sleep(0)

    gevent.spawn(other)
    meter = Meter()
    for _ in range(count):
        if waiting:
            with gevent.Timeout(LIMIT):
                gevent.sleep(0)
        else:
            gevent.Timeout.start_new(LIMIT).close()
    return meter.stop(count)


def echo():
    def handle(stream, _):
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := stream.recv(BUFFER):
            stream.sendall(data)

    server = StreamServer(("127.0.0.1", number("port", 0)), handle, backlog=1024)
    server.start()
    common.announce(server.server_port)
    server.serve_forever()


def crawl():
    """By the standard library's client over gevent's sockets."""
    from gevent import monkey

    monkey.patch_socket()
    pages, at_once, fresh = number("pages", 10_000), number("at-once", 100), number("fresh", 0)
    headers = {"connection": "close"} if fresh else {}
    left, total = pages, 0

    def fetch():
        nonlocal left, total
        connection = None
        while left > 0:
            left -= 1
            if connection is None or fresh:
                connection = http.client.HTTPConnection("127.0.0.1", number("port", 0))
            connection.request("GET", "/page", headers=headers)
            length = len(connection.getresponse().read())
            total += length

    meter = Meter()
    gevent.joinall([gevent.spawn(fetch) for _ in range(at_once)])
    assert total == pages * PAGE, "pages were cut off"
    return meter.stop_rate(pages)


def children():
    tasks = number("tasks", 1)
    each = -(-number("count", 1000) // tasks)

    def start_and_wait():
        for _ in range(each):
            assert subprocess.call(["true"]) == 0

    meter = Meter()
    gevent.joinall([gevent.spawn(start_and_wait) for _ in range(tasks)])
    return meter.stop(tasks * each)


if __name__ == "__main__":
    names = [memory, pingpong, stream, mutex, sleeps, timer, echo, crawl, children]
    workloads = {function.__name__: function for function in names}
    common.run({"yield": yields, "spawn": spawns, **workloads})
