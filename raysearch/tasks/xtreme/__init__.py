"""XTREME (Hu et al., 2020): seven tasks, trained in English and evaluated in up to 40 languages.

Layouts are those of XTREME's own download script (flat files, gold taken out of the test sets), of
xTune's (the same with gold), and of the data sets' own archives. Where a language has no files, its
splits are absent. English selects, so that no choice has seen another language's labels; test sets
are predicted, and scored where their gold is at hand.
"""

from . import question_answering, sentence_pairs, tagged_words

TASKS = (*sentence_pairs.TASKS, *tagged_words.TASKS, *question_answering.TASKS)
