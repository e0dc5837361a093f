"""A pool of encoders from the ones at hand, for ranking: MiniLM cut to its lowest 1 to 6 layers, with its layers shuffled, and
of its shape with random weights; the carried model, and it gone on with three corpora.

Every model is a directory of its own below `--work`; one that is there already is not made again.
"""
import json
import pathlib
import random
import shutil

import labelled

CORPORA = {"tweets": "tweets_emoji_train.txt", "titles": "science_paper_titles.txt", "general": "general_brown.txt"}
CONTINUED_TOKENS = 1_500_000


def models(work, minilm, data, topwork):
    """The directory (or `seedling`) of every encoder, by its name."""
    work = pathlib.Path(work)
    layers = json.loads((pathlib.Path(minilm) / "config.json").read_text())["num_hidden_layers"]
    pool = {f"minilm-{count}": derived(work / f"minilm-{count}", minilm, list(range(count))) for count in range(1, layers)}
    pool[f"minilm-{layers}"] = minilm
    order = list(range(layers))
    random.Random(0).shuffle(order)
    pool["minilm-shuffled"] = derived(work / "minilm-shuffled", minilm, order)
    pool["minilm-random"] = derived(work / "minilm-random", minilm, list(range(layers)), drawn=True)
    pool["seedling"] = "seedling"
    for name, file in CORPORA.items():
        pool[f"seedling-{name}"] = continued(work / f"seedling-{name}", f"{data}/unlabelled/{file}", topwork)
    return pool


def derived(directory, source, order, drawn=False):
    """The model whose layer i is layer `order[i]` of the source, or of its shape with drawn weights."""
    if (directory / "model.safetensors").exists():
        return directory
    import numpy
    from safetensors.numpy import load_file, save_file
    source = pathlib.Path(source)
    directory.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        if file.name.startswith(("tokenizer", "vocab", "special")):
            shutil.copy(file, directory)
    config = json.loads((source / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(dict(config, num_hidden_layers=len(order)), indent=1))
    tensors, generator = {}, numpy.random.default_rng(0)
    for key, value in sorted(load_file(source / "model.safetensors").items()):
        head, layer, tail = key.partition("encoder.layer.")
        if layer:
            number, _, rest = tail.partition(".")
            places = [place for place, own in enumerate(order) if own == int(number)]
            keys = [f"{head}{layer}{place}.{rest}" for place in places]
        else:
            keys = [key]
        if drawn and "position_ids" not in key:
            if key.endswith("LayerNorm.weight"):
                value = numpy.ones_like(value)
            elif key.endswith("bias"):
                value = numpy.zeros_like(value)
            else:
                value = generator.normal(0, config["initializer_range"], value.shape).astype(value.dtype)
        tensors.update({key: value for key in keys})
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    return directory


def continued(directory, corpus, topwork):
    if not (directory / "all_results.json").exists():
        shutil.rmtree(directory, ignore_errors=True)
        labelled.run([topwork, "pretrain", corpus, "--line-by-line", "--from", "seedling", "--objective", "mlm", "--tokens",
                      CONTINUED_TOKENS, "--output", directory])
    return directory
