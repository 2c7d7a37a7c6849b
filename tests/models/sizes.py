# SPDX-License-Identifier: Apache-2.0
"""Inputs in several sizes for the models that leave their sizes open; seeded, the same in every run.

Networks that read text are given text. On pictures without any, ppocr4_det gives 1e-5 and less everywhere, which is
where onnxruntime's Sigmoid, exact to 1e-7 but not relative to so small a value, differs from the exact one by more
than the largest difference that the rules allow.
"""

import numpy as np

import pictures

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5,) * 3, (0.5,) * 3)


def _tokens():
    """Sentences of random words; where there are several in a batch, later ones are shorter and filled up."""
    generator = np.random.default_rng(0)
    sets = []
    for batch, length in ((1, 9), (2, 37), (1, 128), (3, 7)):
        lengths = np.maximum(length - 3 * np.arange(batch), 1)
        mask = (np.arange(length) < lengths[:, None]).astype(np.int64)
        ids = generator.integers(1000, 30000, (batch, length)) * mask
        sets.append({"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)})
    return sets


def _words(count, seed):
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice(pictures.WORDS, 4)) for _ in range(count)]


def _pages():
    return [{"x": pictures.normalised(pictures.page(height, width, _words(height // 48, height)), *IMAGENET)}
            for height, width in ((96, 224), (160, 160), (64, 320))]


def _lines():
    return [{"x": pictures.normalised(pictures.line(48, width, text), *HALF)}
            for width, text in zip((320, 100, 217), _words(3, 0))]


def _directions():
    """Batches of lines of which some stand on their heads."""
    sets = []
    for batch in (8, 3):
        lines = [pictures.line(48, 192, text)[::-1, ::-1] if index % 3 == 1 else pictures.line(48, 192, text)
                 for index, text in enumerate(_words(batch, batch))]
        sets.append({"x": np.concatenate([pictures.normalised(each, *HALF) for each in lines])})
    return sets


def _noise(name, shapes):
    generator = np.random.default_rng(0)
    return lambda: [{name: generator.standard_normal(shape).astype(np.float32)} for shape in shapes]


SETS = {
    "minilm": _tokens,
    "ppocr4_det": _pages,
    "ppocr4_rec": _lines,
    "ppocr_cls": _directions,
    "mtcnn_pnet": _noise("input_1", ((1, 64, 96, 3), (1, 37, 51, 3), (2, 12, 12, 3))),
    "ddddocr": lambda: [{"input1": pictures.line(64, width, text)[None, None].astype(np.float32) / 255}
                        for width, text in zip((160, 96, 233), ("tw4x7", "9ab", "K3mn52"))],
}
