import asyncio

from ranet_jax.web.outbox import Outbox


def test_what_is_too_much_for_a_page_is_left_out():
    """Masks, oldest first, and all progress but the newest; nothing else."""

    async def fill() -> list:
        outbox = Outbox()
        outbox.put({"type": "clip"})
        for number in range(100):
            outbox.put(bytes([number]))
            outbox.put({"type": "progress", "frame": number})
        outbox.put({"type": "error"})
        await asyncio.sleep(0)
        return [await outbox.get() for _ in range(64)]

    items = asyncio.run(fill())
    masks = [item for item in items if isinstance(item, bytes)]
    others = [item for item in items if isinstance(item, str)]
    assert masks == [bytes([number]) for number in range(39, 100)]
    assert others == ['{"type": "clip"}', '{"type": "progress", "frame": 99}', '{"type": "error"}']


def test_a_message_that_comes_late_is_waited_for():
    async def wait() -> str | bytes:
        outbox = Outbox()
        asyncio.get_running_loop().call_later(0.01, outbox.put, b"mask")
        return await outbox.get()

    assert asyncio.run(wait()) == b"mask"
