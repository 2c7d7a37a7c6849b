# SPDX-License-Identifier: Apache-2.0
"""Whole tasks on real input, with every step around the networks the same for Tilewright and onnxruntime."""

import sys

import numpy as np

import pictures
import reading
import speech
from agreement import FETCHED, LARGEST_DIFFERENCE, ROOT, Failure, compiled, onnxruntime_session, require

sys.path.append(str(ROOT / "examples" / "sentence_similarity"))
import similarity  # noqa: E402

PAGE = ("Compile models into small modules", "Invoice No. 417 of 3 May 2026", "Total 38.50 EUR, paid in Paris")
SENTENCES = (
    ("A man is eating a piece of bread.", "Someone has a meal.", "A woman is playing the violin.",
     "The stock market fell sharply on Tuesday."),
    ("How do I reset my password?", "I cannot log in any more because I have forgotten the secret word of my account; "
     "what can I do?", "What is the weather like?", "Bread."),
)


def by_position(context):
    def run(inputs):
        outputs = context.outputs_for(inputs)
        return [outputs[name] for name in context.outputs]
    return run


def check_reading(folder):
    """Detection, direction and recognition together read what onnxruntime reads, of a page and of it upside down."""
    names = ("ppocr4_det", "ppocr_cls", "ppocr4_rec")
    ours = reading.Engines(*(by_position(compiled(FETCHED / f"{name}.onnx", folder)) for name in names))
    sessions = [onnxruntime_session(FETCHED / f"{name}.onnx") for name in names]
    peer = reading.Engines(*(lambda inputs, s=session: s.run(None, inputs) for session in sessions))
    characters = reading.alphabet(FETCHED / "ppocr4_rec.onnx")
    upright = pictures.page(160, 448, PAGE)
    for picture, turned in ((upright, False), (upright[::-1, ::-1].copy(), True)):
        found, expected = (reading.read(picture, engines, characters) for engines in (ours, peer))
        if found != expected:
            raise Failure(f"reads {found}, onnxruntime {expected}")
        texts = [text.replace(" ", "") for _, _, text in found]
        if sorted(texts) != sorted(line.replace(" ", "") for line in PAGE):
            raise Failure(f"reads {texts} on a page that says {PAGE}")
        if any(each != turned for _, each, _ in found):
            raise Failure(f"takes lines for {'upright' if turned else 'upside down'} that are not: {found}")
    return f"{len(PAGE)} lines, both ways up"


def check_speech(folder):
    """Someone speaks in the same stretches of a recording as by onnxruntime."""
    samples = speech.read_wave(require(FETCHED / "speech.wav"))
    context = compiled(FETCHED / "silero_vad.onnx", folder, "--bind", f"sr={speech.RATE}",
                       "--dim", "input_0=1", "--dim", f"input_1={speech.CONTEXT + speech.WINDOW}")
    session = onnxruntime_session(FETCHED / "silero_vad.onnx")
    names, rate = [output.name for output in session.get_outputs()], np.array(speech.RATE, np.int64)
    ours = speech.probabilities(samples, context.outputs_for)
    peer = speech.probabilities(samples, lambda inputs: dict(zip(names, session.run(names, inputs | {"sr": rate}))))
    if not np.abs(ours - peer).max() < LARGEST_DIFFERENCE:
        raise Failure(f"the probability of speech differs by {np.abs(ours - peer).max():.1e}")
    found, expected = (speech.segments(chances, len(samples)) for chances in (ours, peer))
    if found != expected or len(found) < 2:
        raise Failure(f"speech is at {found}, by onnxruntime at {expected}")
    return f"{len(found)} segments in {len(ours)} windows, difference {np.abs(ours - peer).max():.1e}"


def check_sentences(folder):
    """Sentences keep their order by similarity, with the steps of examples/sentence_similarity."""
    context = compiled(FETCHED / "minilm.onnx", folder)
    session = onnxruntime_session(require(FETCHED / "minilm.onnx"))
    worst = 0.0
    for sentences in SENTENCES:
        inputs = similarity.tokenise(require(FETCHED / "minilm_tokenizer.json"), sentences)
        ours, peer = (similarity.similarities(similarity.sentence_vectors(vectors, inputs["attention_mask"]))
                      for vectors in (context.outputs_for(inputs)["output_0"], session.run(["output_0"], inputs)[0]))
        if (ours.argsort() != peer.argsort()).any() or ours.argmax() != 0:
            raise Failure(f"similarities to '{sentences[0]}' are {ours}, by onnxruntime {peer}")
        worst = max(worst, float(np.abs(ours - peer).max()))
    return f"{len(SENTENCES)} orders, difference {worst:.1e}"


CHECKS = {"reading": check_reading, "speech": check_speech, "sentences": check_sentences}
