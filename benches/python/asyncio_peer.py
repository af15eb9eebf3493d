"""The workloads on asyncio, with its own loop or uvloop's (--loop uvloop), and aiohttp."""

import asyncio
import time

import common
from common import BUFFER, LIMIT, PAGE, Growth, Meter, number


def run(main):
    if common.ARGUMENTS.get("loop") == "uvloop":
        import uvloop

        return uvloop.run(main)
    return asyncio.run(main)


async def yields():
    tasks, depth = number("tasks", 1000), number("depth", 0)
    each = number("count", 1_000_000) // tasks

    async def often():
        for _ in range(each):
            await (deep(depth) if depth else asyncio.sleep(0))

    meter = Meter()
    await asyncio.gather(*[often() for _ in range(tasks)])
    return meter.stop(tasks * each)


async def deep(depth):
    await (asyncio.sleep(0) if depth == 1 else deep(depth - 1))


async def spawns():
    batch, yielding = number("batch", 1000), number("yield", 0)
    batches = number("count", 100_000) // batch

    async def nothing():
        if yielding:
            await asyncio.sleep(0)

    meter = Meter()
    for _ in range(batches):
        for task in [asyncio.create_task(nothing()) for _ in range(batch)]:
            await task
    return meter.stop(batches * batch)


async def memory():
    count = number("tasks", 100_000)
    growth = Growth()
    gate = asyncio.Event()
    tasks = [asyncio.create_task(gate.wait()) for _ in range(count)]
    await asyncio.sleep(0)
    result = growth.each(count)
    gate.set()
    await asyncio.gather(*tasks)
    return result


async def pingpong():
    count, timeout = number("count", 200_000), number("timeout", 0)
    there, back = asyncio.Queue(1), asyncio.Queue(1)

    async def receive(queue):
        if not timeout:
            return await queue.get()
        async with asyncio.timeout(LIMIT):
            return await queue.get()

    async def ping():
        for value in range(count):
            await there.put(value)
            await receive(back)

    async def pong():
        for _ in range(count):
            await back.put(await receive(there))

    meter = Meter()
    await asyncio.gather(ping(), pong())
    return meter.stop(count)


async def stream():
    count = number("count", 1_000_000)
    queue = asyncio.Queue()

    async def produce():
        for value in range(count):
            queue.put_nowait(value)

    async def consume():
        return sum([await queue.get() for _ in range(count)])

    meter = Meter()
    await asyncio.gather(produce(), consume())
    return meter.stop(count)


async def mutex():
    tasks, each, yielding = number("tasks", 1000), number("each", 100), number("yield", 0)
    lock = asyncio.Lock()

    async def often():
        for _ in range(each):
            async with lock:
                if yielding:
                    await asyncio.sleep(0)

    meter = Meter()
    await asyncio.gather(*[often() for _ in range(tasks)])
    return meter.stop(tasks * each)


async def sleeps():
    durations = common.sleeps(number("tasks", 100_000))

    async def sleep(duration):
        begun = time.perf_counter()
        await asyncio.sleep(duration)
        return time.perf_counter() - begun - duration

    meter = Meter()
    late = await asyncio.gather(*[sleep(duration) for duration in durations])
    return meter.overshoots(list(late), max(durations))


async def timer():
    count, waiting = number("count", 200_000), number("wait", 0)
    loop = asyncio.get_running_loop()

    async def other():
        for _ in range(count if waiting else 0):
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    meter = Meter()
    for _ in range(count):
        if waiting:
            async with asyncio.timeout(LIMIT):
                await asyncio.sleep(0)
        else:
            loop.call_later(LIMIT, print).cancel()
    result = meter.stop(count)
    await task
    return result


async def echo():
    """By a protocol that reads into its own buffer: asyncio's fast way. The simple protocol has 256 KiB
    allocated for each read."""

    class Echo(asyncio.BufferedProtocol):
        def connection_made(self, transport):
            self.transport = transport
            self.buffer = memoryview(bytearray(BUFFER))

        def get_buffer(self, _):
            return self.buffer

        def buffer_updated(self, length):
            self.transport.write(bytes(self.buffer[:length]))

    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", number("port", 0), backlog=1024)
    common.announce(server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def hello():
    from aiohttp import web

    async def answer(_):
        return web.Response(text="Hello, World!")

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", number("port", 0))
    await site.start()
    common.announce(runner.addresses[0][1])
    await asyncio.Event().wait()


async def crawl():
    import aiohttp

    pages, at_once, fresh = number("pages", 10_000), number("at-once", 100), number("fresh", 0)
    url = f"http://127.0.0.1:{number('port', 0)}/page"
    left, total = pages, 0
    connector = aiohttp.TCPConnector(limit=at_once, force_close=bool(fresh))
    async with aiohttp.ClientSession(connector=connector) as session:

        async def fetch():
            nonlocal left, total
            while left > 0:
                left -= 1
                async with session.get(url) as response:
                    length = len(await response.read())
                total += length

        meter = Meter()
        await asyncio.gather(*[fetch() for _ in range(at_once)])
        result = meter.stop_rate(pages)
    assert total == pages * PAGE, "pages were cut off"
    return result


async def children():
    tasks = number("tasks", 1)
    each = -(-number("count", 1000) // tasks)

    async def start_and_wait():
        for _ in range(each):
            process = await asyncio.create_subprocess_exec("true")
            assert await process.wait() == 0

    meter = Meter()
    await asyncio.gather(*[start_and_wait() for _ in range(tasks)])
    return meter.stop(tasks * each)


if __name__ == "__main__":
    names = [yields, spawns, memory, pingpong, stream, mutex, sleeps, timer, echo, hello, crawl, children]
    workloads = {function.__name__: function for function in names}
    workloads["yield"] = workloads.pop("yields")
    workloads["spawn"] = workloads.pop("spawns")
    common.run({name: (lambda main=main: run(main())) for name, main in workloads.items()})
