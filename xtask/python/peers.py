"""Runs one peer script on one pair of files and prints its JSON line with Matthews correlation added.

The peers print accuracy and macro-F1; CoLA is judged by Matthews correlation. This wrapper runs the peer unchanged
in this process and listens in on its one call of `sklearn.metrics.accuracy_score(gold, predicted)`.

Use: python peers.py PEER.py --model DIR --train train.csv --test test.csv [the peer's own options]
"""
import contextlib
import io
import json
import runpy
import sys

import sklearn.metrics as metrics


def main():
    script, sys.argv = sys.argv[1], sys.argv[1:]
    seen = {}
    accuracy_score = metrics.accuracy_score

    def listen(gold, predicted, **options):
        seen["mcc"] = round(float(metrics.matthews_corrcoef(gold, predicted)), 4)
        seen["classes_predicted"] = len(set(list(predicted)))
        return accuracy_score(gold, predicted, **options)

    metrics.accuracy_score = listen
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        with contextlib.suppress(SystemExit):
            runpy.run_path(script, run_name="__main__")
    line = output.getvalue().strip().splitlines()[-1]
    print(json.dumps({**json.loads(line), **seen}))


if __name__ == "__main__":
    main()
