"""Turns a training folder into the checkpoint that the product embeds: diffusers layout, f16.

python package.py OUT MODEL
"""

import json
import os
import shutil
import sys

import torch
from safetensors.torch import load_file, save_file

WEIGHTS = {"unet": "diffusion_pytorch_model.safetensors", "vae": "diffusion_pytorch_model.safetensors", "text_encoder": "model.safetensors"}
INDEX = {
    "_class_name": "StableDiffusionInstructPix2PixPipeline",
    "feature_extractor": [None, None],
    "safety_checker": [None, None],
    "requires_safety_checker": False,
    "scheduler": ["diffusers", "EulerAncestralDiscreteScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def main(source, model):
    for folder, file in WEIGHTS.items():
        os.makedirs(f"{model}/{folder}", exist_ok=True)
        tensors = {name: tensor.to(torch.float16).contiguous() for name, tensor in load_file(f"{source}/{folder}/{file}").items()
                   if not name.endswith("position_ids")}
        save_file(tensors, f"{model}/{folder}/{file}", metadata={"format": "pt"})
        with open(f"{source}/{folder}/config.json") as config:
            kept = {key: value for key, value in json.load(config).items() if not key.startswith("_") or key == "_class_name"}
        kept.pop("dtype", None)
        with open(f"{model}/{folder}/config.json", "w") as config:
            json.dump(kept, config, indent=2, sort_keys=True)
            config.write("\n")
    for folder in ("tokenizer", "scheduler"):
        shutil.copytree(f"{source}/{folder}", f"{model}/{folder}", dirs_exist_ok=True)
    with open(f"{model}/model_index.json", "w") as index:
        json.dump(INDEX, index, indent=2)
        index.write("\n")
    size = sum(os.path.getsize(os.path.join(root, name)) for root, _, names in os.walk(model) for name in names)
    print(f"{size / 2**20:.2f} MiB")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
