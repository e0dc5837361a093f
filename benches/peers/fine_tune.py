"""What the peers of one task each share: arguments, rows, and `transformers.Trainer`, on the CPU unless told otherwise.

A peer names its task's model class and heads, says how rows become samples, and scores what the trainer predicts. Without
other arguments the settings are the trainer's own: 3 epochs, batches of 8, 5e-5 falling linearly without warm-up, no weight
decay. Batches are padded to their longest row, which spares the trainer work that its example scripts do where they pad every
row to the limit.

Needs transformers 5, where a warm-up below 1 is a part of all steps. The last line of standard output is the result, as JSON: the scores of the test rows, seconds, settings and versions.
"""
import time

START = time.perf_counter()
import argparse  # noqa: E402
import csv  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import pathlib  # noqa: E402
import resource  # noqa: E402
import tempfile  # noqa: E402

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

SETTINGS = dict(epochs=3.0, batch_size=8, lr=5e-5, warmup_ratio=0.0, weight_decay=0.0)


def arguments(description, max_length):
    """The options of a peer; `max_length` is where the example script of its task cuts texts."""
    parser = argparse.ArgumentParser(description=description)
    for name in ("train", "test", "model"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--validation", help="scored as well, and not used to choose anything")
    parser.add_argument("--seed", type=int, default=0)
    settings = SETTINGS | dict(max_length=max_length)
    for name, value in settings.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    parser.add_argument("--defaults", action="store_true", help="say that every setting is the trainer's own")
    parser.add_argument("--group-by-length", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    if options.defaults:
        changed = [name for name, value in settings.items() if getattr(options, name) != value]
        if changed or options.group_by_length:
            parser.error(f"--defaults: other settings are named: {', '.join(changed) or 'group_by_length'}")
    return options


def read_rows(path):
    """Dictionaries: of JSON lines, or of CSV with a header."""
    if pathlib.Path(path).suffix == ".jsonl":
        with open(path, encoding="utf-8") as file:
            return [json.loads(line) for line in file]
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def encode_texts(tokenizer, rows, max_length):
    """Texts or pairs of texts, as the example scripts encode them; samples without labels."""
    is_pair = "text_a" in rows[0]
    first = [row["text_a" if is_pair else "text"] for row in rows]
    second = [row["text_b"] for row in rows] if is_pair else None
    encoded = tokenizer(first, second, truncation=True, max_length=max_length)
    return [{key: encoded[key][i] for key in encoded} for i in range(len(rows))]


def fine_tune(options, kind, head, samples_of, scores_of, collator=None):
    """Trains on the training rows and prints the scores of the others.

    `kind` is the name of the model class and `head` what its config is told. `samples_of(tokenizer, rows)` gives the model's
    inputs with `labels`; `scores_of(rows, samples, logits)` a dictionary. `collator` names one of transformers'.
    """
    import torch
    import transformers

    torch.set_num_threads(options.threads)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    seconds = dict(imports=time.perf_counter() - START)

    def timed(name, work):
        start = time.perf_counter()
        done = work()
        seconds[name] = time.perf_counter() - start
        return done

    def load():
        # The trainer sets the seed too late for the head, which is drawn here.
        transformers.set_seed(options.seed)
        config = transformers.AutoConfig.from_pretrained(options.model, **head)
        # As the example script does: these tokenizers must be told that a word of a list begins with a space.
        more = dict(add_prefix_space=True) if config.model_type in ("roberta", "gpt2", "deberta") else {}
        tokenizer = transformers.AutoTokenizer.from_pretrained(options.model, **more)
        model = getattr(transformers, kind).from_pretrained(options.model, config=config)
        rows = {"train": read_rows(options.train), "test": read_rows(options.test)}
        if options.validation:
            rows["validation"] = read_rows(options.validation)
        return tokenizer, model, rows, {name: samples_of(tokenizer, part) for name, part in rows.items()}

    tokenizer, model, rows, samples = timed("load", load)
    with tempfile.TemporaryDirectory() as output:
        settings = transformers.TrainingArguments(
            output_dir=output, num_train_epochs=options.epochs, per_device_train_batch_size=options.batch_size,
            per_device_eval_batch_size=options.batch_size, learning_rate=options.lr, weight_decay=options.weight_decay,
            seed=options.seed, use_cpu=options.device == "cpu", report_to=[], save_strategy="no", logging_strategy="no", disable_tqdm=True,
            train_sampling_strategy="group_by_length" if options.group_by_length else "random",
            warmup_steps=options.warmup_ratio)
        trainer = transformers.Trainer(
            model=model, args=settings, train_dataset=samples["train"],
            data_collator=getattr(transformers, collator or "DataCollatorWithPadding")(tokenizer))
        timed("train", trainer.train)
        # Grouped by length, predictions would come in another order than their rows.
        trainer.args.train_sampling_strategy = "random"
        predicted = timed("evaluate", lambda: {
            name: trainer.predict(samples[name]).predictions for name in rows if name != "train"})
        timed("save", lambda: (trainer.save_model(output), tokenizer.save_pretrained(output)))
    scores = {name: dict(rows=len(rows[name])) | scores_of(rows[name], samples[name], logits)
              for name, logits in predicted.items()}
    seconds["total"] = time.perf_counter() - START
    named = ("epochs", "batch_size", "lr", "warmup_ratio", "weight_decay", "max_length", "group_by_length", "threads", "seed")
    print(json.dumps(dict(
        **scores, train_rows=len(rows["train"]), seconds={name: round(value, 2) for name, value in seconds.items()},
        settings={name: getattr(options, name) for name in named} | dict(defaults=options.defaults, model=options.model),
        versions=dict(torch=torch.__version__, transformers=transformers.__version__),
        peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)))
