"""PyTorch's time for one masked-word step of a BERT, the peer of `cargo xtask bench`: eager, f32, no dropout.

Prints one JSON line: the median of the counted steps in milliseconds, once with the vocabulary's product for every token, as
`BertForMaskedLM` does it, and once for the hidden tokens only.
Needs: pip install torch transformers.   Use: python torch_mlm_step.py [--layers 4 --hidden 256 …]
"""
import argparse
import json
import statistics
import time

import torch
from transformers import BertConfig, BertForMaskedLM


def main():
    parser = argparse.ArgumentParser()
    for name, default in dict(layers=4, hidden=256, heads=4, vocab=5120, batch=32, tokens=128, masked=19, threads=2, steps=9,
                              warmup=2).items():
        parser.add_argument(f"--{name}", type=int, default=default)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=a.vocab, hidden_size=a.hidden, num_hidden_layers=a.layers, num_attention_heads=a.heads,
        intermediate_size=4 * a.hidden, max_position_embeddings=a.tokens, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0)
    ids = torch.randint(0, a.vocab, (a.batch, a.tokens))
    hidden = torch.stack([torch.randperm(a.tokens - 2)[:a.masked] + 1 for _ in range(a.batch)])
    labels = torch.full_like(ids, -100).scatter(1, hidden, ids.gather(1, hidden))
    rows = (labels.view(-1) != -100).nonzero().squeeze(1)

    def whole(model):
        return model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels).loss

    def hidden_only(model):
        states = model.bert(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        logits = model.cls(states.view(-1, a.hidden)[rows])
        return torch.nn.functional.cross_entropy(logits, labels.view(-1)[rows])

    result = {"torch": torch.__version__}
    for name, loss_of in (("every token", whole), ("hidden tokens", hidden_only)):
        model = BertForMaskedLM(config).train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        times = []
        for _ in range(a.warmup + a.steps):
            start = time.perf_counter()
            loss_of(model).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            times.append(time.perf_counter() - start)
        result[name] = round(statistics.median(times[a.warmup:]) * 1e3, 1)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
