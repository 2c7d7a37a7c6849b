# SPDX-License-Identifier: Apache-2.0
"""Pictures of printed text, drawn with the font that Pillow brings along; the same on every machine."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

WORDS = ("Compile", "models", "into", "small", "modules", "2026", "kernel", "schedule", "No. 417", "vector", "tensor",
         "Paris", "Tokyo", "invoice", "total 38.50", "page 12")


def line(height, width, text, ink=20):
    """Grey values (height, width) of one line of text on white, as large as it fits in height."""
    picture = Image.new("L", (width, height), 255)
    ImageDraw.Draw(picture).text((4, height // 2), text, ink, ImageFont.load_default(int(height * 0.7)), anchor="lm")
    return np.asarray(picture)


def page(height, width, texts, size=24, margin=16):
    """Grey values (height, width) of lines of text one below the other."""
    picture = Image.new("L", (width, height), 255)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size)
    for index, text in enumerate(texts):
        draw.text((margin, margin + index * 2 * size), text, 20, font)
    return np.asarray(picture)


def normalised(grey, mean, deviation):
    """A picture as networks take it: (1, 3, height, width), (value / 255 - mean) / deviation per channel."""
    planes = [(grey / 255 - m) / d for m, d in zip(mean, deviation)]
    return np.stack(planes)[None].astype(np.float32)
