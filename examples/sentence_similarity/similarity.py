#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints how alike the first sentence and each of the others are, the most similar first.

    similarity.py MODULE TOKENIZER.json SENTENCE SENTENCE...

MODULE is all-MiniLM-L6-v2 as `tilewright compile` makes it (or the .onnx file itself). One module takes any number
of sentences of any length.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from tokenizers import Tokenizer

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
COMMAND = ROOT / "build" / "bin" / "tilewright"


def tokenise(tokenizer_file, sentences):
    """The network's inputs by name: token numbers, which of them are there, and which text they are of."""
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_padding()
    tokenizer.enable_truncation(512)
    encoded = tokenizer.encode_batch(sentences)
    length = max(len(each.ids) for each in encoded)
    inputs = {name: np.zeros((len(sentences), length), np.int64)
              for name in ("input_ids", "attention_mask", "token_type_ids")}
    for row, each in enumerate(encoded):
        inputs["input_ids"][row, :len(each.ids)] = each.ids
        inputs["attention_mask"][row, :len(each.ids)] = 1
    return inputs


def sentence_vectors(token_vectors, mask):
    """The mean over each sentence's tokens, of length 1."""
    weights = mask[:, :, None].astype(np.float32)
    means = (token_vectors * weights).sum(axis=1) / weights.sum(axis=1)
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def run(module, inputs):
    """The vectors of the tokens, by the command."""
    with tempfile.TemporaryDirectory(prefix="tilewright-example-") as folder:
        arguments = []
        for name, array in inputs.items():
            np.save(f"{folder}/{name}.npy", array)
            arguments += ["--input", f"{name}={folder}/{name}.npy"]
        subprocess.run([COMMAND, "run", module, *arguments, "--output-dir", f"{folder}/out"], check=True)
        return np.load(f"{folder}/out/output_0.npy")


def similarities(vectors):
    """Cosines of the angles between the first vector and each of the others."""
    return vectors[1:] @ vectors[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("module", type=pathlib.Path)
    parser.add_argument("tokenizer", type=pathlib.Path)
    parser.add_argument("sentences", nargs="+")
    options = parser.parse_args()
    if len(options.sentences) < 2:
        parser.error("give two sentences at least")
    inputs = tokenise(options.tokenizer, options.sentences)
    alike = similarities(sentence_vectors(run(options.module, inputs), inputs["attention_mask"]))
    print(options.sentences[0])
    for index in np.argsort(-alike):
        print(f"  {alike[index]:6.3f}  {options.sentences[1 + index]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
