# SPDX-License-Identifier: Apache-2.0
"""worker.py - one contender in a process of its own, and the requests it answers.

    worker.py NAME OPTIONS DIRECTORY     # for wasm.mjs: a request and a reply are a line of JSON

The loop that is timed is the same for all: [search(query) for query in queries]. Queries are
converted to what a library takes before the clock starts, and ids to plain integers after it.
"""
import ctypes
import gc
import json
import multiprocessing
import os
import sys
import time
import types

import numpy

import common
from adapters import ADAPTERS


class Contender:
    """Runs in the child."""

    def __init__(self, name, options, directory):
        os.makedirs(directory)
        self.directory = directory
        # A copy in memory, as a caller has it. It is there before and after, and not counted.
        vectors = numpy.array(common.rows_of(options, "vectors.f32")[:options.count])
        self.queries = numpy.array(common.queries_of(options))
        self.truth = common.load_truth(options.truth)
        self.adapter = ADAPTERS[name](vectors, directory, options)

    def build(self):
        before = common.resident(self.directory)
        wall, cpu = time.perf_counter(), time.process_time()
        self.adapter.build()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        self.converted = [self.adapter.convert(row) for row in self.queries]
        self.adapter.prepare(self.adapter.modes[0], 64)
        self.loop()  # what is mapped from files becomes resident when it is used
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        after = common.resident(self.directory)
        facts = self.adapter.facts() if hasattr(self.adapter, "facts") else {}
        return {"version": self.adapter.version(), "cpu_s": round(cpu, 2),
                "wall_s": round(wall, 2), **facts,
                **{key: round(after[key] - before[key], 1) for key in after}}

    def loop(self):
        return [self.adapter.search(query) for query in self.converted]

    def timed(self, action):
        wall, cpu = time.perf_counter(), time.process_time()
        found = action()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        return found, len(self.queries) / cpu, len(self.queries) / wall

    def run_pass(self, mode, ef):
        self.adapter.prepare(mode, ef)
        found, qps, wall = self.timed(self.loop)
        row = {"recall": common.recall(found, self.truth), "qps": qps, "wall_qps": wall}
        if hasattr(self.adapter, "batch"):
            _, row["batch_qps"], _ = self.timed(lambda: self.adapter.batch(self.queries))
        return row


def serve(pipe, name, options, directory):
    log = os.open(os.path.join(options.out, "peers.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)  # some peers are talkative
    os.dup2(log, 2)
    try:
        contender = Contender(name, options, directory)
        jobs = {"build": contender.build, "pass": contender.run_pass}
        while True:
            kind, members = pipe.recv()
            try:
                pipe.send(jobs[kind](**members))
            except Exception as error:  # whatever a peer throws is its result
                pipe.send({"failed": f"{type(error).__name__}: {error}"[:300]})
    except EOFError:
        os._exit(0)  # some libraries crash in their destructors


class Worker:
    """The parent's end."""

    def __init__(self, name, options, directory):
        self.modes = ADAPTERS[name].modes
        self._pipe, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.Process(target=serve, daemon=True,
                                                args=(theirs, name, options, directory))
        self._process.start()
        theirs.close()

    def ask(self, kind, **members):
        try:
            self._pipe.send((kind, members))
            return self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(10)
            return {"failed": f"the process ended with {self._process.exitcode}"}

    def end(self):
        self._pipe.close()
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()


def main():
    """The same over standard input and output, which libraries can't disturb."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    name, options, directory = sys.argv[1:]
    contender = Contender(name, types.SimpleNamespace(**json.loads(options)), directory)
    for line in sys.stdin:
        request = json.loads(line)
        job = {"build": contender.build, "pass": contender.run_pass}[request.pop("kind")]
        print(json.dumps(job(**request)), file=replies, flush=True)


def start_worker(name, options, directory):
    return Worker(name, options, directory)


if __name__ == "__main__":
    main()
