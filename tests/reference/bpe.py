"""A tiny byte-level BPE vocabulary in CLIP's form: 256 bytes, 256 bytes that end a word, merges, two special tokens."""

import collections
import json
import pathlib

import transformers

CORPUS = """make the sofa red . turn the lamp green . change the color of the carpet to blue . recolor the curtain .
paint the vase yellow . remove the picture . add a red vase . replace the ottoman with a lamp . what if it were snowing
make the sofa blue and the carpet purple . put a hat on the dog . turn the sky into a sunset . it's a photo of a cat
make it look like winter in the mountains . the car should be white . image quality is five out of five"""


def byte_symbols():
    """The printable stand-in for each byte, in CLIP's order (GPT-2's table)."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    table = {b: chr(b) for b in plain}
    table.update({b: chr(256 + i) for i, b in enumerate(b for b in range(256) if b not in table)})
    return table


def merges(count):
    """The `count` most frequent merges of CORPUS, in order; ties break alphabetically."""
    words = [[*word[:-1], word[-1] + "</w>"] for word in CORPUS.split()]
    found = []
    while len(found) < count:
        pairs = collections.Counter(pair for word in words for pair in zip(word, word[1:]))
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        found.append(best)
        for word in words:
            i = 0
            while i + 1 < len(word):
                if (word[i], word[i + 1]) == best:
                    word[i : i + 2] = ["".join(best)]
                i += 1
    return found


def tokenizer(pad="<|endoftext|>", count=86):
    """A CLIP tokenizer of 514 + count tokens."""
    symbols = list(byte_symbols().values())
    table = merges(count)
    names = [*symbols, *(s + "</w>" for s in symbols), *("".join(pair) for pair in table)]
    names += ["<|startoftext|>", "<|endoftext|>"]
    vocab = {name: i for i, name in enumerate(names)}
    return transformers.CLIPTokenizer(vocab=vocab, merges=table, pad_token=pad, model_max_length=77)


def write_pair(tokenizer, folder):
    """vocab.json + merges.txt + the two small configs: how SD1 repositories carry the tokenizer."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    vocab = dict(sorted(tokenizer.get_vocab().items(), key=lambda item: item[1]))
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False))
    lines = ["#version: 0.2", *(f"{a} {b}" for a, b in merges(len(vocab) - 514))]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    special["pad_token"] = tokenizer.pad_token
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=2) + "\n")
    config = {"do_lower_case": True, "model_max_length": 77, "tokenizer_class": "CLIPTokenizer", **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
