"""PyTorch's time for one training step of RoBERTa's and DistilBERT's shapes, the peer of `cargo xtask bench`: eager, f32.

Forward, backward, clipping and AdamW on random tokens without padding, with the dropout of their configurations and random
weights. Prints one JSON line a shape: the median of the counted steps in seconds, all of them, and the peak memory so far.
With --turns, each counted step waits for a line on stdin and prints its seconds, so that another program's steps stand
between; the end of stdin ends the shape.
Needs: pip install torch transformers.   Use: python torch_family_step.py [--families roberta,distilbert --batch 32 …]
"""
import argparse
import json
import resource
import statistics
import sys
import time

import torch
import transformers

# The published shapes of roberta-base and distilbert-base.
SHAPES = {
    "roberta": dict(vocab_size=50265, hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072,
                    max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=1, bos_token_id=0,
                    eos_token_id=2),
    "distilbert": dict(vocab_size=30522, dim=768, n_layers=6, n_heads=12, hidden_dim=3072, max_position_embeddings=512),
}


def measure(family, a):
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(family, num_labels=a.labels, **SHAPES[family])
    model = transformers.AutoModelForSequenceClassification.from_config(config).train()
    # From 5 on, so that none is RoBERTa's padding, where positions stand still.
    ids = torch.randint(5, config.vocab_size, (a.batch, a.tokens))
    mask, labels = torch.ones_like(ids), torch.randint(0, a.labels, (a.batch,))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5, weight_decay=0.01)
    times = []

    def step():
        start = time.perf_counter()
        model(input_ids=ids, attention_mask=mask, labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.perf_counter() - start)

    for _ in range(a.warmup):
        step()
    if a.turns:
        print("ready", flush=True)
        for _ in sys.stdin:
            step()
            print(times[-1], flush=True)
    else:
        for _ in range(a.steps):
            step()
    counted = times[a.warmup:]
    return dict(
        family=family, parameters=sum(p.numel() for p in model.parameters()), batch=a.batch, tokens=a.tokens, threads=a.threads,
        attention=model.config._attn_implementation, seconds=round(statistics.median(counted), 3),
        steps=[round(seconds, 3) for seconds in counted],
        peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, torch=torch.__version__,
        transformers=transformers.__version__)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--families", default=",".join(SHAPES))
    for name, default in dict(batch=32, tokens=128, labels=2, threads=2, steps=5, warmup=1).items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--turns", action="store_true", help="one family, a step for each line on stdin")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    for family in a.families.split(","):
        print(json.dumps(measure(family, a)), flush=True)


if __name__ == "__main__":
    main()
