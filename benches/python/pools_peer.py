"""The workloads of process pools, on aiomultiprocess or on multiprocessing (--pool)."""

import asyncio
import multiprocessing
import os
import time

import common
from common import number

AIO = common.ARGUMENTS.get("pool") == "aiomultiprocess"
PROCESSES, CONCURRENCY = number("processes", 2), number("concurrency", 16)


def nothing():
    pass


def square(value):
    return value * value


def compute(milliseconds):
    begun = time.thread_time()
    while time.thread_time() - begun < milliseconds / 1e3:
        pass


def nap(milliseconds):
    time.sleep(milliseconds / 1e3)


async def aio_nothing():
    pass


async def aio_square(value):
    return value * value


async def aio_compute(milliseconds):
    compute(milliseconds)


async def aio_nap(milliseconds):
    await asyncio.sleep(milliseconds / 1e3)


def switches():
    """The context switches of this process and its children, all threads."""
    total = 0
    for pid in [os.getpid()] + [child.pid for child in multiprocessing.active_children()]:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/status") as status:
                total += sum(int(line.split()[1]) for line in status if "ctxt_switches" in line)
    return total


def latencies(took):
    took.sort()
    at = lambda part: took[int((len(took) - 1) * part)] * 1e6
    return {"p50_us": at(0.5), "p99_us": at(0.99)}


# ---- aiomultiprocess


async def with_aio_pool(use):
    import aiomultiprocess

    async with aiomultiprocess.Pool(processes=PROCESSES, childconcurrency=CONCURRENCY) as pool:
        await pool.apply(aio_nothing)
        return await use(pool)


async def aio_apply(pool):
    took = []
    for _ in range(number("count", 2_000)):
        begun = time.perf_counter()
        await pool.apply(aio_nothing)
        took.append(time.perf_counter() - begun)
    return latencies(took)


async def aio_map(pool):
    count = number("count", 200_000)
    begun = time.perf_counter()
    results = await pool.map(aio_square, range(count))
    assert len(results) == count
    return {"rate": count / (time.perf_counter() - begun)}


async def aio_idle(pool):
    await asyncio.sleep(0.1)
    before = switches()
    await asyncio.sleep(number("milliseconds", 5_000) / 1e3)
    return {"switches": switches() - before}


def aio_together(job):
    async def use(pool):
        begun = time.perf_counter()
        await pool.map(job, [number("milliseconds", 100)] * number("jobs", 16))
        return {"seconds": time.perf_counter() - begun}

    return use


# ---- multiprocessing


def with_pool(use):
    with multiprocessing.Pool(PROCESSES) as pool:
        pool.apply(nothing)
        return use(pool)


def apply(pool):
    took = []
    for _ in range(number("count", 2_000)):
        begun = time.perf_counter()
        pool.apply(nothing)
        took.append(time.perf_counter() - begun)
    return latencies(took)


def map_(pool):
    count = number("count", 200_000)
    begun = time.perf_counter()
    results = pool.map(square, range(count))
    assert len(results) == count
    return {"rate": count / (time.perf_counter() - begun)}


def idle(_):
    time.sleep(0.1)
    before = switches()
    time.sleep(number("milliseconds", 5_000) / 1e3)
    return {"switches": switches() - before}


def together(job):
    def use(pool):
        begun = time.perf_counter()
        pool.map(job, [number("milliseconds", 100)] * number("jobs", 16), chunksize=1)
        return {"seconds": time.perf_counter() - begun}

    return use


if __name__ == "__main__":
    if AIO:
        uses = [aio_apply, aio_map, aio_idle, aio_together(aio_compute), aio_together(aio_nap)]
        run = lambda use: asyncio.run(with_aio_pool(use))
    else:
        uses = [apply, map_, idle, together(compute), together(nap)]
        run = with_pool
    names = ["pool-apply", "pool-map", "pool-idle", "pool-compute", "pool-wait"]
    common.run({name: (lambda use=use: run(use)) for name, use in zip(names, uses)})
