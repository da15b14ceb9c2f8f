"""Made-up results for tests of the report."""

from __future__ import annotations

import numpy as np

from avmil.common.dcase2017_classes import CLASS_NAMES
from avmil.evaluation import evaluation, metrics
from avmil.evaluation.audio_localization import AudioScores
from avmil.evaluation.identity import RunIdentity, Training
from avmil.evaluation.localization import LocalizationResult
from avmil.evaluation.scores import ScoreSet
from avmil.evaluation.visual_localization import VisualScores

TRAINING = Training((0.25,), 0.25, ("random",))

CHANCE = evaluation.Chance(
    random_mean=metrics.Scores(0.125, 0.0704, 0.5),
    random_std=metrics.Scores(0.0042, 0.01, 0.02),
    num_draws=200,
    every_class=metrics.Scores(0.1311, 0.0702, 1.0),
    ranking=metrics.Ranking(0.3, 0.5, 0.0),
)

AUDIO_CHANCE = AudioScores(0.1, 9.0, 0.03)
VISUAL_CHANCE = VisualScores(0.3, 0.1, 0.6, 0.01)
AUDIO = metrics.Benchmark(
    scores={
        "all": AudioScores(0.5, 0.75, 0.4),
        "only heard": AudioScores(0.6, 0.5, 0.7),
    },
    references={"chance": {"all": AUDIO_CHANCE, "only heard": AUDIO_CHANCE}},
    num_pairs={"all": 5, "only heard": 3},
    by_class={
        "f1": np.array([0.5, 0]),
        "error_rate": np.array([0.75, np.nan]),
        "average_precision": np.array([1, np.nan]),
        "event_threshold": np.array([0.5, 2]),
    },
)
VISUAL = metrics.Benchmark(
    scores={"all": VisualScores(0.8, 0.7, 0.9, 0.35)},
    references={
        "chance": {"all": VISUAL_CHANCE},
        "proposals": {"all": VisualScores(0.95, 0.95, np.nan, 0.85)},
    },
    # Of the 4 pairs that are seen only these are, in a sampled frame.
    num_pairs={"all": 2},
    by_class={"box_average_precision": np.array([0.7, 0])},
)


def score_set(prefix, num_clips, class_names, num_missing=0):
    """Scores of a split, the same at each call."""
    generator = np.random.default_rng(num_clips)
    labels = generator.random((num_clips, len(class_names))) < 0.3
    scores = labels + generator.normal(size=labels.shape)
    scores[:num_missing] = -np.inf
    names = [f"{prefix}{index}" for index in range(num_clips)]
    return ScoreSet(names, class_names, labels, scores)


def result_of(
    system="av_two_stream",
    class_names=CLASS_NAMES[::-1],
    num_missing=2,
    run_name=None,
    seed=0,
    settings="",
    training=TRAINING,
    **changes,
):
    """A result whose class F1 are 0.00, 0.01, 0.02, ... in its own order."""
    f1 = np.arange(len(class_names)) / 100
    test = score_set("t", 30, class_names, num_missing)
    fields = {
        "identity": RunIdentity(
            system, run_name or f"run_of_{system}", seed, settings, training
        ),
        "thresholds": np.full(len(class_names), 0.25),
        "untuned_class_names": (),
        "fallback_argmax": False,
        "micro": metrics.Scores(0.6119, 0.5, 0.7),
        "by_class": metrics.Scores(f1, f1, f1),
        "counts": metrics.Counts(1, 2, 3),
        "ranking": metrics.Ranking(0.6, 0.8, 1.19),
        "class_ranking": metrics.ClassRanking(f1, 1 - f1),
        "chance": CHANCE,
        "val": score_set("v", 20, class_names, num_missing=1),
        "test": test,
        "predictions": (test.scores > 0.25).astype(np.int8),
    }
    return evaluation.Result(**(fields | changes))


def localized(
    system="av_two_stream",
    run_name="a",
    settings="",
    class_names=("bus", "dog"),
    **changes,
):
    """A result of a run that was localized, with some of its fields."""
    pairs = {"in sync": 2, "partly in sync": 0, "apart": 0}
    fields = {
        "num_pairs": {"all": 6, **pairs, "only heard": 3, "only seen": 1},
        "num_val_clips": 5,
        "num_test_clips": 30,
        "num_test_missing": 1,
        "audio": AUDIO,
        "visual": VISUAL,
        "event_thresholds": np.array([0.5, 2]),
    }
    return result_of(
        system,
        class_names,
        run_name=run_name,
        seed=None,
        settings=settings,
        localization=LocalizationResult(**(fields | changes)),
    )


def cells_of(table):
    """The rows of a table as tuples of texts."""
    return [tuple(row) for row in table.cells.to_numpy().tolist()]


def bold_cells(table):
    """Place -> text of the bold cells of a table."""
    cells = table.cells.to_numpy()
    return {
        tuple(place): cells[tuple(place)] for place in np.argwhere(table.bold)
    }
