"""Words of all kinds of characters."""

KINDS = (
    "abcdefgh", "áéíöüß", "e\u0301\u0300\u20dd", "漢字中文日本", "กขคงจฉชัาิ", "😀👩\u200d🚀🏳\ufe0f",
    "\u200b\ufeff", "العربية", "नमस्ते", ".,!?-",
)  # fmt: skip


def some_text(random):
    """Words of all kinds of characters, some of several kinds."""
    words = []
    for _ in range(random.randrange(0, 30)):
        kinds = random.sample(KINDS, random.choice((1, 1, 1, 2)))
        count = random.randrange(1, 12)
        words.append("".join(random.choice(random.choice(kinds)) for _ in range(count)))
    return words
