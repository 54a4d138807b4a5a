"""The views of an example that consistency training compares (stabletune, Zheng et al., 2021): the
same words switched to other languages, divided otherwise, or translated.

Pure functions: whatever is drawn comes from the `random.Random` that is given, see `drawn`."""

from . import dictionaries, sources, translations, unigram
from .alignment import Row, WindowRow, align_window, align_words
from .subwords import Pieces, Sampled, Sampler, sample_words
from .words import Switched, answer_words, code_switch, drawn, spans

__all__ = ["Pieces", "Row", "Sampled", "Sampler", "Switched", "WindowRow", "align_window",
           "align_words", "answer_words", "code_switch", "dictionaries", "drawn", "sample_words",
           "sources", "spans", "translations", "unigram"]  # fmt: skip
