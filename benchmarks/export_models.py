#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the benchmark models with seeded weights as ONNX files: static shapes, inference mode.

The vision models are torchvision's, BERT is transformers'; the others are written here. No weights are fetched: what
matters for speed and for agreement is the architecture, as long as activations stay in the range
that training gives. So batch-norm scales and shifts are drawn near 1 and 0, and the statistics are
measured on random images, as training would have left them. The images have structure at all scales,
as photos have: white noise looks alike everywhere, and statistics of it magnify rounding errors.

Runs in .venv-bench (scripts/setup bench).
"""

import argparse
import hashlib
import json
import pathlib
import re
import sys
import time
import warnings
import zlib

import torch
import torchvision
import transformers
from torch import nn

ROOT = pathlib.Path(__file__).resolve().parent.parent
OPSET = 17


def mlp():
    return nn.Sequential(nn.Linear(784, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10))


def dqn():
    """The network of Mnih et al., Nature 518 (2015), methods section, with all 18 actions."""
    return nn.Sequential(nn.Conv2d(4, 32, 8, stride=4), nn.ReLU(), nn.Conv2d(32, 64, 4, stride=2), nn.ReLU(),
                         nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten(), nn.Linear(3136, 512), nn.ReLU(),
                         nn.Linear(512, 18))


def dcgan():
    """The generator of Radford et al., arXiv:1511.06434, figure 1: 100 values to a 64x64 image."""
    layers = [nn.ConvTranspose2d(100, 1024, 4, bias=False), nn.BatchNorm2d(1024), nn.ReLU()]
    for channels in (1024, 512, 256):
        layers += [nn.ConvTranspose2d(channels, channels // 2, 4, stride=2, padding=1, bias=False),
                   nn.BatchNorm2d(channels // 2), nn.ReLU()]
    model = nn.Sequential(*layers, nn.ConvTranspose2d(128, 3, 4, stride=2, padding=1), nn.Tanh())
    for module in model:
        if isinstance(module, nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
    return model


def gemm(outputs):
    """A matrix product with constant weights, as in a transformer's layers: K = 768."""
    return lambda: nn.Linear(768, outputs, bias=False)


class Bert(nn.Module):
    """BERT-base up to its last hidden state, of tokens and their mask."""

    def __init__(self):
        super().__init__()
        config = transformers.BertConfig(attn_implementation="eager")
        self.bert = transformers.BertModel(config, add_pooling_layer=False)

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.bert(input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)[0]


class LstmLanguageModel(nn.Module):
    """The medium-sized network of Zaremba et al., arXiv:1409.2329: scores of the next word, and the new state."""

    def __init__(self, words=10000, width=650, layers=2):
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.lstm = nn.LSTM(width, width, layers)
        self.scores = nn.Linear(width, words)

    def forward(self, tokens, hidden, cell):
        output, (hidden, cell) = self.lstm(self.embed(tokens), (hidden, cell))
        return self.scores(output), hidden, cell


def vision(name, **options):
    return lambda: getattr(torchvision.models, name)(weights=None, **options)


def words(limit, *shape):
    return torch.randint(limit, shape)


# Name of the model: how it is made, and the shape of its one input of floats.
MODELS = {
    "mlp": (mlp, (1, 784)),
    "gemm_768": (gemm(768), (128, 768)),
    "gemm_3072": (gemm(3072), (128, 768)),
    "dqn": (dqn, (1, 4, 84, 84)),
    "dcgan": (dcgan, (1, 100, 1, 1)),
    "resnet18": (vision("resnet18"), (1, 3, 224, 224)),
    "resnet50": (vision("resnet50"), (1, 3, 224, 224)),
    "mobilenet_v2": (vision("mobilenet_v2"), (1, 3, 224, 224)),
    "vgg16": (vision("vgg16"), (1, 3, 224, 224)),
    "squeezenet1_1": (vision("squeezenet1_1"), (1, 3, 224, 224)),
    "inception_v3": (vision("inception_v3", aux_logits=False, init_weights=True), (1, 3, 299, 299)),
    "densenet121": (vision("densenet121"), (1, 3, 224, 224)),
}

# Exported when named only: architectures of other kinds, by which rules made for those above are judged.
MORE_MODELS = {name: (vision(name), (1, 3, 224, 224)) for name in (
    "convnext_tiny", "efficientnet_b0", "mnasnet1_0", "mobilenet_v3_large", "regnet_y_400mf",
    "resnext50_32x4d", "shufflenet_v2_x1_0", "swin_t", "vit_b_32")}

# Models of text: how they are made, their inputs by name for a batch, and the names of their outputs.
TEXT_MODELS = {
    "bert_base": (Bert, lambda n: {"input_ids": words(30522, n, 128), "attention_mask": torch.ones(n, 128, dtype=int),
                                   "token_type_ids": torch.zeros(n, 128, dtype=int)}, ["output"]),
    "lstm_lm": (LstmLanguageModel, lambda n: {"tokens": words(10000, 35, n), "hidden": torch.randn(2, n, 650) / 4,
                                              "cell": torch.randn(2, n, 650) / 4},
                ["scores", "new_hidden", "new_cell"]),
}
NAMES = [*MODELS, *TEXT_MODELS]


def random_inputs(count, shape):
    """Inputs of unit variance; images are sums of noise from the coarsest scale to single pixels."""
    if len(shape) < 4 or shape[2] < 8:
        return torch.randn(count, *shape[1:])
    images, size = torch.zeros(count, *shape[1:]), 1
    while size <= shape[2]:
        noise = torch.randn(count, shape[1], size, size)
        images += nn.functional.interpolate(noise, shape[2:], mode="bilinear", align_corners=False)
        size *= 2
    return images / images.std()


def settle_batch_norms(model, shape):
    """Gives batch norms scales, shifts and the statistics that random inputs have there."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.7, 1.3)
        nn.init.normal_(norm.bias, 0.0, 0.1)
        norm.momentum = None  # the plain average over what follows
    if norms:
        model.train()
        with torch.no_grad():
            model(random_inputs(8, shape))
    model.eval()


def split_batch(name):
    """resnet50_b8 is resnet50, with the same weights, for a batch of 8; without an end, a batch of 1."""
    found = re.fullmatch(r"(.+)_b([1-9][0-9]*)", name)
    return (found[1], int(found[2])) if found else (name, 1)


def build(name):
    """The model, its inputs by name, and the names of its outputs."""
    name, batch = split_batch(name)
    torch.manual_seed(zlib.crc32(name.encode()))
    if name in TEXT_MODELS:
        make, inputs, outputs = TEXT_MODELS[name]
        return make().eval(), inputs(batch), outputs
    make, shape = {**MODELS, **MORE_MODELS}[name]
    model = make()
    settle_batch_norms(model, shape)
    return model, {"input": random_inputs(shape[0] * batch, shape)}, ["output"]


def export(name, path):
    model, inputs, outputs = build(name)
    partial = path.with_suffix(".partial")
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        # The exporter that traces: the newer one needs further packages and gives the same graphs here.
        torch.onnx.export(model, tuple(inputs.values()), str(partial), input_names=list(inputs), output_names=outputs,
                          opset_version=OPSET, dynamo=False)
        output = model(*inputs.values())
    output = output[0] if isinstance(output, tuple) else output
    if not torch.isfinite(output).all() or output.std() < 1e-6:
        raise RuntimeError(f"{name}: the seeded weights give a degenerate output")
    partial.replace(path)
    return output


def recipe():
    """Identifies what an export depends on, so that an unchanged model is not exported again."""
    source = pathlib.Path(__file__).read_bytes()
    versions = (torch.__version__, torchvision.__version__, transformers.__version__)
    return hashlib.sha256(source + "".join(versions).encode()).hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("names", nargs="*", help=f"models to export (default: {', '.join(NAMES)}); others: "
                        f"{', '.join(MORE_MODELS)}; with _bN behind a name, for a batch of N")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "build" / "models", help="folder to write to")
    options = parser.parse_args()
    known = [*NAMES, *MORE_MODELS]
    unknown = [name for name in options.names if split_batch(name)[0] not in known]
    if unknown:
        parser.error(f"unknown models: {', '.join(unknown)}; known: {', '.join(known)}")

    options.output.mkdir(parents=True, exist_ok=True)
    manifest_path = options.output / "exported.json"
    manifest = json.loads(manifest_path.read_text()) if manifest_path.exists() else {}
    for name in options.names or NAMES:
        path = options.output / f"{name}.onnx"
        if path.exists() and manifest.get(name) == recipe():
            continue
        begin = time.monotonic()
        output = export(name, path)
        manifest[name] = recipe()
        manifest_path.write_text(json.dumps(manifest, indent=1))
        print(f"export_models: {name}: {path.stat().st_size / 1e6:.1f} MB, output {tuple(output.shape)} "
              f"in [{output.min():.3g}, {output.max():.3g}], {time.monotonic() - begin:.1f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
