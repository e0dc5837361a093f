"""Which training of a sentence encoder suits few labels: many trainings of all draws at once, on a GPU, for choosing defaults of `topwork`.

    python few_labels_search.py --model models/all-MiniLM-L6-v2 --data ../shared/data [--seeds 100,101,102] [--rows 8,16,32] > search.jsonl

The draws are those of the part `development` of few_labels.py, and 20 intents of clinc150: no test row is read. A model is trained for each draw; all
of them stand in one tensor a parameter, so that a step of all draws is one step. Each line is a system, a step, a draw and the accuracy on 400
other rows of the training file: of logistic regression on what the trained layers say (`logistic`), and of the head that was trained with
them (`own`). Products are in bf16 on a GPU. The embeddings stay as they are.

Needs torch, tokenizers and safetensors, and about 40 GB of GPU memory for 48 draws.
"""
import argparse
import csv
import json
import math
import pathlib
import random

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer

import few_labels

LENGTH, OTHERS, BATCH = 64, 400, 16
# What is trained on what; `names`: the names of classes are rows as well.
SYSTEMS = {
    "classes, 1e-4": dict(loss="classes", rate=1e-4),
    "classes, 5e-5": dict(loss="classes", rate=5e-5),
    "classes, 5e-5, names": dict(loss="classes", rate=5e-5, names=True),
    "classes, 1e-4, 3 layers frozen": dict(loss="classes", rate=1e-4, freeze=3),
    "pairs, 2e-5": dict(loss="pairs", rate=2e-5),
    "pairs, 5e-5": dict(loss="pairs", rate=5e-5),
    "pairs, 5e-5, no dropout": dict(loss="pairs", rate=5e-5, dropout=0.0),
    "pairs, 5e-5, names": dict(loss="pairs", rate=5e-5, names=True),
    "pairs, 5e-5, 3 layers frozen": dict(loss="pairs", rate=5e-5, freeze=3),
    "supervised contrast, 3e-5": dict(loss="contrast", rate=3e-5),
}
STEPS = (50, 100, 200)


def draws(options):
    """The rows of each draw to learn from and to score, and the names of its classes."""
    data = pathlib.Path(options.data)
    for name in ("sst2", "trec6", "tweet_emotion", "citation_intent", "ag_news_7600", "clinc150"):
        for seed in map(int, options.seeds.split(",")):
            for count in map(int, options.rows.split(",")):
                if name == "clinc150":
                    with open(data / name / "train.csv", newline="", encoding="utf-8") as file:
                        rows = list(csv.DictReader(file))
                    intents = sorted({row["label"] for row in rows})
                    random.Random(1).shuffle(intents)
                    rows = [row for row in rows if row["label"] in intents[:20]]
                    if count > 16:
                        continue
                    drawn, rest = few_labels.draw(rows, count, seed)
                else:
                    drawn, rest, _ = few_labels.split(data, name, "development", count, seed)
                names = sorted({row["label"] for row in drawn})
                yield dict(set=name, rows=count, seed=seed), drawn, [row for row in rest if row["label"] in names][:OTHERS], names


class Texts:
    """Texts of all draws: ids `[draws, rows, tokens]`, lengths and classes `[draws, rows]`; class −1 where a draw has no such row."""

    def __init__(self, tokenizer, texts, classes, device):
        rows = max(map(len, texts))
        self.ids = torch.zeros(len(texts), rows, LENGTH, dtype=torch.long)
        self.lengths = torch.ones(len(texts), rows, dtype=torch.long)
        self.classes = torch.full((len(texts), rows), -1)
        for draw, (own, of) in enumerate(zip(texts, classes)):
            for row, (text, label) in enumerate(zip(own, of)):
                ids = tokenizer.encode(text).ids
                ids = ids if len(ids) <= LENGTH else ids[:LENGTH - 1] + ids[-1:]
                self.ids[draw, row, :len(ids)] = torch.tensor(ids)
                self.lengths[draw, row], self.classes[draw, row] = len(ids), label
        self.ids, self.lengths, self.classes = (part.to(device) for part in (self.ids, self.lengths, self.classes))
        self.count = (self.classes >= 0).sum(1)

    def take(self, rows):
        ids = torch.gather(self.ids, 1, rows[..., None].expand(-1, -1, LENGTH))
        return ids, torch.gather(self.lengths, 1, rows), torch.gather(self.classes, 1, rows)


class Encoder:
    """BERT, with a first dimension for the draws in every parameter of the layers."""

    def __init__(self, directory, device):
        directory = pathlib.Path(directory)
        config = json.loads((directory / "config.json").read_text())
        self.layers, self.heads, self.width = (config[key] for key in ("num_hidden_layers", "num_attention_heads", "hidden_size"))
        tensors = {name.removeprefix("bert."): tensor.float().to(device) for name, tensor in load_file(directory / "model.safetensors").items()
                   if tensor.is_floating_point()}
        self.embeddings = {name: tensor for name, tensor in tensors.items() if name.startswith("embeddings")}
        self.parameters = {name[len("encoder.layer."):]: tensor for name, tensor in tensors.items() if name.startswith("encoder.layer.")}
        self.device = device

    def means(self, parameters, ids, lengths, dropout=0.0):
        """The mean of the tokens of each text `[draws, rows, width]`."""
        draws, rows, _ = ids.shape
        tokens = min(ids.shape[2], int((lengths.max() + 7) // 8 * 8))
        ids = ids[:, :, :tokens]
        norm = lambda x, name: F.layer_norm(x, (self.width,), eps=1e-12) * parameters[f"{name}.weight"][:, None] + parameters[f"{name}.bias"][:, None]
        linear = lambda x, name: torch.baddbmm(parameters[f"{name}.bias"][:, None], x, parameters[f"{name}.weight"].transpose(1, 2))
        split = lambda x: x.view(draws * rows, tokens, self.heads, -1).transpose(1, 2)
        with torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.device == "cuda"):
            own = self.embeddings
            there = torch.arange(tokens, device=ids.device) < lengths[..., None]
            mask = there.view(draws * rows, 1, 1, tokens)
            x = own["embeddings.word_embeddings.weight"][ids] + own["embeddings.position_embeddings.weight"][:tokens]
            x = x + own["embeddings.token_type_embeddings.weight"][0]
            x = F.layer_norm(x, (self.width,), own["embeddings.LayerNorm.weight"], own["embeddings.LayerNorm.bias"], 1e-12)
            x = F.dropout(x, dropout).view(draws, rows * tokens, self.width)
            for layer in map(str, range(self.layers)):
                query, key, value = (split(linear(x, f"{layer}.attention.self.{part}")) for part in ("query", "key", "value"))
                seen = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
                seen = seen.transpose(1, 2).reshape(draws, rows * tokens, self.width)
                seen = F.dropout(linear(seen, f"{layer}.attention.output.dense"), dropout)
                x = norm(x + seen, f"{layer}.attention.output.LayerNorm")
                middle = F.gelu(linear(x, f"{layer}.intermediate.dense"))
                x = norm(x + F.dropout(linear(middle, f"{layer}.output.dense"), dropout), f"{layer}.output.LayerNorm")
        x = x.view(draws, rows, tokens, self.width).float() * there[..., None]
        return x.sum(2) / lengths[..., None]


class Search:
    def __init__(self, options):
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.encoder = Encoder(options.model, self.device)
        tokenizer = Tokenizer.from_file(str(pathlib.Path(options.model) / "tokenizer.json"))
        tokenizer.no_truncation(), tokenizer.no_padding()
        self.draws, drawn, rest, names = zip(*draws(options))
        texts = lambda rows, names: ([row["text"] for row in rows], [names.index(row["label"]) for row in rows])
        own, others = ([texts(rows, names) for rows, names in zip(all, names)] for all in (drawn, rest))
        # Those of trec6 are abbreviations.
        words = lambda draw, names: [] if draw["set"] == "trec6" else [name.replace("_", " ") for name in names]
        named = [(of + words(draw, names), classes + list(range(len(words(draw, names)))))
                 for (of, classes), names, draw in zip(own, names, self.draws)]
        build = lambda rows: Texts(tokenizer, *zip(*rows), self.device)
        self.plain, self.named, self.others = build(own), build(named), build(others)
        counts = torch.tensor([len(of) for of in names], device=self.device)
        self.classes = int(counts.max())
        self.known = torch.arange(self.classes, device=self.device)[None] < counts[:, None]

    def features(self, parameters, texts):
        with torch.no_grad():
            parts = [self.encoder.means(parameters, ids, lengths) for ids, lengths in zip(texts.ids.split(100, 1), texts.lengths.split(100, 1))]
        return torch.cat(parts, 1)

    def logistic(self, features, texts, inverse_penalty=10.0, steps=300):
        """Multinomial logistic regression of every draw, by Nesterov's method."""
        there = (texts.classes >= 0).float()
        count = texts.count.float()[:, None, None]
        wanted = F.one_hot(texts.classes.clamp(min=0), self.classes).float()
        centre = (features * there[..., None]).sum(1, keepdim=True) / count
        x = (features - centre) * there[..., None]
        penalty = 1 / (inverse_penalty * count)
        curvature = (x * x).sum((1, 2), keepdim=True) / count * 0.5 + 0.5
        rate = 1 / (curvature + penalty)
        weight = past = torch.zeros(len(x), x.shape[2], self.classes, device=self.device)
        bias = past_bias = torch.zeros(len(x), 1, self.classes, device=self.device)
        momentum = 1.0
        for _ in range(steps):
            momentum, part = (1 + math.sqrt(1 + 4 * momentum * momentum)) / 2, momentum
            part = (part - 1) / momentum
            ahead, ahead_bias = weight + part * (weight - past), bias + part * (bias - past_bias)
            slope = ((x @ ahead + ahead_bias).masked_fill(~self.known[:, None], -1e9).softmax(-1) - wanted) * there[..., None] / count
            past, past_bias = weight, bias
            weight = ahead - rate * (x.transpose(1, 2) @ slope + penalty * ahead)
            bias = ahead_bias - slope.sum(1, keepdim=True) / curvature
        return weight, bias - centre @ weight

    def accuracy(self, logits):
        right = logits.masked_fill(~self.known[:, None], -1e9).argmax(-1) == self.others.classes
        there = self.others.classes >= 0
        return (right & there).sum(1) / there.sum(1)

    def say(self, system, step, **accuracies):
        for place, draw in enumerate(self.draws):
            values = {name: round(float(values[place]), 4) for name, values in accuracies.items()}
            print(json.dumps(dict(system=system, step=step) | draw | values), flush=True)

    def score(self, system, step, parameters, texts, head=None):
        own, others = self.features(parameters, texts), self.features(parameters, self.others)
        weight, bias = self.logistic(F.normalize(own, dim=-1), texts)
        scores = dict(logistic=self.accuracy(F.normalize(others, dim=-1) @ weight + bias))
        if head:
            scores["own"] = self.accuracy(self.standard(others) @ head[0] + head[1])
        self.say(system, step, **scores)

    def standard(self, features):
        return F.layer_norm(features, features.shape[-1:])

    def train(self, system, loss, rate, dropout=0.1, names=False, freeze=0):
        torch.manual_seed(0)
        texts = self.named if names else self.plain
        count, width = len(self.draws), self.encoder.width
        all = {name: tensor[None].repeat(count, *[1] * tensor.dim()) for name, tensor in self.encoder.parameters.items()}
        untouched = self.standard(self.features(all, texts)) / math.sqrt(width)
        # A fitted head, scaled down, as `topwork` starts from.
        head = [torch.nn.Parameter(0.1 * part * scale) for part, scale in zip(self.logistic(untouched, texts), (1 / math.sqrt(width), 1))]
        trained = [tensor.requires_grad_() for name, tensor in all.items() if int(name.split(".")[0]) >= freeze]
        trained += head if loss == "classes" else []
        adamw = torch.optim.AdamW(trained, lr=rate, weight_decay=0.01)
        for step in range(1, max(STEPS) + 1):
            adamw.param_groups[0]["lr"] = rate * min(1, step / (0.1 * max(STEPS)))
            value = self.loss(loss, all, texts, head, dropout)
            adamw.zero_grad()
            value.sum().backward()
            norms = sum(tensor.grad.flatten(1).pow(2).sum(1) for tensor in trained).sqrt()
            for tensor in trained:
                tensor.grad.mul_((1 / (norms + 1e-6)).clamp(max=1).view(-1, *[1] * (tensor.dim() - 1)))
            adamw.step()
            if step in STEPS:
                self.score(system, step, all, texts, head if loss == "classes" else None)

    def loss(self, loss, parameters, texts, head, dropout):
        """The loss of a step of each draw."""
        random_rows = lambda: (torch.rand(len(self.draws), BATCH, device=self.device) * texts.count[:, None]).long()
        if loss == "classes":
            ids, lengths, classes = texts.take(random_rows())
            features = self.standard(self.encoder.means(parameters, ids, lengths, dropout))
            likely = (F.dropout(features, dropout) @ head[0] + head[1]).masked_fill(~self.known[:, None], -1e4).log_softmax(-1)
            spread = -(likely * self.known[:, None]).sum(-1) / self.known.sum(1)[:, None]
            return (-0.9 * likely.gather(-1, classes[..., None])[..., 0] + 0.1 * spread).mean(1)
        first = random_rows()
        same = texts.classes[:, None] == torch.gather(texts.classes, 1, first)[..., None]
        # Every second pair is of one class.
        belong = (torch.arange(BATCH, device=self.device) % 2 == 0)[None, :, None]
        chance = torch.rand(len(self.draws), BATCH, texts.classes.shape[1], device=self.device)
        chance = chance.masked_fill((texts.classes < 0)[:, None], -1).masked_fill(same != belong, -0.5)
        ids, lengths, classes = texts.take(torch.cat([first, chance.argmax(-1)], 1) if loss == "pairs" else first)
        features = F.normalize(self.encoder.means(parameters, ids, lengths, dropout), dim=-1)
        if loss == "pairs":
            wanted = (classes[:, :BATCH] == classes[:, BATCH:]).float()
            return ((features[:, :BATCH] * features[:, BATCH:]).sum(-1) - wanted).pow(2).mean(1)
        itself = torch.eye(BATCH, dtype=torch.bool, device=self.device)
        likely = (features @ features.transpose(1, 2) / 0.1).masked_fill(itself, -1e9).log_softmax(-1)
        partners = ((classes[:, :, None] == classes[:, None]) & ~itself).float()
        has = (partners.sum(-1) > 0).float()
        return (-(likely * partners).sum(-1) / partners.sum(-1).clamp(min=1) * has).sum(1) / has.sum(1).clamp(min=1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="models/all-MiniLM-L6-v2")
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--seeds", default="100,101,102")
    parser.add_argument("--rows", default="8,16,32")
    parser.add_argument("--systems", default=";".join(SYSTEMS))
    options = parser.parse_args()
    search = Search(options)
    untouched = {name: tensor[None].expand(len(search.draws), *tensor.shape) for name, tensor in search.encoder.parameters.items()}
    search.score("untouched", 0, untouched, search.plain)
    for system in options.systems.split(";"):
        search.train(system, **SYSTEMS[system])


if __name__ == "__main__":
    main()
