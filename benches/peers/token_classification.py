"""The peer for tags of words: `AutoModelForTokenClassification`, as `run_ner.py` of transformers uses it.

Rows are JSON lines `{"tokens": [...], "tags": [...]}` with IOB2 tags. Only the first token of a word has a label. Entities are
scored by seqeval over all words: one that was cut off, or that the tokenizer gives no token, counts as `O`.

Use: python token_classification.py --train train.jsonl --test test.jsonl --model DIR [--defaults | --epochs 3 --lr 5e-5 …]
"""
import fine_tune


def main():
    # `run_ner.py` cuts where the model ends.
    options = fine_tune.arguments(__doc__, max_length=512)
    tags = sorted({tag for row in fine_tune.read_rows(options.train) for tag in row["tags"]})
    number = {tag: i for i, tag in enumerate(tags)}

    def samples_of(tokenizer, rows):
        encoded = tokenizer([row["tokens"] for row in rows], is_split_into_words=True, truncation=True,
                            max_length=options.max_length)
        samples = []
        for i, row in enumerate(rows):
            words = encoded.word_ids(i)
            row["places"] = {word: words.index(word) for word in words if word is not None}
            labels = [-100] * len(words)
            for word, place in row["places"].items():
                # A tag that training does not know cannot be learned from; it is scored all the same.
                labels[place] = number.get(row["tags"][word], -100)
            samples.append({key: encoded[key][i] for key in encoded} | dict(labels=labels))
        return samples

    def scores_of(rows, samples, logits):
        from seqeval.metrics import classification_report

        best = logits.argmax(-1)
        predicted = [[tags[best[i, row["places"][word]]] if word in row["places"] else "O" for word in range(len(row["tokens"]))]
                     for i, row in enumerate(rows)]
        gold = [row["tags"] for row in rows]
        report = classification_report(gold, predicted, output_dict=True, zero_division=0)
        names = {"precision": "precision", "recall": "recall", "f1": "f1-score"}
        scores = lambda of: {name: float(of[key]) for name, key in names.items()}
        by_type = {name: scores(of) | dict(support=int(of["support"])) for name, of in report.items() if " avg" not in name}
        right = [a == b for row in zip(gold, predicted) for a, b in zip(*row)]
        return scores(report["micro avg"]) | dict(accuracy=sum(right) / len(right), by_type=by_type)

    fine_tune.fine_tune(options, "AutoModelForTokenClassification", dict(id2label=dict(enumerate(tags)), label2id=number),
                        samples_of, scores_of, collator="DataCollatorForTokenClassification")


if __name__ == "__main__":
    main()
