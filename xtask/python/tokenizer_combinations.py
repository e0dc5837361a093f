"""The settings of tokenizers that are compared with transformers: for each combination its files, beside those of a base.

A file that is `True` is that of the base; `tokenizer.json` is the base's with other values of some keys; all else is a file's content.
"""

WORDS = """the a gardener grafts graft branch of an old pear many user url straße istanbul café naïve The Gardener CAFÉ Grafts Ünal été resume resumé
Москва москва 東 京 梨 한국 ガ が １ ２ 1 2 3 12 123 don t s re ll ve x xx xxx quince quinces it is e i n na ve""".split()
SIGNS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~€™…½ﬁ￼😀👩👧🇫🇷é\u0301\u0308İıßẞǅ"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def word_pieces():
    """Each character that starts or goes on a word, and whole words: no trainer, so that it is the same each time."""
    letters = sorted(set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789äöüàçñ가나다ㄱ่" + "".join(WORDS)))
    whole = [word for word in dict.fromkeys(WORDS) if len(word) > 1]
    parts = ["##" + part for part in ["er", "ing", "graft", "ed", "s", "es", *letters]]
    return list(dict.fromkeys(SPECIAL + letters + list(SIGNS) + whole + parts))


WORD_PIECES = len(word_pieces())
BYTE_PAIRS = 420
COMBINATIONS = []


def token(content, special=False, **flags):
    usual = dict(single_word=False, lstrip=False, rstrip=False, normalized=not special, special=special)
    return dict(content=content, **{**usual, **flags})


def typed(content, **flags):
    return dict(__type="AddedToken", **token(content, **flags))


def numbered(tokens, first):
    return {str(first + place): token for place, token in enumerate(tokens)}


def further(tokens, first):
    return [dict(id=first + place, **token) for place, token in enumerate(tokens)]


def add(base, name, model_type, files, config=None, **more):
    COMBINATIONS.append(dict(name=name, base=base, files={"config.json": dict(model_type=model_type, **(config or {})), **files}, **more))


OWN = {str(place): token(content, special=True) for place, content in enumerate(SPECIAL)}
ADDED = [token("[USER]", special=True), token("[URL]"), token("<emoji_12>", normalized=False), token("graft", single_word=True),
         token("quince"), token("<url>", special=True, lstrip=True, rstrip=True)]
# Special tokens that are looked for after the text is normalized, and one in the vocabulary.
ODD = [token("[USER]", special=True, normalized=True), token("Graft", normalized=True, rstrip=True), token("<emoji_12>", special=True, single_word=True)]


def word_piece_files():
    """`vocab.txt`, as before there was `tokenizer.json`."""
    def of(name, settings=None, model_type="bert", config=None, special=None, added=None, **more):
        files = {"vocab.txt": True}
        for file, content in (("tokenizer_config.json", settings), ("special_tokens_map.json", special), ("added_tokens.json", added)):
            if content is not None:
                files[file] = content
        add("word-piece", f"vocab-{name}", model_type, files, config, **more)

    of("alone")
    for lower in (True, False):
        for accents in (True, False, None):
            for chinese in (True, False):
                of(f"lower-{lower}-accents-{accents}-chinese-{chinese}".lower(),
                   dict(tokenizer_class="BertTokenizer", do_lower_case=lower, strip_accents=accents, tokenize_chinese_chars=chinese))
    of("never-split", dict(tokenizer_class="BertTokenizer", do_lower_case=True, never_split=["graft", "quince's"]))
    of("no-basic", dict(tokenizer_class="BertTokenizer", do_basic_tokenize=False, do_lower_case=False))
    of("keys-elsewhere", {}, config=dict(do_lower_case=False, strip_accents=False))
    of("distilbert", dict(tokenizer_class="DistilBertTokenizerFast", do_lower_case=False), "distilbert")
    of("distilbert-unnamed", dict(model_max_length=77), "distilbert")
    of("electra", dict(tokenizer_class="ElectraTokenizer"))
    of("class-in-config", dict(do_lower_case=False), config=dict(tokenizer_class="BertTokenizer"))
    old = {"[USER]": WORD_PIECES, "[URL]": WORD_PIECES + 1, "<emoji_12>": WORD_PIECES + 2}
    of("added", dict(do_lower_case=True), added=old)
    of("added-and-map", dict(do_lower_case=True), added=old,
       special=dict(unk_token="[UNK]", sep_token="[SEP]", pad_token="[PAD]", cls_token="[CLS]", mask_token="[MASK]", additional_special_tokens=list(old)))
    of("added-and-extra", dict(extra_special_tokens=list(old)), added=old)
    of("added-in-words", {}, added={"gar": WORD_PIECES, "inc": WORD_PIECES + 1, "é": WORD_PIECES + 2, "quince": WORD_PIECES + 3})
    of("decoder", dict(added_tokens_decoder={**OWN, **numbered(ADDED, WORD_PIECES)}))
    of("decoder-cased", dict(do_lower_case=False, added_tokens_decoder={**OWN, **numbered(ADDED, WORD_PIECES)}))
    of("decoder-odd", dict(added_tokens_decoder={**OWN, **numbered(ODD, WORD_PIECES)}))
    of("decoder-alone", dict(added_tokens_decoder=numbered(ADDED[:2], WORD_PIECES)))
    of("decoder-empty", dict(added_tokens_decoder={}), special=dict(mask_token="[PAD]"), added=old)
    of("decoder-beside-older-files", dict(added_tokens_decoder={**OWN, **numbered(ADDED[:1], WORD_PIECES)}), special=dict(cls_token="[MASK]"), added=old)
    of("decoder-of-the-vocabulary", dict(added_tokens_decoder={**OWN, str(word_pieces().index("many")): token("many"), str(word_pieces().index("xx")): token("xx", normalized=False)}))
    of("mask-of-the-map", dict(mask_token="[MASK]"), special=dict(mask_token=dict(content="[MASK]", lstrip=True, rstrip=False, single_word=False, normalized=True)))
    of("mask-strips", dict(mask_token=typed("[MASK]", lstrip=True, rstrip=True)))
    of("special-of-the-map", dict(cls_token="[CLS]", unk_token="[UNK]"), special=dict(cls_token="[MASK]", unk_token="[PAD]", sep_token="[SEP]"))
    of("special-renamed", dict(cls_token="[SEP]", sep_token="[MASK]", unk_token="many", pad_token="x"))
    of("additional", dict(additional_special_tokens=["[USER]", "many", "<url>", "graft"]))
    of("additional-typed", dict(additional_special_tokens=["<url>", typed("[USER]", rstrip=True), typed("Graft", special=False)]))
    of("extra-and-additional", dict(extra_special_tokens=["<url>"], additional_special_tokens=["[USER]"]))
    of("extra-named", dict(extra_special_tokens=dict(url_token="<url>", user_token="[USER]")))
    of("own-roles", dict(user_token="[USER]", url_token="<url>", bos_token="<bos>", note_token=typed("graft", special=False)))
    of("roles-of-version-5", dict(model_specific_special_tokens=dict(url_token="<url>"), extra_special_tokens=["<extra>"]))
    of("bos", dict(bos_token="<bos>", eos_token="<eos>", additional_special_tokens=["<extra>"]))
    of("split-special", dict(split_special_tokens=True, added_tokens_decoder={**OWN, **numbered(ADDED, WORD_PIECES)}))
    of("lengths", dict(max_len=48, truncation_side="left"))
    of("japanese", dict(tokenizer_class="BertJapaneseTokenizer"), refused="BertJapaneseTokenizer")
    of("own-code", dict(auto_map=dict(AutoTokenizer=["code.Own", None])), refused="auto_map")


def word_piece_whole():
    """`tokenizer.json`, and what is beside it."""
    def of(name, whole=None, settings=None, model_type="bert", config=None, special=None, added=None, **more):
        files = {"tokenizer.json": whole or {}}
        for file, content in (("tokenizer_config.json", settings), ("special_tokens_map.json", special), ("added_tokens.json", added)):
            if content is not None:
                files[file] = content
        add("word-piece", f"whole-{name}", model_type, files, config, **more)

    bert, plain = dict(tokenizer_class="BertTokenizer"), dict(tokenizer_class="PreTrainedTokenizerFast")
    normal = dict(type="BertNormalizer", clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True)
    of("alone")
    for lower in (True, False):
        for said in (True, False, None):
            for kind, class_name in (("bert", "BertTokenizer"), ("fast", "PreTrainedTokenizerFast"), ("none", None)):
                settings = {**({} if said is None else dict(do_lower_case=said)), **({} if class_name is None else dict(tokenizer_class=class_name))}
                of(f"stores-{lower}-says-{said}-{kind}".lower(), dict(normalizer={**normal, "lowercase": lower}), settings)
    of("accents", dict(normalizer={**normal, "strip_accents": False, "handle_chinese_chars": False}), dict(bert, strip_accents=True))
    of("dirty", dict(normalizer={**normal, "clean_text": False}), bert)
    of("dirty-fast", dict(normalizer={**normal, "clean_text": False}), plain)
    normalizers = dict(none=None, nfkc=dict(type="NFKC"), sequence=dict(type="Sequence", normalizers=[dict(type="NFD"), dict(type="Lowercase"), dict(type="StripAccents")]))
    for name, other in normalizers.items():
        of(f"normalizer-{name}", dict(normalizer=other), bert)
        of(f"normalizer-{name}-fast", dict(normalizer=other), plain)
    of("white-space", dict(pre_tokenizer=dict(type="WhitespaceSplit")), bert)
    of("white-space-fast", dict(pre_tokenizer=dict(type="WhitespaceSplit")), plain)
    of("digits-fast", dict(pre_tokenizer=dict(type="Sequence", pretokenizers=[dict(type="BertPreTokenizer"), dict(type="Digits", individual_digits=True)])), plain)
    model = dict(model=dict(max_input_chars_per_word=20, unk_token="[PAD]", continuing_subword_prefix="##"))
    of("model", model, bert)
    of("model-fast", model, plain)
    ends = dict(post_processor=dict(type="BertProcessing", cls=["[MASK]", 4], sep=["[PAD]", 0]))
    of("ends", ends, bert)
    of("ends-fast", ends, plain)
    cut = dict(truncation=dict(direction="Left", max_length=8, strategy="LongestFirst", stride=0),
               padding=dict(strategy=dict(Fixed=16), direction="Left", pad_to_multiple_of=None, pad_id=0, pad_type_id=1, pad_token="[PAD]"))
    of("cut", cut, bert)
    of("cut-fast", cut, plain)
    of("cut-on-the-other-side", cut, dict(bert, truncation_side="right", padding_side="right"))
    more = dict(further=further(ADDED, WORD_PIECES))
    for name, own in (("bert", bert), ("fast", plain)):
        of(f"further-{name}", more, own)
        of(f"further-decoder-{name}", more, dict(own, added_tokens_decoder=OWN))
        of(f"further-other-flags-{name}", dict(further=further(ADDED[:3], WORD_PIECES)), dict(own, added_tokens_decoder={**OWN, **numbered(ODD, WORD_PIECES)}))
        of(f"further-older-files-{name}", more, own, added={"<extra>": WORD_PIECES + 6, "[URL]": WORD_PIECES + 1},
           special=dict(mask_token=dict(content="[MASK]", lstrip=True, rstrip=False, single_word=False, normalized=False), additional_special_tokens=["[USER]"]))
        of(f"extra-{name}", {}, dict(own, extra_special_tokens=["<url>", "many", "[MASK]"], mask_token=typed("[MASK]", lstrip=True)))
        of(f"bos-{name}", {}, dict(own, bos_token="<bos>", additional_special_tokens=["<extra>"]))
        of(f"split-special-{name}", more, dict(own, split_special_tokens=True))
        of(f"other-ids-{name}", {}, own, added={"<url>": WORD_PIECES + 9, "[USER]": WORD_PIECES + 4})
    of("older-whole", {}, bert, special=dict(cls_token="[MASK]", additional_special_tokens=["<url>"]))
    of("no-such-class", dict(normalizer={**normal, "lowercase": False}), dict(tokenizer_class="NoSuchTokenizer"))
    of("general-class", dict(normalizer={**normal, "lowercase": False}), dict(tokenizer_class="PreTrainedTokenizer"))
    of("mobile", dict(normalizer={**normal, "lowercase": False}), dict(tokenizer_class="MobileBertTokenizerFast"))
    of("vocabulary-beside", dict(normalizer={**normal, "lowercase": False}), dict(bert, never_split=["graft"]))
    of("inputs", {}, dict(bert, model_input_names=["input_ids", "attention_mask"]))
    of("padding-token", dict(padding=dict(strategy="BatchLongest", direction="Right", pad_to_multiple_of=None, pad_id=0, pad_type_id=0, pad_token="quince")), plain)
    for name, class_name in (("albert", "AlbertTokenizer"), ("japanese", "BertJapaneseTokenizer"), ("mpnet", "MPNetTokenizerFast")):
        of(name, {}, dict(tokenizer_class=class_name), refused=class_name.removesuffix("Fast"))
    of("own-code", {}, dict(bert, auto_map=dict(AutoTokenizer=[None, "code.Own"])), refused="auto_map")
    of("own-code-as-list", {}, dict(bert, auto_map=["code.Own", None]), refused="auto_map")
    # Which of the two is found is left to chance by the library of tokenizers, so by transformers, too.
    of("same-once-normalized", more, dict(plain, added_tokens_decoder=numbered([token("Graft")], WORD_PIECES + 6)), refused="\"Graft\"")
    of("versions", {}, dict(bert, fast_tokenizer_files=["tokenizer.json", "tokenizer.4.0.0.json"]), refused="fast_tokenizer_files")
    of("a-word-for-a-switch", {}, dict(bert, do_lower_case="yes"), refused="do_lower_case")


def byte_pairs():
    slow = {"vocab.json": True, "merges.txt": True}
    mask = typed("<mask>", special=True, lstrip=True)
    part = dict(type="ByteLevel", add_prefix_space=True, trim_offsets=True, use_regex=True)
    more = [token("<emoji_12>"), token("[USER]", special=True, rstrip=True), token("graft", single_word=True)]
    for name, files in (("merges", slow), ("whole", {"tokenizer.json": {}})):
        def of(kind, settings, config=None, model_type="roberta", others=None, **rest):
            add("roberta", f"bytes-{name}-{kind}", model_type, {**files, "tokenizer_config.json": settings, **(others or {})}, config, **rest)

        of("plain", {})
        of("prefix", dict(tokenizer_class="RobertaTokenizer", add_prefix_space=True, trim_offsets=False))
        of("mask", dict(tokenizer_class="BartTokenizerFast", mask_token=mask))
        of("other-family", dict(tokenizer_class="RobertaTokenizerFast", add_prefix_space=True), model_type="bert")
        of("decoder", dict(added_tokens_decoder=numbered(more, BYTE_PAIRS)))
        of("added", dict(additional_special_tokens=["<url>"]), others={"added_tokens.json": {"<emoji_12>": BYTE_PAIRS, "quince": BYTE_PAIRS + 1}})
        of("map", {}, others={"special_tokens_map.json": dict(bos_token=dict(content="<s>", lstrip=False, rstrip=False, single_word=False, normalized=True), mask_token=token("<mask>", special=True, lstrip=True, normalized=True))})
        of("renamed", dict(cls_token="<pad>", sep_token="<mask>", unk_token="a"))
        of("lengths", dict(model_max_length=1e30, truncation_side="left", errors="strict"))
        of("gpt2", dict(tokenizer_class="GPT2Tokenizer"), refused="GPT2Tokenizer")
    whole = dict(normalizer=dict(type="Lowercase"), pre_tokenizer=part)
    for kind, settings in (("class", dict(tokenizer_class="RobertaTokenizer")), ("fast", dict(tokenizer_class="PreTrainedTokenizerFast", add_prefix_space=False)), ("none", {})):
        add("roberta", f"bytes-other-parts-{kind}", "roberta", {"tokenizer.json": whole, "tokenizer_config.json": settings})


def pieces():
    for base, class_name in (("xlm-roberta", "XLMRobertaTokenizer"), ("camembert", "CamembertTokenizer")):
        slow = {"sentencepiece.bpe.model": True}
        mask = typed("<mask>", special=True, lstrip=True)
        for name, files in (("model", slow), ("whole", {"tokenizer.json": {}})):
            def of(kind, settings, config=None, model_type=base, others=None, **rest):
                add(base, f"{base}-{name}-{kind}", model_type, {**files, "tokenizer_config.json": settings, **(others or {})}, config, **rest)

            of("plain", {})
            of("no-prefix", dict(tokenizer_class=class_name, add_prefix_space=False))
            of("mask", dict(mask_token=mask))
            of("other-family", dict(tokenizer_class=class_name + "Fast"), model_type="bert")
            of("extra", dict(additional_special_tokens=["<url>", "graft"], extra_special_tokens=["<extra>"]))
            of("additional", dict(additional_special_tokens=["<url>", "graft"]))
            of("added", {}, others={"added_tokens.json": {"<emoji_12>": 1000}})
            of("map", {}, others={"special_tokens_map.json": dict(mask_token=dict(content="<mask>", lstrip=True, rstrip=False, single_word=False, normalized=True), eos_token="</s>")})
            of("renamed", dict(cls_token="<pad>", sep_token="<mask>"))
        # As the converter of version 4 wrote it.
        white = dict(type="Replace", pattern=dict(Regex=" {2,}"), content=" ")
        part = dict(type="Metaspace", replacement="▁", prepend_scheme="always", split=True)
        whole = dict(normalizer=dict(type="Sequence", normalizers=[dict(type="Lowercase"), white]), pre_tokenizer=part)
        for kind, settings in (("class", dict(tokenizer_class=class_name)), ("fast", dict(tokenizer_class="PreTrainedTokenizerFast")), ("none", {})):
            add(base, f"{base}-other-parts-{kind}", base, {"tokenizer.json": whole, "tokenizer_config.json": settings})


word_piece_files()
word_piece_whole()
byte_pairs()
pieces()
