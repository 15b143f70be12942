from ranet_jax.web.snapshots import Snapshots


def nearest(snapshots, frame):
    return snapshots.nearest(frame)[0]


def test_a_short_video_has_a_state_of_every_frame():
    snapshots = Snapshots()
    for frame in range(12):
        snapshots.add(frame, f"state {frame}")
    assert [nearest(snapshots, frame) for frame in range(12)] == list(range(12))
    assert snapshots.nearest(5) == (5, "state 5")


def test_a_long_video_has_few_states_spread_evenly_and_the_latest():
    snapshots = Snapshots()
    for frame in range(3, 1000):
        snapshots.add(frame, frame)
        assert len(snapshots._states) <= 18
    assert nearest(snapshots, 999) == 999 and nearest(snapshots, 998) == 998
    steps = [frame - nearest(snapshots, frame) for frame in range(64, 998)]
    assert max(steps) < 64


def test_states_that_are_void_are_gone():
    snapshots = Snapshots()
    for frame in range(3, 9):
        snapshots.add(frame, frame)
    snapshots.drop_from(6)
    assert nearest(snapshots, 8) == 5
    assert snapshots.nearest(2) is None
