#!/usr/bin/env python3
"""Compares a measurement of a model's speed with llama-bench, if llama.cpp's own programs are there.

    bench.py MODEL PEERS PAIRS COMMAND...

MODEL is a GGUF file, PEERS the folder that scripts/fetch-llama-cpp.sh creates, or empty. COMMAND measures the model and
prints `prompt`, `generate` and `threads` as `nearside bench --json` does. It alternates with llama-bench, so that other load
of the machine affects both alike; the medians of PAIRS runs each are compared, with the same numbers of tokens and of
repetitions in a run, the same threads and the same CPU instructions (haswell: AVX2). The goal: prefill within 5 %, decoding
within 3 %.

llama-bench only computes: random tokens into an empty cache, and no token is sampled or becomes text. What the others do
besides counts against them:
- `nearside bench` samples each token and parses the text.
- A binding (`measure.sh kotlin|swift speed`) answers a request of an app. Its prefill ends when the first chunk arrives, so
  it includes the route, the template, tokenizing and the first token; its decoding begins behind a prompt of some forty
  tokens, not in an empty cache, and includes the way of each chunk to the app. Kotlin's code is compiled while it runs: the
  first answers of a process are slower.
"""

import json
import pathlib
import statistics
import subprocess
import sys


def measure(command):
    """Runs a measurement. Returns its report, and (prefill, decoding) in tokens per second."""
    report = run(command)
    return report, tuple(statistics.median(report[part]["tokens_per_second"]) for part in ("prompt", "generate"))


def llama_bench(peers, model, report):
    """Runs llama-bench with the sizes of a report and returns (prefill, decoding) in tokens per second."""
    program = [str(pathlib.Path(peers) / "run-as"), "haswell", "llama-bench"]
    prompt, generate = report["prompt"], report["generate"]
    sizes = ["-p", prompt["tokens"], "-n", generate["tokens"], "-t", report["threads"], "-r", len(prompt["tokens_per_second"])]
    tests = run([*program, "-m", model, *map(str, sizes), "-o", "json"])
    rate = {bool(test["n_prompt"]): statistics.median(test["samples_ts"]) for test in tests}
    return rate[True], rate[False]


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{done.stderr.strip()}\nerror: `{' '.join(command)}` ended with exit code {done.returncode}")
    return json.loads(done.stdout)


def print_model(report):
    """Prints what only `nearside bench` reports."""
    megabytes = lambda count: f"{count / 1e6:.1f} MB"
    model, memory = report["model"], report["memory"]
    print(f"{model['id']} {model['quantization']} on {report['backend']}, {report['threads']} threads")
    print(f"load {report['load_ms']:.0f} ms, first token {report['first_token_ms']:.0f} ms")
    for part in ("weights", "cache", "compute"):
        print(f"{part:<8} predicted {megabytes(memory['predicted'][part]):>10}, measured {megabytes(memory['measured'][part]):>10}")
    print(f"total    predicted {megabytes(memory['predicted']['total']):>10}, resident {megabytes(memory['measured']['peak_rss']):>10} at most")


def main(model, peers, pairs, *command):
    ours, theirs = [], []
    for turn in range(int(pairs)):
        report, rates = measure(command)
        if turn == 0 and "memory" in report:
            print_model(report)
        ours.append(rates)
        line = f"turn {turn + 1}: {rates[0]:.1f} and {rates[1]:.1f}"
        if peers:
            theirs.append(llama_bench(peers, model, report))
            line += f"; llama-bench {theirs[-1][0]:.1f} and {theirs[-1][1]:.1f}"
        print(line, flush=True)
    print("\nmedian tokens per second")
    name = report.get("measured", "nearside").split()[0]
    for column, (part, test, aim) in enumerate([("prompt", "prefill", 5), ("generate", "decoding", 3)]):
        mine = statistics.median(row[column] for row in ours)
        line = f"{test + ' of ' + str(report[part]['tokens']):<16} {name} {mine:8.1f}"
        if peers:
            other = statistics.median(row[column] for row in theirs)
            off = 100 * (mine / other - 1)
            line += f"  llama-bench {other:8.1f}  ratio {mine / other:.3f}  ({'within' if off >= -aim else 'NOT within'} {aim} %)"
        print(line)


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
