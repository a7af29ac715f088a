"""Runs inside event loops and threads, and two at the same time."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from siploadgen import Run, constant_arrival_rate, shared_calls

pytestmark = pytest.mark.loopback


def made(result):
    return result.calls["succeeded"]


def test_a_run_inside_a_running_event_loop():
    async def cell():
        return Run().add("options", shared_calls(20, concurrency=2)).execute()

    assert made(asyncio.run(cell())) == 20


def test_two_runs_of_an_event_loop_at_once():
    async def both():
        runs = [Run(seed=n).add("options", shared_calls(n, concurrency=2)) for n in (30, 31)]
        return await asyncio.gather(*(asyncio.to_thread(run.execute) for run in runs))

    assert [made(result) for result in asyncio.run(both())] == [30, 31]


def test_an_event_loop_goes_on_beside_a_run():
    async def watch():
        loop, beat = asyncio.get_running_loop(), asyncio.Event()

        def tell(snapshot):
            loop.call_soon_threadsafe(beat.set)

        run = Run().add("options", constant_arrival_rate("20/s", "60s")).start(tell)
        await asyncio.wait_for(beat.wait(), 60)
        run.drain()
        return await asyncio.to_thread(run.wait)

    result = asyncio.run(watch())
    assert result.interrupted
    assert made(result) > 0


def test_the_handler_of_signals_is_as_it_was():
    before = signal.getsignal(signal.SIGINT)
    Run().add("options", shared_calls(2, concurrency=1)).execute()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_run_that_is_left_by_an_error_is_over():
    class OurOwnError(Exception):
        pass

    def leave():
        with Run().add("options", constant_arrival_rate("20/s", "300s")).start() as run:
            kept.append(run)
            raise OurOwnError

    kept = []
    with pytest.raises(OurOwnError):
        leave()
    assert kept[0].wait().interrupted
    assert not [one for one in threading.enumerate() if one.name == "siploadgen run"]


@pytest.mark.parametrize(("script", "said"), [
    ("""
        async def cell():
            return RUN.execute(tell)
        result = asyncio.run(cell())
        print("ended", result.interrupted, result.calls["succeeded"] > 0)
     """, "ended True True\n"),
    ("""
        try:
            with RUN.start(tell) as run:
                threading.Event().wait()
        except KeyboardInterrupt:
            result = run.wait()
            print("ended", result.interrupted, result.calls["succeeded"] > 0)
     """, "ended True True\n"),
    ("""
        def work():
            print("ended", RUN.execute(tell).interrupted)
        thread = threading.Thread(target=work)
        thread.start()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("the main thread's own")
     """, "the main thread's own\n"),
], ids=["in an event loop", "in a with block", "in another thread"])
def test_an_interrupt(script, said):
    whole = textwrap.dedent("""
        import asyncio, os, signal, threading
        # whoever started the tests may have told it to pass over interrupts, as nohup does
        signal.signal(signal.SIGINT, signal.default_int_handler)
        from siploadgen import Run, constant_arrival_rate
        RUN = Run().add("options", constant_arrival_rate("50/s", "300s"))
        def tell(snapshot):
            print("going", flush=True)
    """) + textwrap.dedent(script).replace(
        'own")', 'own", flush=True)\n    os._exit(0)')
    with subprocess.Popen([sys.executable, "-c", whole], stdout=subprocess.PIPE,
                          text=True) as process:
        assert process.stdout.readline() == "going\n"
        os.kill(process.pid, signal.SIGINT)
        heard = process.stdout.read()
    assert heard.replace("going\n", "") == said
