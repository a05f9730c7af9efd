"""Writes the reference checkpoints and goldens. `python generate.py [part ...]`; no part means all."""

import sys

import torch

import colors
import drawn
import edits
import layouts
import lime
import networks
import schedules
import taps
import windowed

PARTS = {"checkpoints": layouts.write, "networks": networks.write, "taps": taps.write,
         "schedules": schedules.write, "drawn": drawn.write, "colors": colors.write, "edits": edits.write, "lime": lime.write,
         "windowed": windowed.write}

if __name__ == "__main__":
    torch.set_num_threads(1)
    for part in sys.argv[1:] or PARTS:
        print(part)
        PARTS[part]()
