"""The command's networks against PyTorch's, on random weights of the same sizes: alternately, on as many threads, PyTorch in both layouts.

    .venv/bin/python bench_torch.py unet --dtypes f32 bf16 --rounds 3
    .venv/bin/python bench_torch.py vae --shape rooms --limekiln ../../target/release/limekiln

A ratio is the command's least (median) seconds by those of PyTorch's better layout: below 1, the command is faster.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import time

import diffusers
import torch
import transformers

HERE = pathlib.Path(__file__).parent
ROOMS = HERE.parents[1] / "crates/rooms/model"
UNET = dict(in_channels=8, out_channels=4, block_out_channels=(320, 640, 1280, 1280), layers_per_block=2, cross_attention_dim=768,
            attention_head_dim=8, norm_num_groups=32, sample_size=64)
VAE = dict(block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4, norm_num_groups=32, sample_size=512,
           down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4)
TEXT = dict(vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
DTYPES = dict(f32=torch.float32, bf16=torch.bfloat16, f16=torch.float16)
LAYOUTS = {"NCHW": torch.contiguous_format, "channels_last": torch.channels_last}
SIDES = dict(sd15=512, rooms=128)


def config(part, sd15, shape):
    if shape == "sd15":
        return sd15
    return {k: v for k, v in json.loads((ROOMS / part / "config.json").read_text()).items() if not k.startswith("_")}


def network(args):
    """The network, the names of its parts, and for each a call of it."""
    factor = 2 ** (len(config("vae", VAE, args.shape)["block_out_channels"]) - 1)
    side = args.size // factor
    if args.what == "unet":
        net = diffusers.UNet2DConditionModel(**config("unet", UNET, args.shape))
        text = torch.randn(args.lanes, 77, net.config.cross_attention_dim)
        return net, {"unet": ((args.lanes, 8, side, side), lambda x: net(x, 500, text.to(x.dtype), return_dict=False))}
    if args.what == "vae":
        net = diffusers.AutoencoderKL(**config("vae", VAE, args.shape))
        return net, {"vae encode": ((args.lanes, 3, args.size, args.size), lambda x: net.encode(x).latent_dist.mode()),
                     "vae decode": ((args.lanes, 4, side, side), lambda x: net.decode(x, return_dict=False))}
    net = transformers.CLIPTextModel(transformers.CLIPTextConfig(**config("text_encoder", TEXT, args.shape)))
    ids = torch.randint(0, net.config.vocab_size, (args.lanes, 77))
    return net, {"text": (None, lambda _: net(ids))}


def timed(call, calls):
    seconds = []
    for _ in range(calls):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return seconds


def command(args, dtype):
    line = [args.limekiln, "bench", args.what, "--shape", args.shape, "--dtype", dtype, "--threads", args.threads, "--calls", args.calls,
            "--lanes", args.lanes, "--json"]
    if args.what != "text":
        line += ["--size", args.size]
    report = json.loads(subprocess.run([str(word) for word in line], check=True, capture_output=True, text=True).stdout)
    return report, {row["what"]: row for row in report["figures"]}


@torch.inference_mode()
def compare(args, dtype):
    net, parts = network(args)
    net = net.eval().to(DTYPES[dtype])
    layouts = LAYOUTS if args.what != "text" else {"NCHW": torch.contiguous_format}
    torches = {(part, layout): [] for part in parts for layout in layouts}
    commands = {part: [] for part in parts}
    for round in range(args.rounds):
        report, rows = command(args, dtype)
        for part in parts:
            commands[part].append((rows[part]["min_s"], rows[part]["median_s"], rows[part]["peak_bytes"]))
        for layout, memory in layouts.items():
            if args.what != "text":
                net = net.to(memory_format=memory)
            for part, (shape, call) in parts.items():
                x = None if shape is None else torch.randn(shape).to(DTYPES[dtype], memory_format=memory)
                timed(lambda: call(x), 1)
                torches[part, layout] += timed(lambda: call(x), args.calls)
    print(f"{args.shape} {args.size} px, {args.lanes} lanes, {dtype}, {args.threads} threads; {report['name']}: {', '.join(report['instructions'])}; "
          f"torch {torch.__version__} ({torch.backends.cpu.get_cpu_capability()}), best of {args.rounds}x{args.calls}")
    for part in parts:
        least, median = min(c[0] for c in commands[part]), statistics.median(c[1] for c in commands[part])
        print(f"  {part:12} limekiln {dtype:14} least {least:9.4f} s  median {median:9.4f} s  peak {max(c[2] or 0 for c in commands[part]) >> 20} MiB")
        for layout in layouts:
            seconds = torches[part, layout]
            print(f"  {part:12} torch {layout:17} least {min(seconds):9.4f} s  median {statistics.median(seconds):9.4f} s")
        best = min(layouts, key=lambda layout: min(torches[part, layout]))
        print(f"  {part:12} limekiln / torch {best}: {least / min(torches[part, best]):.2f} by the least, "
              f"{median / min(statistics.median(torches[part, layout]) for layout in layouts):.2f} by the median")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["unet", "vae", "text"])
    parser.add_argument("--shape", choices=list(SIDES), default="sd15")
    parser.add_argument("--lanes", type=int, help="rows of the batch [default: 3, of the VAE 1]")
    parser.add_argument("--size", type=int, help="side of the picture in pixels [default: 512, of rooms 128]")
    parser.add_argument("--dtypes", nargs="+", choices=list(DTYPES), default=["f32", "bf16"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=1, help="timed calls of each in a round; one more runs first")
    parser.add_argument("--limekiln", default=str(HERE.parents[1] / "target/release/limekiln"))
    args = parser.parse_args()
    args.size = args.size or SIDES[args.shape]
    args.lanes = args.lanes or (1 if args.what == "vae" else 3)
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    for dtype in args.dtypes:
        compare(args, dtype)


if __name__ == "__main__":
    main()
