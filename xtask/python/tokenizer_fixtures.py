"""Tiny tokenizers of the kinds that directories may hold without `tokenizer.json`, and the ids that transformers gives for hard
texts. The models are trained here on a few sentences, so nothing is downloaded.

Use: python tokenizer_fixtures.py fixtures/tokenizers   (needs transformers, sentencepiece and protobuf)
"""
import io
import json
import pathlib
import sys

import sentencepiece
import tokenizers
import transformers
from tokenizers import ByteLevelBPETokenizer
from transformers import CamembertTokenizer, RobertaTokenizer, XLMRobertaTokenizer

SENTENCES = """The gardener grafts a branch of an old pear onto a young quince, and both grow together.
Le jardinier greffe une branche de vieux poirier sur un jeune cognassier, et les deux poussent ensemble.
Der Gärtner pfropft einen Zweig des alten Birnbaums auf eine junge Quitte: größer, schöner, süßer!
Садовник прививает ветку старой груши на молодую айву. 庭師は古い梨の枝を若いマルメロに接ぎます。
البستاني يطعم غصن الكمثرى القديمة على السفرجل الصغير. הגנן מרכיב ענף של אגס זקן על חבוש צעיר.
Is it 3.14 or 2,718? It's 100% "right" (almost) - e.g. www.example.org/a_b-c & more... 😀 👩‍👩‍👧 café naïve""".splitlines()

# Before the letters that are not there at all, and what a few rules make of others: a small table instead of the 240 kB of NFKC.
RULES = [("\t", " "), ("\n", " "), ("\r", " "), ("\u00a0", " "), ("\u3000", " "), ("\u2028", " "), ("\u0001", ""), ("\u007f", ""), ("\u200b", " "),
         ("\ufeff", ""), ("Ａ", "A"), ("ｂ", "b"), ("１", "1"), ("ﬁ", "fi"), ("½", "1/2"), ("e\u0301", "é"), ("i\u0308", "ï"), ("…", "..."), ("™", "TM"),
         ("カ\u3099", "ガ"), ("\u2026\u2026", "......")]

TEXTS = ["", " ", "   ", "\t", "\n", "a", " a", "a ", "The gardener grafts a branch.", "the  old   pear", "  two before and after  ", "tab\tand\nline\r\nfeed",
         "non\u00a0breaking and\u3000wide\u2009thin\u200bzero", "Ａｂ１ ﬁne ½ …… ™", "cafe\u0301 nai\u0308ve e\u0301\u0301", "café naïve", "カ\u3099 ガ", "😀", "👩‍👩‍👧 family", "🇫🇷🇩🇪 flags",
         "庭師は古い梨の枝", "龘靐齉 rare", "السفرجل الصغير", "mixed עברית and English", "\u202eoverride\u202c", "control\u0001\u0002\u007fcharacters", "nul\u0000inside",
         "\ufeffmark", "It's 100% \"right\" (almost)", "don't we'll I'VE they're", "x" * 300, "quince" * 40, "a_b-c/d\\e", "<s> inside </s> a text <pad>", "<unk>", "a<unk>b",
         "▁▁ under ▁ lines", "##word ##s", "Ġspace Ċline", "1234567890 3.14 2,718", "ＡＢＣ ｡｢｣", "\U0001d4d0\U0001d4d1 script", "a\u0300\u0301\u0302\u0303b", "trailing newline\n",
         "<s>NOTUSED </s>NOTUSED <unk>NOTUSED", "</s></s>", "İstanbul ǅ ß ẞ", "a [USER]b [CONTROL] c"]
# These depend on the space before the mask, which is said in the settings.
MASKED = ["a <mask> b", "<mask>", "the<mask>pear", "the   <mask>   pear", "\t<mask>\n"]
PAIRS = [["old pear", "young quince"], ["", "a"], ["one <s>", " two"]]
MASK = dict(__type="AddedToken", content="<mask>", lstrip=True, rstrip=False, single_word=False, normalized=False, special=True)


def pieces(path, model_type="unigram", **options):
    rules = path.with_suffix(".tsv")
    rules.write_text("".join(f"{' '.join(f'{ord(c):X}' for c in a)}\t{' '.join(f'{ord(c):X}' for c in b)}\n" for a, b in RULES))
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(SENTENCES * 3), model_writer=model, model_type=model_type, vocab_size=330,
                                             normalization_rule_tsv=str(rules), character_coverage=0.98, hard_vocab_limit=False,
                                             minloglevel=2, num_threads=1, **options)
    rules.unlink()
    path.write_bytes(model.getvalue())


def byte_pairs(folder):
    model = ByteLevelBPETokenizer()
    model.train_from_iterator(SENTENCES * 3, vocab_size=420, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], show_progress=False)
    model.save_model(str(folder))


def write(folder, tokenizer, texts):
    one = lambda text: dict(text=text, ids=tokenizer(text)["input_ids"])
    pair = lambda texts: dict(texts=texts, ids=tokenizer(*texts)["input_ids"])
    versions = {module.__name__: module.__version__ for module in (transformers, tokenizers, sentencepiece)}
    decoded = [dict(ids=ids, text=tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))
               for ids in (tokenizer(text)["input_ids"] for text in TEXTS[8:11])]
    (folder / "expected.json").write_text(json.dumps(dict(versions=versions, texts=[one(text) for text in texts], pairs=[pair(two) for two in PAIRS],
                                                          decoded=decoded), ensure_ascii=True, indent=0) + "\n")


def settings(folder, model_type, **tokenizer):
    (folder / "config.json").write_text(json.dumps(dict(model_type=model_type)) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer) + "\n")


def main():
    root = pathlib.Path(sys.argv[1])
    fresh = lambda name: (root / name).mkdir(parents=True, exist_ok=True) or root / name
    for name, prefix in (("roberta", {}), ("roberta-prefix-space", dict(add_prefix_space=True))):
        folder = fresh(name)
        byte_pairs(folder)
        settings(folder, "roberta", tokenizer_class="RobertaTokenizer", mask_token=MASK, **prefix)
        write(folder, RobertaTokenizer.from_pretrained(folder), TEXTS + MASKED)
    # XLM-R's model has <unk>, <s> and </s> at 0, 1, 2, CamemBERT's as well; both leave them out or move them.
    folder = fresh("xlm-roberta")
    pieces(folder / "sentencepiece.bpe.model", user_defined_symbols="[USER]", control_symbols="[CONTROL]")
    settings(folder, "xlm-roberta", mask_token=MASK)
    write(folder, XLMRobertaTokenizer.from_pretrained(folder), TEXTS + MASKED)
    folder = fresh("camembert")
    pieces(folder / "sentencepiece.bpe.model")
    settings(folder, "camembert", tokenizer_class="CamembertTokenizer")
    write(folder, CamembertTokenizer.from_pretrained(folder), TEXTS + MASKED)
    pieces(fresh("sentencepiece-bpe") / "sentencepiece.bpe.model", "bpe")
    settings(root / "sentencepiece-bpe", "xlm-roberta")


if __name__ == "__main__":
    main()
