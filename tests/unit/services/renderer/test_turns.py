import asyncio

from services.renderer.turns import Turns
from tests.harness.polling import hold_true, wait_until_async


async def begin(turns, order, name, *, viewer, until, begun=None):
    async with turns.take(viewer=viewer):
        order.append(name)
        if begun is not None:
            begun.set()
        await until.wait()


async def test_what_nobody_waits_for_does_not_begin_while_somebody_waits():
    turns, end = Turns(quiet_s=0.05), asyncio.Event()
    order: list[str] = []
    viewer = asyncio.create_task(begin(turns, order, "viewer", viewer=True, until=end))
    await asyncio.sleep(0)
    bulk = asyncio.create_task(begin(turns, order, "bulk", viewer=False, until=end))
    another = asyncio.create_task(begin(turns, order, "viewer", viewer=True, until=end))
    await wait_until_async(lambda: len(order) == 2, 5, "the other viewer")
    await hold_true(lambda: order == ["viewer", "viewer"], 0.05, "a viewer is still there")
    end.set()
    await asyncio.gather(viewer, bulk, another)
    assert order == ["viewer", "viewer", "bulk"]


async def test_viewers_do_not_wait_for_anything():
    turns, end, begun = Turns(), asyncio.Event(), asyncio.Event()
    order: list[str] = []
    bulk = asyncio.create_task(begin(turns, order, "bulk", viewer=False, until=end, begun=begun))
    await begun.wait()
    viewer = asyncio.create_task(begin(turns, order, "viewer", viewer=True, until=end))
    await wait_until_async(lambda: order == ["bulk", "viewer"], 5, "the viewer, while bulk goes on")
    end.set()
    await asyncio.gather(bulk, viewer)


async def test_viewers_who_never_stop_do_not_keep_the_rest_away_for_ever():
    turns, never, end = Turns(patience_s=0.05), asyncio.Event(), asyncio.Event()
    order: list[str] = []
    viewer = asyncio.create_task(begin(turns, order, "viewer", viewer=True, until=never))
    await asyncio.sleep(0)
    end.set()
    await begin(turns, order, "bulk", viewer=False, until=end)
    assert order == ["viewer", "bulk"]
    viewer.cancel()


async def test_what_nobody_waits_for_does_not_begin_between_two_viewers():
    turns, end = Turns(quiet_s=0.2), asyncio.Event()
    end.set()
    order: list[str] = []
    await begin(turns, order, "viewer", viewer=True, until=end)
    bulk = asyncio.create_task(begin(turns, order, "bulk", viewer=False, until=end))
    await hold_true(lambda: order == ["viewer"], 0.05, "another viewer may come")
    await begin(turns, order, "viewer", viewer=True, until=end)
    await hold_true(lambda: order == ["viewer", "viewer"], 0.05, "another viewer may come")
    await bulk
    assert order == ["viewer", "viewer", "bulk"]
