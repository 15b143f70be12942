"""The published network's layers in PyTorch, for a comparison in speed with `ranet benchmark`.

It takes our parameters under their published names and computes what `RANet.segment` computes, in
PyTorch's own terms: channels first, maps of the frame and of the object concatenated before each
level, every candidate map weighted before it is ranked.
"""

import copy
import time
from collections.abc import Callable

import flax.traverse_util
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from ranet_jax.array_typing import Params
from ranet_jax.benchmarks.torch_layers import (
    Double,
    MultiScale,
    Residual,
    ResNet,
    block,
    double,
)
from ranet_jax.checkpoints.convert import published_name
from ranet_jax.models.encoder import TEMPLATE_GRID
from ranet_jax.models.ranet import RANet
from ranet_jax.models.ranking import HARD_BACKGROUND, RANK_GAIN, SELECTED


def torch_network(model: RANet, params: Params) -> "TorchRANet":
    """The PyTorch network of the same settings and parameters, ready to run in float32.

    Args:
        model: `ranking="rank"`, with correlation and previous mask.
        params: its parameters.
    """
    network = TorchRANet(model.mode, model.depth, model.width, model.reduction_size)
    flat = flax.traverse_util.flatten_dict(params, sep="/")
    network.load_state_dict({published_name(path): _to_torch(leaf) for path, leaf in flat.items()})
    return network.eval()


def _to_torch(leaf: np.ndarray) -> Tensor:
    array = np.array(leaf, np.float32)
    return torch.from_numpy(
        np.ascontiguousarray(array.transpose(3, 2, 0, 1)) if array.ndim == 4 else array
    )


def fastest_step(
    model: RANet,
    params: Params,
    template: tuple[np.ndarray, np.ndarray],
    frame: np.ndarray,
    previous_masks: np.ndarray,
    *,
    threads: int,
) -> tuple[str, Callable[[], Tensor]]:
    """One step of the PyTorch network, in the memory layout that is faster here.

    Args:
        template: features [b, k, c] and areas [b, n, k].
        frame: RGB in [0, 1], [b, H, W, 3].
        previous_masks: [b, n, H, W].
        threads: how many PyTorch may use.

    Returns:
        The name of the layout, and a function that computes the logits.
    """
    torch.set_num_threads(threads)
    network = torch_network(model, params)
    parts = tuple(torch.tensor(part) for part in template)
    image, masks = torch.tensor(frame).permute(0, 3, 1, 2), torch.tensor(previous_masks)
    steps = {}
    for name, layout in (
        ("channels first", torch.contiguous_format),
        ("channels last", torch.channels_last),
    ):
        laid_out = copy.deepcopy(network).to(memory_format=layout)
        steps[name] = _step(laid_out, parts, image.contiguous(memory_format=layout), masks)
    seconds = {name: min(_seconds(step) for _ in range(3)) for name, step in steps.items()}
    name = min(seconds, key=seconds.get)
    return name, steps[name]


def _step(
    network: "TorchRANet", template: tuple[Tensor, Tensor], frame: Tensor, masks: Tensor
) -> Callable[[], Tensor]:
    def step() -> Tensor:
        with torch.inference_mode():
            return network.segment(template, frame, masks)

    return step


def _seconds(step: Callable[[], Tensor]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


class TorchRANet(nn.Module):
    """The network; submodules carry the names of the published state dict."""

    def __init__(self, mode: str, depth: int, width: int, reduction_size: int):
        super().__init__()
        w = width
        self.mode = mode
        self.base_model = ResNet(depth, w)
        self.L3 = block(8 * w, 2 * w, reduction_size)
        self.L4 = block(16 * w, 4 * w, reduction_size)
        self.L5 = block(32 * w, 8 * w, reduction_size)
        self.L_g = block(14 * w, 8 * w)
        cells = TEMPLATE_GRID[0] * TEMPLATE_GRID[1]
        self.Ranking = nn.Sequential(
            block(cells, 2 * w),
            Residual(2 * w, w // 2, dilation=2),
            block(2 * w, 1),
        )
        self.p_1, self.res_1 = block(SELECTED, 4 * w), Residual(4 * w, 2 * w)
        self.p_2 = block(4 * w, 2 * w)
        for at, sources in ((3, (3, 4, 5)), (2, (2, 3, 4)), (1, (1, 2, 3))):
            for source in sources:
                features = w // 2 if source == at else w // 4
                channels = w if source == 1 else 2**source * w
                self.add_module(f"ls{4 - at}{source}", block(channels, features, 1))
        self.R1 = nn.Sequential(
            block(5 * w + 1, 4 * w),
            block(4 * w, 4 * w),
            MultiScale(4 * w, 2 * w),
            Residual(2 * w, w),
        )
        self.R2 = nn.Sequential(
            block(3 * w, 2 * w),
            block(2 * w, w),
            MultiScale(w, w // 2),
            Residual(w // 2, w // 4),
        )
        self.R3 = nn.Sequential(
            block(3 * w // 2, w),
            block(w, w // 2),
            MultiScale(w // 2, w // 4),
            Double(),
            Residual(w // 4, w // 8),
            nn.Conv2d(w // 4, 1, 3, padding=1),
        )

    def encode_template(self, frame: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Frame [b, 3, H, W] and masks [b, n, H, W] -> features [b, k, c] and areas [b, n, k]."""
        features = F.adaptive_avg_pool2d(self._encode(self.base_model(frame)), TEMPLATE_GRID)
        areas = F.adaptive_avg_pool2d(masks, TEMPLATE_GRID)
        return features.flatten(2).transpose(1, 2), areas.flatten(2)

    def segment(
        self, template: tuple[Tensor, Tensor], frame: Tensor, previous_masks: Tensor
    ) -> Tensor:
        """Logits [b, n, H, W] of a frame [b, 3, H, W], given the masks of the frame before it."""
        features, areas = template
        b, n = previous_masks.shape[:2]
        levels = self.base_model(frame)
        current = self._encode(levels)
        h, w = current.shape[2:]
        similarity = (features @ current.flatten(2)).reshape(b, -1, h, w)
        select = self._single_streams if self.mode == "single" else self._multi_streams
        merged = [self._merge(stream.flatten(0, 1)) for stream in select(similarity, areas)]
        previous = F.adaptive_avg_pool2d(previous_masks.flatten(0, 1)[:, None], merged[0].shape[2:])
        x = torch.cat([self._laterals(levels, 3, n), *merged, previous], 1)
        x = double(self.R1(x))
        x = double(self.R2(torch.cat([self._laterals(levels, 2, n), x], 1)))
        x = self.R3(torch.cat([self._laterals(levels, 1, n), x], 1))
        return x.reshape(b, n, *x.shape[2:])

    forward = segment

    def _encode(self, levels: list[Tensor]) -> Tensor:
        c3, c4, c5 = levels[2:]
        doubled = F.interpolate(self.L5(c5), scale_factor=2, mode="bilinear", align_corners=False)
        parts = [F.max_pool2d(self.L3(c3), 2), self.L4(c4), doubled]
        return F.normalize(self.L_g(torch.cat([F.normalize(part) for part in parts], 1)))

    def _laterals(self, levels: list[Tensor], at: int, objects: int) -> Tensor:
        maps = []
        for source in range(at, at + 3):
            x = getattr(self, f"ls{4 - at}{source}")(levels[source - 1])
            if source > at:
                size = levels[at - 1].shape[2:]
                x = F.interpolate(x, size=size, mode="bilinear", align_corners=True)
            maps.append(x)
        maps = torch.cat(maps, 1)
        return maps.repeat_interleave(objects, 0) if objects > 1 else maps

    def _merge(self, maps: Tensor) -> Tensor:
        maps = F.interpolate(maps, scale_factor=2, mode="bilinear", align_corners=False)
        return self.p_2(self.res_1(self.p_1(maps)))

    def _rank(self, similarity: Tensor) -> Tensor:
        """[b, k, h, w] -> the learned score of each template cell, [b, k]."""
        swapped = F.adaptive_max_pool2d(similarity, TEMPLATE_GRID).flatten(2).transpose(1, 2)
        return F.relu(self.Ranking(swapped.unflatten(2, TEMPLATE_GRID)).flatten(1))

    def _single_streams(self, similarity: Tensor, areas: Tensor) -> list[Tensor]:
        area = areas[:, 0]
        background = (1 - area >= HARD_BACKGROUND).to(area.dtype)
        streams = []
        for weights, gate in ((area, area != 0), (background, background)):
            maps = similarity * weights[..., None, None]
            scores = maps.amax((2, 3)) + RANK_GAIN * self._rank(maps) * gate
            streams.append(_best(maps, scores)[:, None])
        return streams

    def _multi_streams(self, similarity: Tensor, areas: Tensor) -> list[Tensor]:
        weights = torch.cat([1 - areas.sum(1, keepdim=True), areas], 1)
        rank = self._rank(similarity)
        maps = [similarity * w[..., None, None] for w in weights.unbind(1)]
        scores = [
            m.amax((2, 3)) + RANK_GAIN * rank * w
            for m, w in zip(maps, weights.unbind(1), strict=True)
        ]
        foreground, background = [], []
        for i in range(1, len(maps)):
            others = [j for j in range(len(maps)) if j != i]
            foreground.append(_best(maps[i], scores[i]))
            # Only the chosen maps are gathered, from the labels they belong to.
            candidates = torch.cat([scores[j] for j in others], 1)
            background.append(_best_of_several([maps[j] for j in others], candidates))
        return [torch.stack(foreground, 1), torch.stack(background, 1)]


def _best(maps: Tensor, scores: Tensor) -> Tensor:
    order = scores.topk(SELECTED, dim=1).indices
    return maps[torch.arange(len(maps))[:, None], order]


def _best_of_several(maps: list[Tensor], scores: Tensor) -> Tensor:
    order = scores.topk(SELECTED, dim=1).indices
    stacked = torch.stack(maps, 1)
    cells = stacked.shape[2]
    return stacked[torch.arange(len(order))[:, None], order // cells, order % cells]
