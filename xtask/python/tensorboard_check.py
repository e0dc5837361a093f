"""Whether TensorBoard reads the event files of a directory as a run's scalars.

Prints every tag with its number of values and its first and last step. Fails when a tag that should be there is missing
(`train/loss` and `eval/loss`, unless others are named), or when the steps of a tag do not increase.

Use: python tensorboard_check.py DIR [TAG …]
"""
import sys

from tensorboard.backend.event_processing import event_accumulator


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    directory, expected = sys.argv[1], sys.argv[2:] or ["train/loss", "eval/loss"]
    # 0: no value is left out.
    every = event_accumulator.EventAccumulator(directory, size_guidance={event_accumulator.SCALARS: 0})
    every.Reload()
    tags = sorted(every.Tags()["scalars"])
    problems = [f"{tag} is missing" for tag in expected if tag not in tags]
    for tag in tags:
        steps = [value.step for value in every.Scalars(tag)]
        print(f"{tag}: {len(steps)} values, steps {steps[0]} to {steps[-1]}")
        for before, after in zip(steps, steps[1:]):
            if after <= before:
                problems.append(f"{tag}: step {after} comes after step {before}")
    if problems:
        sys.exit(f"{directory}: " + "; ".join(problems))


if __name__ == "__main__":
    main()
