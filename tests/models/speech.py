# SPDX-License-Identifier: Apache-2.0
"""Where someone speaks in a recording, by silero_vad: a network with a state over short, overlapping windows.

An engine is a function from inputs by name to outputs by name.
"""

import wave

import numpy as np

RATE = 16000
WINDOW = 512
CONTEXT = 64  # samples of the window before that the network sees again
SPEECH, SILENCE = 0.5, 0.35  # speech begins above the first probability and ends below the second
SHORTEST_SPEECH, SHORTEST_SILENCE = RATE // 4, RATE // 10


def read_wave(path):
    """Samples in [-1, 1) of a recording of one channel at RATE."""
    with wave.open(str(path)) as file:
        if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, RATE):
            raise ValueError(f"{path}: expected 16-bit samples of one channel at {RATE} Hz, found {file.getparams()}")
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768


def probabilities(samples, engine):
    """The probability of speech in each window; a last, shorter one is filled up with silence."""
    padded = np.concatenate([np.zeros(CONTEXT, np.float32), samples, np.zeros(-len(samples) % WINDOW, np.float32)])
    state, result = np.zeros((2, 1, 128), np.float32), []
    for begin in range(0, len(padded) - CONTEXT, WINDOW):
        outputs = engine({"input": padded[None, begin:begin + CONTEXT + WINDOW], "state": state})
        state = outputs["stateN"]
        result.append(outputs["output"].item())
    return np.array(result)


def segments(chances, total):
    """(begin, end), in samples, of what is spoken: pauses too short do not divide it, bursts too short are none."""
    found, begin, quiet = [], None, None
    for index, chance in enumerate(chances):
        now = index * WINDOW
        if chance >= SPEECH:
            begin, quiet = now if begin is None else begin, None
        elif chance < SILENCE and begin is not None:
            quiet = now if quiet is None else quiet
            if now - quiet >= SHORTEST_SILENCE:
                found.append((begin, quiet))
                begin = quiet = None
    if begin is not None:
        found.append((begin, total if quiet is None else quiet))
    return [(b, e) for b, e in found if e - b >= SHORTEST_SPEECH]
