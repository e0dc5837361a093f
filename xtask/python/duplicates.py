"""Whether `topwork audit` counts the texts that labelled sets share between train and test as their READMEs do.

Use: python duplicates.py --topwork target/release/topwork --data ../shared/data
"""
import argparse
import json

import labelled

SHARED = {"sick_entailment": 49, "citation_intent": 48, "chnsenticorp_zh": 320, "trec6": 10}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--topwork", required=True)
    parser.add_argument("--data", required=True)
    options = parser.parse_args()
    for name, count in SHARED.items():
        folder = f"{options.data}/{name}"
        found = json.loads(labelled.run([options.topwork, "audit", f"{folder}/train.csv", "--test", f"{folder}/test.csv",
                                         "--no-model", "--json"]))["shared"][0]["identical_texts"]
        assert found == count, f"{name}: expected {count} texts in both files, found {found}"
        print(f"{name}: {found} texts in both files")


if __name__ == "__main__":
    main()
