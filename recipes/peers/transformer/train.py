"""Train a Transformer beside a recipe: its subwords, batches, loss, schedule, average and search, for as many minutes.

    python recipes/peers/transformer/train.py CONFIG --minutes 60 [--set KEY=VALUE] [--layers 3 --size 256 ...]

Only to compare with: it writes no model. Minutes are processor time, of each thread: other work on the machine and
pauses take none of them. Of the settings, those of `model` do not matter, nor does `training.epochs`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformer import Transformer, TransformerNetwork

from nmt.config_file import load_config
from nmt.data.batching import validation_batches
from nmt.data.text import read_pairs
from nmt.decoding.translator import Translator
from nmt.evaluation import score
from nmt.experiment import prepared_data, read_test_set, training_batches
from nmt.model.device import use_threads
from nmt.training.loss import batch_loss
from nmt.training.optimizer import GradientClipper, ParameterAverage, make_optimizer
from nmt.training.schedule import Schedule


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="TOML file of a recipe")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting")
    parser.add_argument("--minutes", type=float, required=True, help="processor time of each thread")
    parser.add_argument("--size", type=int, default=256, help="width")
    parser.add_argument("--layers", type=int, default=3, help="of encoder and decoder each")
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--inner", type=int, default=768, help="width of the feed-forward parts")
    parser.add_argument("--dropout", type=float, default=0.3)
    parser.add_argument("--validate-every", type=float, default=10.0, help="minutes")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def main() -> None:
    """Train, choose by validation BLEU as the recipe does, and score the test sets."""
    asked = options()
    config = load_config(asked.config, asked.set)
    settings = config.training
    data = prepared_data(config)
    use_threads(settings.threads)
    threads = torch.get_num_threads()
    torch.manual_seed(settings.seed)
    sizes = None if config.data.joint_vocabulary else data.source_subwords.size, data.target_subwords.size
    model = Transformer(sizes, asked.size, asked.layers, asked.heads, asked.inner, asked.dropout)
    network: Any = model  # has what `batch_loss` calls
    translator = Translator(TransformerNetwork(model), data.source_subwords, data.target_subwords, config)
    optimizer, average = make_optimizer(model, settings), ParameterAverage(model, settings.ema_decay)
    clipper = GradientClipper(model, settings.clip_norm)
    batches = training_batches(config, data)
    schedule = replace(Schedule.from_config(settings, 1, 1), total_steps=10**9, max_seconds=60 * asked.minutes)
    valid = validation_text(config)
    spent, step, tokens, next_validation = 0.0, 0, 0, 60 * asked.validate_every
    best: dict[str, Any] = {"bleu": -1.0}
    rows = []
    before = time.process_time()
    for batch in itertools.chain.from_iterable(batches.batches(epoch) for epoch in itertools.count()):
        for group in optimizer.param_groups:
            group["lr"] = schedule.learning_rate(step, spent)
        model.train()
        optimizer.zero_grad(set_to_none=True)
        loss, _, count = batch_loss(
            network, batch, settings.label_smoothing, settings.precision, settings.rdrop, settings.sampled_softmax
        )
        (loss / count).backward()
        if clipper.clip() is not None:
            optimizer.step()
            average.update(step)
        step, tokens = step + 1, tokens + count
        spent = (time.process_time() - before) / threads
        if spent >= next_validation or spent >= 60 * asked.minutes:
            aside = time.process_time()
            next_validation = spent + 60 * asked.validate_every
            with average.swapped_in():
                row = {"minutes": spent / 60, "step": step, **validation(model, translator, data, config, valid)}
                if row["bleu"] > best["bleu"]:
                    best = {**row, "parameters": {name: each.clone() for name, each in model.state_dict().items()}}
            rows.append(row)
            print(", ".join(f"{name} {value:.4g}" for name, value in row.items()), flush=True)
            before += time.process_time() - aside
            if spent >= 60 * asked.minutes:
                break
    model.load_state_dict(best.pop("parameters"))
    result = {
        "parameters": translator.network.number_of_parameters,
        "shape": {name: getattr(asked, name) for name in ("size", "layers", "heads", "inner", "dropout")},
        "threads": threads,
        "target_tokens_per_second": tokens / spent,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "best": best,
        "validations": rows,
        "tests": {name: tested(translator, config, name) for name in config.data.test},
    }
    print(json.dumps({name: value for name, value in result.items() if name != "validations"}, indent=1))
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def validation_text(config: Any) -> tuple[list[str], list[str]]:
    """The validation text."""
    [part] = config.data.parts
    sources, references = zip(*read_pairs(*part.valid, languages=part.languages), strict=True)
    return list(sources), list(references)


@torch.inference_mode()
def validation(model: Any, translator: Translator, data: Any, config: Any, text: Any) -> dict[str, float]:
    """The loss and, greedily, BLEU."""
    model.eval()
    total = tokens = 0.0
    for batch in validation_batches(data.valid, config.training.batch_tokens):
        _, nll, count = batch_loss(model, batch, smoothing=0.0)
        total, tokens = total + nll.item(), tokens + count
    hypotheses = translator.translate(text[0], beam_size=1, retry=False)
    return {"loss": total / tokens, "bleu": score(hypotheses, text[1], config.data.target_language).bleu}


def tested(translator: Translator, config: Any, name: str) -> dict[str, Any]:
    """Scores of a test set at beam 5 and greedily."""
    lines = read_test_set(config, name, None)
    return {
        f"beam {beam}": score(
            translator.translate(lines.sources, beam_size=beam), lines.references, config.data.target_language
        ).as_dict()
        for beam in (5, 1)
    }


if __name__ == "__main__":
    main()
