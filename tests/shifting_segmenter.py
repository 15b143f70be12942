"""Stands for the network where a test is about the frames around it."""

import numpy as np
import pytest


class ShiftingSegmenter:
    """Every step moves the labels one pixel to the right."""

    def __init__(self, fail_at=None, error=RuntimeError):
        self.seen, self.edits, self.fail_at, self.error = [], [], fail_at, error

    def init(self, frame, mask):
        (self.labels,) = mask
        self.seen = [*self.seen, *frame]

    def step(self, frame):
        if len(self.seen) == self.fail_at:
            raise self.error("stopped")
        self.seen += frame
        self.labels = np.roll(self.labels, 1, axis=1)
        return [self.labels]

    def add_object(self, frame, mask, video):
        self._edit("add", frame, mask, video)
        self.labels = np.where(mask > 0, mask, self.labels)

    def correct(self, frame, mask, ids, video):
        self._edit("correct", frame, np.where(np.isin(mask, ids), mask, 0), video)
        self.labels = np.where(np.isin(self.labels, ids), 0, self.labels)
        self.labels = np.where(np.isin(mask, ids), mask, self.labels)

    def remove(self, id, video):
        self.edits.append(("remove", {id}))
        self.labels = np.where(self.labels == id, 0, self.labels)

    def followed_ids(self, video=0):
        return set(np.unique(self.labels).tolist())

    def probability_maps(self):
        present = np.unique(self.labels[self.labels > 0])
        return {int(i): (self.labels == i).astype(np.float32) * 0.5 for i in present}

    def _edit(self, kind, frame, mask, video):
        assert video == 0
        np.testing.assert_array_equal(frame, self.seen[-1])
        self.edits.append((kind, set(np.unique(mask).tolist()) - {0}))


def no_network():
    """A segmenter that must not be started."""
    segmenter = ShiftingSegmenter()
    segmenter.init = lambda *_: pytest.fail("something was computed")
    return segmenter
