"""Writes what PyTorch and `transformers` compute, for the parity tests of topwork.

    python fixtures.py --tiny fixtures/tiny-bert         the committed fixture: a random BERT of 30 kB
    python fixtures.py --model DIR target/parity/minilm  a real model
    python fixtures.py --pretraining --model fixtures/tiny-bert fixtures/tiny-bert-pretraining
                                                         the same encoder with the heads of pre-training
    python fixtures.py --pretrained --model DIR target/parity/pretrained
                                                         what `topwork pretrain` saved, as it is

A fixture is a directory with `expected.json` (versions, the batch, losses) and `expected.safetensors` (hidden states,
logits, every gradient, the classifier), of a model directory: the fixture itself, or the one that `expected.json` names.
Dropout is off; the numbers are f32. The sequences have different lengths: PyTorch pads them and masks the padding, and
only what belongs to real tokens is written.
"""
import argparse
import json
import pathlib
import random
import shutil

import safetensors.torch
import tokenizers
import torch
import transformers

WORDS = """the of and to in is it for on was with as by at from his her they be this have or had not are but what all
were when we there can an your which their said if do will each about how up out them then she many some so these would
other into has more two like him see time could no make than first been its who now people my made over did down only""".split()
STEPS = 10


def tiny(directory):
    """A random classifier with a WordPiece tokenizer, saved as `transformers` saves it."""
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "?", "!", ",", "."]
    vocabulary += letters + ["##" + letter for letter in letters] + [w for w in WORDS if len(w) > 1]
    (directory / "vocab.txt").write_text("\n".join(dict.fromkeys(vocabulary)) + "\n", encoding="utf-8")
    tokenizer = transformers.BertTokenizer(vocab=str(directory / "vocab.txt"), model_max_length=32)
    tokenizer.save_pretrained(directory)
    config = transformers.BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=3, num_attention_heads=4, intermediate_size=32,
        max_position_embeddings=32, num_labels=3)
    transformers.BertForSequenceClassification(config).save_pretrained(directory)


def batch(tokenizer, longest):
    """Sentences of several lengths, a pair among them; the longest fills the positions."""
    source = random.Random(7)
    sentence = lambda words: " ".join(source.choice(WORDS) for _ in range(words)) + "?"
    texts = [(sentence(5), None), ("", None), (sentence(3), sentence(4)), (sentence(2 * longest), None)]
    encoded = [tokenizer(a, b, truncation=True, max_length=longest) for a, b in texts]
    return [row["input_ids"] for row in encoded], [row["token_type_ids"] for row in encoded]


def with_new_heads(source, directory):
    """An encoder with the heads of pre-training, saved as `transformers` saves it."""
    model = transformers.BertForPreTraining.from_pretrained(source, attn_implementation="eager", dtype=torch.float32)
    # New heads start with zero biases and near-zero weights, in which a mistake could hide.
    for name, parameter in model.named_parameters():
        if name.startswith("cls."):
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(directory)
    transformers.AutoTokenizer.from_pretrained(source).save_pretrained(directory)
    return model


def as_saved(source, directory):
    """What topwork saved: nothing may be missing in it, and the narrower classes must find the same weights."""
    shutil.copytree(source, directory, dirs_exist_ok=True)
    load = dict(attn_implementation="eager", dtype=torch.float32, output_loading_info=True)
    model, report = transformers.AutoModelForPreTraining.from_pretrained(directory, **load)
    has_pairs = model.config.architectures == ["BertForPreTraining"]
    # `transformers` has no class for hidden words with a pooler: a model without the head for pairs gets a new one.
    missing = set() if has_pairs else {"bert.pooler.dense.weight", "bert.pooler.dense.bias",
                                       "cls.seq_relationship.weight", "cls.seq_relationship.bias"}
    problems = {key: sorted(set(value) - missing) for key, value in report.items() if set(value) - missing}
    saved = safetensors.torch.load_file(directory / "model.safetensors")
    for kind, prefix in ((transformers.AutoModelForMaskedLM, ""), (transformers.AutoModel, "bert.")):
        narrow, report = kind.from_pretrained(directory, **load)
        # Unexpected are the parts that a class does not have; missing a pooler that was never trained.
        problems |= {f"{kind.__name__}: {key}": sorted(set(value) - {"pooler.dense.weight", "pooler.dense.bias"})
                     for key, value in report.items() if set(value) - {"pooler.dense.weight", "pooler.dense.bias"}
                     and key != "unexpected_keys"}
        own = {prefix + name: value for name, value in narrow.state_dict().items() if prefix + name in saved}
        expected = [name for name in saved if name.startswith("bert.") and "pooler" not in name]
        problems |= {name: f"not what {kind.__name__} holds" for name in expected if name not in own}
        problems |= {name: f"{kind.__name__} holds other values" for name, value in own.items()
                     if not torch.equal(value, saved[name])}
    if "contrastive" in (directory / "plan.toml").read_text(encoding="utf-8").split("[objective]")[1].split("\n")[1]:
        problems |= {name: "trained and not saved" for name in missing if "pooler" in name and name not in saved}
    if problems:
        raise SystemExit(f"{source}: {problems}")
    texts = ["It won't log in — the app says 'error 403'!", "naïve café, 12 € refund?"]
    ours = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
    theirs = transformers.AutoTokenizer.from_pretrained(directory)
    for text in texts:
        if theirs(text)["input_ids"] != ours.encode(text).ids:
            raise SystemExit(f"{source}: AutoTokenizer gives other ids than tokenizer.json for {text!r}")
    return model if has_pairs else None


def pretraining(model, directory):
    """`BertForPreTraining`: hidden words and pairs, both losses and every gradient of their sum."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    model.eval()
    ids, types = batch(tokenizer, min(32, model.config.max_position_embeddings))
    chance, words = random.Random(11), []
    for row in ids:
        hidden = [i for i, token in enumerate(row) if token not in tokenizer.all_special_ids and chance.random() < 0.3]
        words.append([row[i] if i in hidden else -100 for i in range(len(row))])
        for i in hidden:
            row[i] = chance.choice([tokenizer.mask_token_id, tokenizer.mask_token_id, row[i], 40])
    relations = torch.tensor([0, 1, 1, 0])
    longest = max(map(len, ids))
    output = model(
        input_ids=padded(ids), token_type_ids=padded(types), attention_mask=padded([[1] * len(row) for row in ids]),
        labels=torch.tensor([row + [-100] * (longest - len(row)) for row in words]), next_sentence_label=relations)
    output.loss.backward()
    at = [(i, j) for i, row in enumerate(words) for j, word in enumerate(row) if word != -100]
    logits = torch.stack([output.prediction_logits[i, j] for i, j in at])
    hidden_words = [words[i][j] for i, j in at]
    cross_entropy = torch.nn.functional.cross_entropy
    tensors = {"words": logits.detach(), "pairs": output.seq_relationship_logits.detach().contiguous()}
    for name, parameter in model.named_parameters():
        tensors[f"gradient.{name}"] = parameter.grad.detach().clone()
    safetensors.torch.save_file(tensors, directory / "expected.safetensors")
    expected = dict(
        versions=dict(torch=torch.__version__, transformers=transformers.__version__), input_ids=ids, token_type_ids=types,
        hidden=at, hidden_words=hidden_words, relations=relations.tolist(), loss=output.loss.item(),
        mlm_loss=cross_entropy(logits, torch.tensor(hidden_words)).item(),
        nsp_loss=cross_entropy(output.seq_relationship_logits, relations).item())
    (directory / "expected.json").write_text(json.dumps(expected) + "\n", encoding="utf-8")


def padded(rows):
    longest = max(map(len, rows))
    return torch.tensor([row + [0] * (longest - len(row)) for row in rows])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--pretraining", action="store_true")
    parser.add_argument("--pretrained", action="store_true")
    parser.add_argument("--model")
    parser.add_argument("directory", type=pathlib.Path)
    options = parser.parse_args()
    torch.manual_seed(20)
    options.directory.mkdir(parents=True, exist_ok=True)
    if options.pretraining:
        return pretraining(with_new_heads(options.model, options.directory), options.directory)
    if options.pretrained:
        model = as_saved(options.model, options.directory)
        return pretraining(model, options.directory) if model else None
    if options.tiny:
        tiny(options.directory)
    source = options.directory if options.tiny else pathlib.Path(options.model)
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        source, num_labels=3, attn_implementation="eager", dtype=torch.float32)
    model.eval()  # no dropout
    ids, types = batch(tokenizer, min(32, model.config.max_position_embeddings))
    lengths = [len(row) for row in ids]
    mask = padded([[1] * length for length in lengths])
    labels = torch.tensor([0, 2, 1, 2])

    def forward():
        return model(input_ids=padded(ids), token_type_ids=padded(types), attention_mask=mask, labels=labels,
                     output_hidden_states=True)

    real = lambda state: torch.cat([state[i, :length] for i, length in enumerate(lengths)]).contiguous()
    output = forward()
    tensors = {f"hidden_states.{i}": real(state.detach()) for i, state in enumerate(output.hidden_states)}
    tensors["logits"] = output.logits.detach().contiguous()
    for name in ("weight", "bias"):
        tensors[f"classifier.{name}"] = model.classifier.get_parameter(name).detach().clone()
    output.loss.backward()
    for name, parameter in model.named_parameters():
        tensors[f"gradient.{name}"] = parameter.grad.detach().clone()

    learning_rate, decay, norm = (1e-3 if options.tiny else 5e-5), 0.01, 1.0
    plain = lambda name: name.endswith("bias") or "LayerNorm" in name
    groups = [
        dict(params=[p for n, p in model.named_parameters() if not plain(n)], weight_decay=decay),
        dict(params=[p for n, p in model.named_parameters() if plain(n)], weight_decay=0.0),
    ]
    optimizer = torch.optim.AdamW(groups, lr=learning_rate)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = forward().loss
        losses.append(loss.item())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), norm)
        optimizer.step()

    safetensors.torch.save_file(tensors, options.directory / "expected.safetensors")
    expected = dict(
        versions=dict(torch=torch.__version__, transformers=transformers.__version__),
        model=None if options.tiny else str(source.resolve()),
        input_ids=ids, token_type_ids=types, labels=labels.tolist(), loss=output.loss.item(),
        adamw=dict(learning_rate=learning_rate, weight_decay=decay, max_grad_norm=norm, losses=losses))
    (options.directory / "expected.json").write_text(json.dumps(expected) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
