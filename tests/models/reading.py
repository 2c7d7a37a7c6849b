# SPDX-License-Identifier: Apache-2.0
"""Reads the text on a picture with the three networks of PP-OCR: where text is, which way up, what it says.

The steps around the networks (boxes out of the probability map as in Liao et al., arXiv:1911.08947, section 3.4, and
greedy decoding as in Graves et al., ICML 2006) are written here, for pictures whose lines are level. An engine
is a function from inputs by name to a list of outputs.
"""

import dataclasses

import numpy as np
import onnx
from PIL import Image

import pictures
from sizes import HALF, IMAGENET

TEXT_PROBABILITY = 0.3
BOX_PROBABILITY = 0.5
GROWTH = 1.5  # of a box, in its area over its circumference: the map shows text shrunk by about this
UPSIDE_DOWN = 0.9
LINE_HEIGHT = 48


@dataclasses.dataclass(frozen=True)
class Engines:
    detect: object
    direct: object
    recognise: object


def alphabet(model):
    """What the recognition network's classes stand for; class 0 is no character, the last one a space."""
    properties = {entry.key: entry.value for entry in onnx.load(model).metadata_props}
    return ["", *properties["character"].splitlines(), " "]


def _regions(mask):
    """Masks' connected regions, as arrays of rows and columns."""
    left = mask.copy()
    for start in np.argwhere(mask):
        if not left[tuple(start)]:
            continue
        left[tuple(start)] = False
        found, open_points = [], [tuple(start)]
        while open_points:
            y, x = open_points.pop()
            found.append((y, x))
            for near in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if 0 <= near[0] < mask.shape[0] and 0 <= near[1] < mask.shape[1] and left[near]:
                    left[near] = False
                    open_points.append(near)
        yield np.array(found).T


def boxes(probabilities):
    """(top, left, bottom, right) of lines of text, in reading order."""
    found = []
    for rows, columns in _regions(probabilities > TEXT_PROBABILITY):
        if probabilities[rows, columns].mean() < BOX_PROBABILITY:
            continue
        top, left, bottom, right = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
        height, width = bottom - top, right - left
        by = int(round(height * width * GROWTH / (2 * (height + width))))
        limit = probabilities.shape
        found.append((max(top - by, 0), max(left - by, 0), min(bottom + by, limit[0]), min(right + by, limit[1])))
    return sorted(found)


def _resized(grey, height, width):
    return np.asarray(Image.fromarray(grey).resize((width, height), Image.Resampling.BILINEAR))


def _line_width(grey):
    return max(round(grey.shape[1] * LINE_HEIGHT / grey.shape[0]), 16)


def _upright(lines, engine):
    """The lines, turned where the network is sure that they stand on their heads."""
    batch = np.zeros((len(lines), 3, LINE_HEIGHT, 192), np.float32)
    for each, line in zip(batch, lines):
        width = min(_line_width(line), 192)
        each[:, :, :width] = pictures.normalised(_resized(line, LINE_HEIGHT, width), *HALF)[0]
    turned = engine({"x": batch})[0][:, 1] > UPSIDE_DOWN
    return [line[::-1, ::-1] if turn else line for line, turn in zip(lines, turned)], turned


def _text(scores, characters):
    """The likeliest class at each place; repeated ones count once."""
    best = scores.argmax(axis=-1)
    kept = best[np.flatnonzero(np.diff(best, prepend=-1))]
    return "".join(characters[index] for index in kept)


def read(grey, engines, characters):
    """The box, whether it was turned, and the text of each line of a picture (height and width multiples of 32)."""
    probabilities = engines.detect({"x": pictures.normalised(grey, *IMAGENET)})[0][0, 0]
    places = boxes(probabilities)
    if not places:
        return []
    lines, turned = _upright([grey[top:bottom, left:right] for top, left, bottom, right in places], engines.direct)
    texts = []
    for line in lines:
        # Each line at its own width: the network's sizes are open.
        inputs = {"x": pictures.normalised(_resized(line, LINE_HEIGHT, _line_width(line)), *HALF)}
        texts.append(_text(engines.recognise(inputs)[0][0], characters))
    return [(tuple(map(int, place)), bool(turn), text) for place, turn, text in zip(places, turned, texts)]
