"""Pairs as `cargo run --release -p limekiln-rooms --example export` writes them."""

import json
import os

import numpy as np
import torch


class Pairs:
    """`pairs.u8` memory-mapped: before and after [size, size, 3], region and labels [size, size], a pair after the other."""

    def __init__(self, folder, size=128):
        with open(os.path.join(folder, "pairs.jsonl")) as lines:
            self.lines = [json.loads(line) for line in lines]
        plane = size * size
        raw = np.memmap(os.path.join(folder, "pairs.u8"), np.uint8, "r").reshape(len(self.lines), 8 * plane)
        self._before = raw[:, : 3 * plane].reshape(-1, size, size, 3)
        self._after = raw[:, 3 * plane : 6 * plane].reshape(-1, size, size, 3)
        self._region = raw[:, 6 * plane : 7 * plane].reshape(-1, size, size)
        self._labels = raw[:, 7 * plane :].reshape(-1, size, size)

    def __len__(self):
        return len(self.lines)

    @staticmethod
    def _pixels(array):
        return torch.from_numpy(np.ascontiguousarray(array)).permute(0, 3, 1, 2).float() / 127.5 - 1

    def before(self, index):
        """[n, 3, size, size] in [-1, 1]."""
        return self._pixels(self._before[list(index)])

    def after(self, index):
        return self._pixels(self._after[list(index)])

    def region(self, index, side):
        """Share of each cell that the edit's true mask covers: [n, side, side] in [0, 1]."""
        mask = torch.from_numpy(np.ascontiguousarray(self._region[list(index)])).float()[:, None] / 255
        return torch.nn.functional.adaptive_avg_pool2d(mask, side)[:, 0]

    def labels(self, index, side):
        """Class at the middle of each cell (0 wall, 1 floor, then the objects): [n, side, side] u8."""
        step = self._labels.shape[1] // side
        return torch.from_numpy(np.ascontiguousarray(self._labels[list(index), step // 2 :: step, step // 2 :: step]))
