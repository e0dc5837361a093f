"""Writes what PyTorch and `transformers` compute for every family and head, for the parity tests of topwork.

    OMP_NUM_THREADS=1 python family_fixtures.py fixtures/families

`<family>-<head>` is a tiny model with random weights as `transformers` saves it (`config.json`, `model.safetensors`), with
`expected.json` (versions, the batch, losses) and `expected.safetensors` (hidden states, logits, every gradient).
`variants/<name>` is a checkpoint whose keys differ from those of the model that is made of it, with the input and the last
hidden states. The heads of a family sit on one backbone.

Dropout is off; the numbers are f32. The sequences have different lengths: PyTorch pads them and masks the padding, and only
what belongs to real tokens is written. There is no tokenizer. The embeddings of RoBERTa and its relatives have a
`padding_idx`: a padding token that stands in the text has no gradient in the tables of words and positions.
"""
import argparse
import dataclasses
import json
import pathlib
import random
import shutil
import zlib

import safetensors.torch
import torch
import transformers

STEPS = 10
VOCABULARY = 64
TAGS = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
HEADS = dict(
    sequence=(transformers.AutoModelForSequenceClassification, dict(num_labels=3)),
    token=(transformers.AutoModelForTokenClassification, dict(
        id2label=dict(enumerate(TAGS)), label2id={tag: i for i, tag in enumerate(TAGS)})),
    regression=(transformers.AutoModelForSequenceClassification, dict(num_labels=1, problem_type="regression")),
    **{"multi-label": (transformers.AutoModelForSequenceClassification, dict(
        num_labels=4, problem_type="multi_label_classification")),
       "masked-words": (transformers.AutoModelForMaskedLM, {})})


@dataclasses.dataclass
class Family:
    """What the families differ in. The identifiers of special tokens are those of the published checkpoints or near them."""
    model_type: str
    start: int
    end: int
    mask: int
    pad: int
    longest: int
    has_pairs: bool = False

    @property
    def positions_skip_padding(self):
        return self.pad == 1

    def config(self, layers, **head):
        if self.model_type == "distilbert":
            shape = dict(dim=16, n_layers=layers, n_heads=4, hidden_dim=24, max_position_embeddings=self.longest)
        else:
            shape = dict(hidden_size=16, num_hidden_layers=layers, num_attention_heads=4, intermediate_size=24,
                         type_vocab_size=2 if self.has_pairs else 1)
            # RoBERTa and its relatives count positions from the padding's identifier plus one.
            skipped = self.pad + 1 if self.positions_skip_padding else 0
            shape |= dict(max_position_embeddings=self.longest + skipped)
        if self.positions_skip_padding:
            shape |= dict(layer_norm_eps=1e-5, bos_token_id=self.start, eos_token_id=self.end)
        return transformers.AutoConfig.for_model(
            self.model_type, vocab_size=VOCABULARY, pad_token_id=self.pad, attn_implementation="eager", **shape, **head)


FAMILIES = [
    Family("bert", start=2, end=3, mask=4, pad=0, longest=24, has_pairs=True),
    Family("roberta", start=0, end=2, mask=63, pad=1, longest=24),
    Family("xlm-roberta", start=0, end=2, mask=63, pad=1, longest=24),
    Family("camembert", start=5, end=6, mask=63, pad=1, longest=24),
    Family("distilbert", start=2, end=3, mask=4, pad=0, longest=24),
]


def saved_parameters(model):
    """Parameters by the key under which they are saved: of tied ones PyTorch lists the name that was made first."""
    tied = getattr(model, "all_tied_weights_keys", {})
    return {tied.get(name, name): parameter for name, parameter in model.named_parameters()}


def with_random_weights(model, name):
    """Every value is drawn from a stream named after its key, so the heads of a family share a backbone.

    As `transformers` begins, biases are zero and norms one, in which a mistake could hide.
    """
    with torch.no_grad():
        for key, parameter in saved_parameters(model).items():
            key = key.removeprefix(f"{model.base_model_prefix}.")
            generator = torch.Generator().manual_seed(zlib.crc32(f"{name} {key}".encode()))
            draw = torch.randn(parameter.shape, generator=generator)
            is_norm = "norm" in key.lower()
            if key.endswith("bias"):
                parameter.copy_(0.1 * draw)
            elif is_norm:
                parameter.copy_(1 + 0.1 * draw)
            else:
                parameter.copy_((0.5 if "embeddings" in key else 0.25) * draw)
    return model.eval()  # no dropout


def batch(family):
    """Sequences of several lengths: the longest that is allowed, one without text, a pair if the family has pairs."""
    source = random.Random(7)
    words = [i for i in range(7, VOCABULARY) if i != family.mask]
    sentence = lambda length: [source.choice(words) for _ in range(length)]
    one = lambda length: [family.start, *sentence(length - 2), family.end]
    ids = [one(9), one(2), one(family.longest), one(5), one(12)]
    types = [[0] * len(row) for row in ids]
    if family.has_pairs:
        ids[4] = [*ids[4], *sentence(4), family.end]
        types[4] += [1] * 5
    if family.positions_skip_padding:
        # A padding token in the text: the positions do not advance there, and it is attended to.
        ids[4][6] = family.pad
    return ids, types


@dataclasses.dataclass
class Batch:
    """One padded batch. `targets` is what `expected.json` says beside the input, `labels` what the model is given."""
    family: Family
    ids: list
    types: list
    targets: dict
    labels: torch.Tensor

    @classmethod
    def of(cls, family, head):
        ids, types = batch(family)
        special = {family.start, family.end, family.pad}
        source = random.Random(11)
        if head == "sequence":
            labels = [0, 2, 1, 2, 0]
            return cls(family, ids, types, dict(labels=labels), torch.tensor(labels))
        if head == "multi-label":
            labels = [[1, 0, 0, 1], [0, 0, 0, 0], [0, 1, 0, 0], [1, 1, 1, 1], [0, 0, 1, 1]]
            return cls(family, ids, types, dict(labels=labels), torch.tensor(labels, dtype=torch.float32))
        if head == "regression":
            labels = [0.5, -1.25, 3.0, 0.0, 1.75]
            return cls(family, ids, types, dict(labels=labels), torch.tensor(labels))
        is_text = [[token not in special for token in row] for row in ids]
        if head == "token":
            # As where a word has several tokens: only its first has a label.
            labels = [[source.randrange(len(TAGS)) if text and source.random() < 0.7 else -100 for text in row]
                      for row in is_text]
            return cls(family, ids, types, dict(labels=labels), padded(labels, -100))
        words = [[token if text and source.random() < 0.4 else -100 for token, text in zip(*row)]
                 for row in zip(ids, is_text)]
        hidden = [(i, j) for i, row in enumerate(words) for j, word in enumerate(row) if word != -100]
        for i, j in hidden:
            ids[i][j] = source.choice([family.mask, family.mask, ids[i][j], 40])
        targets = dict(hidden=hidden, hidden_words=[words[i][j] for i, j in hidden])
        return cls(family, ids, types, targets, padded(words, -100))

    def lengths(self):
        return [len(row) for row in self.ids]

    def input(self):
        arguments = dict(input_ids=padded(self.ids, self.family.pad),
                         attention_mask=padded([[1] * length for length in self.lengths()], 0))
        if self.family.has_pairs:
            arguments |= dict(token_type_ids=padded(self.types, 0))
        return arguments

    def real(self, states):
        """Of the real tokens, one sequence after the other: `[tokens, width]`."""
        return torch.cat([states[i, :length] for i, length in enumerate(self.lengths())]).detach().contiguous()


def padded(rows, value):
    longest = max(map(len, rows))
    return torch.tensor([row + [value] * (longest - len(row)) for row in rows])


def versions():
    return dict(torch=torch.__version__, transformers=transformers.__version__)


def write_expected(directory, expected, tensors):
    safetensors.torch.save_file(tensors, directory / "expected.safetensors")
    (directory / "expected.json").write_text(json.dumps(expected) + "\n", encoding="utf-8")


def fixture(family, head, directory):
    """A model, what it computes of a batch, every gradient, and the losses of ten steps."""
    kind, options = HEADS[head]
    model = with_random_weights(kind.from_config(family.config(layers=3, **options)), family.model_type)
    model.save_pretrained(directory)
    # What is written is what the saved directory gives.
    model, report = kind.from_pretrained(
        directory, attn_implementation="eager", dtype=torch.float32, output_loading_info=True)
    assert not any(report.values()), f"{directory}: {report}"
    model.eval()
    rows = Batch.of(family, head)

    def forward():
        return model(**rows.input(), labels=rows.labels, output_hidden_states=True)

    output = forward()
    output.loss.backward()
    tensors = {f"hidden_states.{i}": rows.real(state) for i, state in enumerate(output.hidden_states)}
    if head == "token":
        tensors["logits"] = rows.real(output.logits)
    elif head == "masked-words":
        tensors["logits"] = torch.stack([output.logits[i, j] for i, j in rows.targets["hidden"]]).detach()
    else:
        tensors["logits"] = output.logits.detach().contiguous()
    saved = safetensors.torch.load_file(directory / "model.safetensors")
    for name, parameter in saved_parameters(model).items():
        assert name in saved, f"{directory}: {name} has a gradient and is not saved"
        tensors[f"gradient.{name}"] = parameter.grad.detach().clone()
    expected = dict(
        versions=versions(), head=head, input_ids=rows.ids, token_type_ids=rows.types, **rows.targets,
        loss=output.loss.item(), adamw=steps(model, forward))
    write_expected(directory, expected, tensors)


def steps(model, forward):
    """The losses of AdamW's steps, and its settings."""
    learning_rate, decay, norm = 1e-3, 0.01, 1.0
    norms = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, torch.nn.LayerNorm)}
    plain = lambda name: name.endswith("bias") or name in norms
    optimizer = torch.optim.AdamW([
        dict(params=[p for n, p in model.named_parameters() if not plain(n)], weight_decay=decay),
        dict(params=[p for n, p in model.named_parameters() if plain(n)], weight_decay=0.0),
    ], lr=learning_rate)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = forward().loss
        losses.append(loss.item())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), norm)
        optimizer.step()
    return dict(learning_rate=learning_rate, weight_decay=decay, max_grad_norm=norm, losses=losses)


def old_names(saved):
    """The keys of checkpoints older than `transformers` 1.0."""
    old = lambda name: name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
    return {old(name): value for name, value in saved.items()}


def with_copies(saved):
    """What older versions saved besides: the tied table and bias a second time, and a buffer of whole numbers."""
    positions = len(saved["roberta.embeddings.position_embeddings.weight"])
    return saved | {
        "lm_head.decoder.weight": saved["roberta.embeddings.word_embeddings.weight"].clone(),
        "lm_head.decoder.bias": saved["lm_head.bias"].clone(),
        "roberta.embeddings.position_ids": torch.arange(positions).unsqueeze(0)}


def variants(directory):
    """Checkpoints whose keys are not those of the model that is made of them."""
    bert, roberta, *_, distilbert = FAMILIES
    masked, token = HEADS["masked-words"], HEADS["token"]
    plain = (transformers.AutoModel, {})
    kinds = {
        "roberta-without-prefix": (roberta, plain, None),
        "distilbert-without-prefix": (distilbert, plain, None),
        "roberta-masked-words": (roberta, masked, None),
        "bert-token": (bert, token, None),
        "bert-old-names": (bert, masked, old_names),
        "roberta-with-copies": (roberta, masked, with_copies),
    }
    for name, (family, (kind, options), rename) in kinds.items():
        folder = directory / name
        # A backbone of its own, so that one variant does not pass with the weights of another.
        model = with_random_weights(kind.from_config(family.config(layers=2, **options)), name)
        model.save_pretrained(folder)
        if rename:
            path = folder / "model.safetensors"
            safetensors.torch.save_file(rename(safetensors.torch.load_file(path)), path, {"format": "pt"})
        loaded = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
        rows = Batch.of(family, "sequence")
        states = [rows.real(base(**rows.input()).last_hidden_state) for base in (model.base_model, loaded)]
        assert torch.equal(*states), f"{folder}: the saved checkpoint gives other states than the model"
        expected = dict(versions=versions(), input_ids=rows.ids, token_type_ids=rows.types)
        write_expected(folder, expected, {"last_hidden_state": states[0]})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=pathlib.Path)
    directory = parser.parse_args().directory
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    if directory.exists():
        shutil.rmtree(directory)
    for family in FAMILIES:
        for head in HEADS:
            torch.manual_seed(20)
            fixture(family, head, directory / f"{family.model_type}-{head}")
    variants(directory / "variants")


if __name__ == "__main__":
    main()
