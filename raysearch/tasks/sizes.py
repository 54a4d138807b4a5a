"""How many examples the files of benchmarks have, as their authors say.

They are apart from the rows because nothing depends on them: they answer where no data was read.
"""

# Task -> the numbers of training examples, and of those in the first dev split.
SIZES: dict[str, tuple[int, int]] = {
    "glue/mnli": (392_702, 9_815),
    "glue/qqp": (363_846, 40_430),
    "glue/qnli": (104_743, 5_463),
    "glue/sst2": (67_349, 872),
    "glue/cola": (8_551, 1_043),
    "glue/rte": (2_490, 277),
    "glue/mrpc": (3_668, 408),
    "glue/stsb": (5_749, 1_500),
    "glue/wnli": (635, 71),
    "superglue/boolq": (9_427, 3_270),
    "superglue/cb": (250, 56),
    "superglue/copa": (400, 100),
    "superglue/multirc": (27_243, 4_848),
    "superglue/record": (100_730, 10_000),
    "superglue/rte": (2_490, 277),
    "superglue/wic": (5_428, 638),
    "superglue/wsc": (554, 104),
    "squad/v1.1": (87_599, 10_570),
    "squad/v2.0": (130_319, 11_873),
    "race/middle": (25_421, 1_436),
    "race/high": (62_445, 3_451),
    "csqa/rand": (9_741, 1_221),
    "xtreme/xnli": (392_702, 2_490),
    "xtreme/pawsx": (49_401, 2_000),
}
