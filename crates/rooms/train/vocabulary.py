"""The tokenizer: CLIP's byte-pair encoding, its merges learned from the instructions.

python vocabulary.py DATA OUT      writes OUT/tokenizer/{vocab,merges,...}
"""

import json
import os
import sys

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTokenizer

import data

START, END = "<|startoftext|>", "<|endoftext|>"
LENGTH = 77


def learn(lines, size=768):
    """CLIP's normaliser and splitter; all 256 bytes, bare and word-final, are in the vocabulary, so no text is unknown."""
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), "removed", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=size, end_of_word_suffix="</w>", initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(lines, trainer)
    merges = [tuple(merge) for merge in json.loads(tokenizer.to_str())["model"]["merges"]]
    tokens = alphabet + [byte + "</w>" for byte in alphabet] + ["".join(merge) for merge in merges] + [START, END]
    return {token: index for index, token in enumerate(dict.fromkeys(tokens))}, merges


def write(out, vocabulary, merges):
    folder = os.path.join(out, "tokenizer")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "vocab.json"), "w") as file:
        json.dump(vocabulary, file, ensure_ascii=False)
    with open(os.path.join(folder, "merges.txt"), "w") as file:
        file.write("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    special = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
    with open(os.path.join(folder, "special_tokens_map.json"), "w") as file:
        json.dump(special, file, indent=2)
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as file:
        json.dump({"tokenizer_class": "CLIPTokenizer", "model_max_length": LENGTH, "do_lower_case": True, **special}, file, indent=2)
    return folder


def main(source, out):
    lines = [line["instruction"] for line in data.Pairs(source).lines]
    folder = write(out, *learn(lines))
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    sample = tokenizer(sorted(set(lines))[:: len(set(lines)) // 5][:5] + ["make the zebra's Häuser 42 teal!"])["input_ids"]
    print(len(tokenizer), "tokens;", [tokenizer.convert_ids_to_tokens(ids) for ids in sample])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
