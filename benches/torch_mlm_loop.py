"""PyTorch's speed at learning hidden words from a text file, the peer of `cargo xtask bench --only pretrain --corpus FILE`.

The loop is what the documentation of `transformers` shows: `BertForMaskedLM` from a configuration,
`DataCollatorForLanguageModeling`, AdamW, f32, eager, no dropout, the tokens made before the clock starts. Once with texts as
passages that are padded to the longest of their batch, as for next-sentence prediction, and once with all texts joined and
cut into full blocks, as `run_mlm.py` does it, where nothing is padded. Prints one JSON line: real tokens (no padding) per
second, and the part of the computed tokens that was padding.

Needs: pip install torch transformers.
Use: python torch_mlm_loop.py --model DIR --corpus FILE [--batch 32 --length 128 --steps 30 --warmup 3 --threads 2]
"""
import argparse
import json
import random
import time

import torch
import transformers


def passages(rows, room):
    """Every document cut where it is full."""
    return [row[i:i + room] for row in rows for i in range(0, len(row), room)]


def blocks(rows, room):
    """All documents joined, and cut into full blocks."""
    joined = [token for row in rows for token in row]
    return [joined[i:i + room] for i in range(0, len(joined) - room, room)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True, help="a directory with config.json and a tokenizer")
    parser.add_argument("--corpus", required=True)
    for name, default in dict(batch=32, length=128, steps=30, warmup=3, threads=2).items():
        parser.add_argument(f"--{name}", type=int, default=default)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    tokenizer = transformers.AutoTokenizer.from_pretrained(a.model)
    with open(a.corpus, encoding="utf-8") as file:
        documents = [document for document in file.read().split("\n\n") if document.strip()]
    rows = tokenizer(documents, add_special_tokens=False)["input_ids"]
    config = transformers.AutoConfig.from_pretrained(
        a.model, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    collate = transformers.DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15)
    result = {"torch": torch.__version__, "transformers": transformers.__version__}
    for name, cut in (("padded", passages), ("blocks", blocks)):
        texts = [[tokenizer.cls_token_id, *row, tokenizer.sep_token_id] for row in cut(rows, a.length - 2)]
        random.Random(0).shuffle(texts)
        model = transformers.BertForMaskedLM(config).train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        real = computed = 0
        for step in range(a.warmup + a.steps):
            if step == a.warmup:
                started = time.perf_counter()
                real = computed = 0
            chosen = [texts[(step * a.batch + i) % len(texts)] for i in range(a.batch)]
            batch = collate([{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in chosen])
            model(**batch).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            real += sum(map(len, chosen))
            computed += batch["input_ids"].numel()
        seconds = time.perf_counter() - started
        result[name] = dict(tokens_per_second=round(real / seconds, 1), padding=round(1 - real / computed, 3))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
