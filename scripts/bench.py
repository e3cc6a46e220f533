#!/usr/bin/env python3
"""Runs `nearside bench` and, if llama.cpp's own programs are there, compares it with llama-bench.

    bench.py NEARSIDE MODEL [PEERS] [PAIRS]

NEARSIDE is the program, MODEL a GGUF file, PEERS the folder that scripts/fetch-llama-cpp.sh creates. The two alternate, so
that other load of the machine affects both alike; the medians of PAIRS (default 5) runs each are compared, with the same
threads and the same CPU instructions (haswell: AVX2). The goal: prefill within 5 %, decoding within 3 %.
"""

import json
import pathlib
import statistics
import subprocess
import sys

PROMPT, GENERATE = 512, 128


def nearside(program, model, repetitions):
    """Runs `nearside bench` and returns its report."""
    sizes = ["--prompt-tokens", str(PROMPT), "--generate-tokens", str(GENERATE), "--repetitions", str(repetitions)]
    return run([program, "bench", model, "--json", *sizes])


def llama_bench(peers, model, threads, repetitions):
    """Runs llama-bench and returns (prefill, decoding) in tokens per second."""
    program = [str(pathlib.Path(peers) / "run-as"), "haswell", "llama-bench"]
    sizes = ["-p", str(PROMPT), "-n", str(GENERATE), "-t", str(threads), "-r", str(repetitions)]
    tests = run([*program, "-m", model, *sizes, "-o", "json"])
    rate = {bool(test["n_prompt"]): statistics.median(test["samples_ts"]) for test in tests}
    return rate[True], rate[False]


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{done.stderr.strip()}\nerror: `{' '.join(command)}` ended with exit code {done.returncode}")
    return json.loads(done.stdout)


def report(first):
    megabytes = lambda count: f"{count / 1e6:.1f} MB"
    model, memory = first["model"], first["memory"]
    print(f"{model['id']} {model['quantization']} on {first['backend']}, {first['threads']} threads")
    print(f"load {first['load_ms']:.0f} ms, first token {first['first_token_ms']:.0f} ms")
    for part in ("weights", "cache", "compute"):
        print(f"{part:<8} predicted {megabytes(memory['predicted'][part]):>10}, measured {megabytes(memory['measured'][part]):>10}")
    print(f"total    predicted {megabytes(memory['predicted']['total']):>10}, resident {megabytes(memory['measured']['peak_rss']):>10} at most")


def main(program, model, peers=None, pairs="5"):
    first = nearside(program, model, 1)
    report(first)
    ours, theirs = [], []
    for turn in range(int(pairs)):
        mine = nearside(program, model, 1)
        ours.append((mine["prompt"]["tokens_per_second"][0], mine["generate"]["tokens_per_second"][0]))
        if peers:
            theirs.append(llama_bench(peers, model, mine["threads"], 1))
        print(f"turn {turn + 1}: {ours[-1][0]:.1f} and {ours[-1][1]:.1f}", end="")
        print(f"; llama-bench {theirs[-1][0]:.1f} and {theirs[-1][1]:.1f}" if peers else "", flush=True)
    print("\nmedian tokens per second")
    for column, (name, aim) in enumerate([(f"prefill of {PROMPT}", 5), (f"decoding of {GENERATE}", 3)]):
        mine = statistics.median(row[column] for row in ours)
        line = f"{name:<16} nearside {mine:8.1f}"
        if peers:
            other = statistics.median(row[column] for row in theirs)
            off = 100 * (mine / other - 1)
            line += f"  llama-bench {other:8.1f}  ratio {mine / other:.3f}  ({'within' if off >= -aim else 'NOT within'} {aim} %)"
        print(line)


if __name__ == "__main__":
    if not 3 <= len(sys.argv) <= 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
