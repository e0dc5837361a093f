"""Texts that are hard to tokenize: some by hand, and any number of others drawn of hard parts, the same each time."""
import random

BY_HAND = [
    "", " ", "\t\n", "The Gardener grafts a branch.", "THE CAFÉ of Ünal", "cafe\u0301 nai\u0308ve e\u0301\u0301", "été resumé RÉSUMÉ", "İstanbul ǅ ß ẞ STRASSE", "Москва МОСКВА",
    "東京梨 東 京", "a東b京c", "\U00020000\U0002a6d6 龘靐", "한국 \u1112\u1161\u11ab", "カ\u3099 ガ がか\u3099", "１２３ ＡＢＣ ｡｢｣", "ﬁne ½ … ™ €", "😀", "👩\u200d👩\u200d👧 family 👍🏽",
    "🇫🇷🇩🇪 flags", "❤\ufe0f 1\ufe0f\u20e3", "control\u0001\u0002\u007fcharacters\u0085\u009f", "nul\u0000inside", "\ufeffmark \ufffd \ue000", "zero\u200bwidth\u00adsoft\u2060join",
    "\u202eoverride\u202c \u2066x\u2069", "non\u00a0breaking\u3000wide\u2009thin\u2028line", "line\r\nfeed\x0b\x0c", "x" * 99, "x" * 100, "x" * 101, "quince" * 40 + " é" * 3, "東" * 120,
    "[MASK] [mask] [Mask]", "a[MASK]b a[mask]b", "  [MASK]  ", "[CLS] [SEP] [PAD] [UNK] [cls]", "<mask> a<mask>b", "  <mask>  ", "<s> </s> <pad> <unk> <S>",
    "[USER] says [URL]", "[user] [url] [User]", "a[USER]b[URL]c", "  [USER]  [URL]  ", "<emoji_12><emoji_12> <EMOJI_12>", "graft grafts grafted engraft Graft GRAFT", "graftgraft graft-graft graft_x",
    "quince quinces aquinceb", "  graft  ", "été graft\u0301 gráft", "<url> a<url> <URL>", "<bos> <eos> a<bos>", "<extra> x<extra>y", "##er ##s gardener##s", "▁▁ a ▁b", "Ġa Ċ b",
    "don't we'll I'VE it's", "a_b-c/d\\e 3.14 2,718", "http://x.org/?a=1&b=2 a@b.c #x", "السفرجل הגנן שלום", "ที่นี่ นา", "a\u0300\u0301\u0302\u0303b \u0301", "trailing newline\n",
    "<s>NOTUSED </s>NOTUSED", "NOTUSED <unk>NOTUSED",
]
# What a text is drawn of. Added tokens are there as they are, in other cases and with white space, and come to stand inside words.
PARTS = [
    "the", "The", "gardener", "Gardener", "CAFÉ", "café", "cafe\u0301", "naïve", "GRAFT", "graft", "Graft", "quince", "quinces", "many", "İ", "ı", "ß", "ẞ", "ǅ", "ﬁ", "Å", "Å", "ñ", "n\u0303",
    "[MASK]", "[mask]", "[USER]", "[user]", "[URL]", "[CLS]", "[SEP]", "[UNK]", "[PAD]", "<mask>", "<MASK>", "<s>", "</s>", "<unk>", "<pad>", "<emoji_12>", "<url>", "<bos>", "<extra>",
    "😀", "👩\u200d👧", "👍🏽", "🇫🇷", "🇫", "❤\ufe0f", "\U0001f9d1\U0001f3ff", "東", "京", "梨の枝", "龘", "\U00020000", "\uf900", "한국", "\u1112\u1161\u11ab", "ガ", "カ\u3099", "ｶﾞ", "が",
    "Москва", "й", "и\u0306", "ё", "السفرجل", "لا", "שלום", "\u05b8", "ที่", "น้ำ", "नी", "\u0301", "\u0308", "\u0327\u0301", "\u20dd", "\u0345",
    "\u0000", "\u0001", "\u0007", "\u0008", "\u000b", "\u000c", "\u001f", "\u007f", "\u0085", "\u009f", "\u00ad", "\u200b", "\u200c", "\u200d", "\u200e", "\u202e", "\u2060", "\ufeff", "\ufffd", "\ufffe", "\ue000", "\U000e0001", "\U0010ffff",
    " ", " ", " ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u1680", "\u2003", "\u2028", "\u202f", "\u3000", "-", "_", "'", "’", ".", "…", "。", "，", "«", "!", "?", "#", "@", "/", "\\", "\"", "$", "€", "™", "^", "`", "~", "|", "+", "=",
    "1", "12", "１２", "½", "²", "Ⅷ", "٣", "3.14", "x" * 99, "x" * 100, "x" * 101, "é" * 60, "quince" * 30, "##s", "▁", "Ġ", "Ċ", "don't", "we'll", "I'M", "NOTUSED", "</s>NOTUSED",
]
PAIRS = [["old pear", "quince quinces"], ["", "a"], ["[MASK] x", "[USER] é"], ["graft", " <mask> "], ["東京", "[SEP]"]]


def hard_texts(count):
    draw = random.Random(7)
    texts = list(BY_HAND[:count])
    while len(texts) < count:
        texts.append("".join(draw.choice(PARTS) for _ in range(draw.randint(1, 14))))
    return texts
