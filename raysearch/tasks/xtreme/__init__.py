"""The seven tasks of XTREME (Hu et al., 2020), in up to 40 languages.

Supported layouts are those of XTREME's download script (flat files, no gold labels in the test
sets), of xTune's script (the same with gold labels), and of the data sets' own archives. A language
without files has no splits. The English dev split selects, so that no choice depends on labels of
another language. Test sets are predicted, and scored if their gold labels are available.
"""

from . import question_answering, sentence_pairs, tagged_words

TASKS = (*sentence_pairs.TASKS, *tagged_words.TASKS, *question_answering.TASKS)
