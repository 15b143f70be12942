import pickle

from hypothesis import given
from hypothesis import strategies as st

from data_pipelines.cache import ByteCache


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 40))), st.integers(0, 100))
def test_it_never_holds_more_than_it_may_and_never_lies(puts, capacity):
    cache, sizes = ByteCache(capacity), {}
    for key, nbytes in puts:
        held = cache.get(key)
        assert held in (None, (key, sizes.get(key)))
        if held is None:
            sizes[key] = nbytes
        cache.put(key, (key, sizes[key]), sizes[key])
        assert 0 <= cache.nbytes <= capacity
    present = [key for key in sizes if cache.get(key) is not None]
    assert cache.nbytes == sum(sizes[key] for key in present)


def test_what_was_used_longest_ago_goes_first():
    cache = ByteCache(2)
    cache.put("a", 1, 1)
    cache.put("b", 2, 1)
    assert cache.get("a") == 1
    cache.put("c", 3, 1)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (1, None, 3)


def test_it_arrives_empty_in_another_process():
    cache = ByteCache(10)
    cache.put("a", 1, 1)
    arrived = pickle.loads(pickle.dumps(cache))
    assert arrived.get("a") is None
    arrived.put("b", 2, 11)
    assert arrived.nbytes == 0
