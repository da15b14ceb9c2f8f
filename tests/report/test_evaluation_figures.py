"""The report's figures, as objects."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex
from sklearn.metrics import precision_recall_curve

from avmil.common.dcase2017_classes import CLASS_NAMES
from avmil.evaluation import metrics
from avmil.evaluation.aggregation import Row, rows
from avmil.evaluation.scores import ScoreSet
from avmil.report import evaluation_figures, images
from tests.made_results import result_of

TRAIN = CLASS_NAMES.index("Train")


def made(f1, system="av_two_stream", seed=0, **changes):
    by_class = metrics.Scores(*[np.full(17, f1)] * 3)
    fields = {"by_class": by_class, "class_names": CLASS_NAMES} | changes
    return result_of(system, run_name=str(seed), seed=seed, **fields)


def axes_of(draw, *results):
    styled = evaluation_figures.styled_rows(rows(results))
    return draw(styled, TRAIN).axes[0], styled


def test_bars_are_as_long_as_the_mean_f1():
    axes, styles = axes_of(
        evaluation_figures.class_f1_bars,
        made(0.2),
        made(0.4, seed=1),
        made(0.75, "mine"),
    )
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == pytest.approx([0.3, 0.75])
    colors = [to_hex(bar.get_facecolor()) for bar in axes.patches]
    assert colors == [style.color for style in styles]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["(a) 30.0", "(1) 75.0"]
    (dots,) = axes.lines  # Of the runs of one system.
    np.testing.assert_allclose(dots.get_xydata(), [[0.2, 0], [0.4, 0]])
    (mark,) = axes.collections  # The paper's figure.
    assert mark.get_segments()[0][:, 0] == pytest.approx([0.82, 0.82])


def test_curves_are_those_of_scikit_learn_with_the_tuned_threshold():
    results = [
        made(0.5, num_missing=0),
        made(0.7, seed=1, num_missing=0),
        made(0.6, "mine", num_missing=0),
    ]
    axes, styles = axes_of(evaluation_figures.precision_recall_curves, *results)
    *pairs, chance = axes.lines
    test = results[0].test
    precision, recall, _ = precision_recall_curve(
        test.labels[:, TRAIN], test.scores[:, TRAIN]
    )
    curves, markers = pairs[::2], pairs[1::2]
    for curve in curves:
        np.testing.assert_array_equal(curve.get_xdata(), recall)
        np.testing.assert_array_equal(curve.get_ydata(), precision)
        assert curve.get_drawstyle() == "steps-post"
    points = [marker.get_ydata()[0] for marker in markers]
    assert points == [0.5, 0.7, 0.6]
    first, second = styles
    looks = [(m.get_marker(), m.get_color()) for m in markers]
    assert looks[0] == looks[1] == (first.marker, first.color)
    assert looks[2] == (second.marker, second.color)
    assert curves[0].get_linewidth() < curves[2].get_linewidth()
    assert chance.get_ydata() == [test.labels[:, TRAIN].mean()] * 2


def test_class_that_no_test_clip_holds_says_so():
    test = ScoreSet(["x"], CLASS_NAMES, np.zeros((1, 17)), np.ones((1, 17)))
    axes, _ = axes_of(
        evaluation_figures.precision_recall_curves,
        made(0.0, test=test, predictions=np.zeros((1, 17))),
    )
    assert [text.get_text() for text in axes.texts] == ["no test clip holds it"]
    assert len(axes.lines) == 2  # The marker and the level of chance.


def test_strips_show_clips_with_the_class_above_those_without():
    names = ("$\\alpha$", "b" * 200)
    test = ScoreSet(
        "xyz",
        names,
        [[1, 0], [0, 1], [0, 0]],
        [[3.0, 1.0], [2.0, 5.0], [-np.inf, -np.inf]],
    )
    result = result_of(
        class_names=names,
        test=test,
        thresholds=np.array([2.5, 4.0]),
        predictions=np.array([[1, 0], [0, 1], [0, 0]], np.int8),
    )
    (styled,) = evaluation_figures.styled_rows(rows([result]))
    figure = evaluation_figures.threshold_strips(styled)
    axes = figure.axes[0]
    negatives, positives = axes.lines[:2]
    above = dict(zip(positives.get_xdata(), positives.get_ydata(), strict=True))
    below = dict(zip(negatives.get_xdata(), negatives.get_ydata(), strict=True))
    assert 2 > above[3] > below[2] > 1 > above[5] > below[1] > 0
    assert positives.get_color() == styled.color
    segments = axes.collections[0].get_segments()
    assert [segment[0].tolist() for segment in segments] == [[2.5, 1], [4, 0]]
    assert "$\\alpha$" in images.to_svg(figure)
    assert max(len(text.get_text()) for text in axes.texts) < 60


def test_styles_are_distinct_and_name_rows_as_the_paper_does():
    systems = ("visual_wsddn", "other", "av_two_stream", "av_late_fusion")
    found = evaluation_figures.styled_rows(rows(list(map(result_of, systems))))
    assert [style.label for style in found] == ["(a)", "(d)", "(1)", "(h)"]
    many = [Row((result_of(str(index)),)) for index in range(42)]
    looks = {(s.color, s.marker) for s in evaluation_figures.styled_rows(many)}
    assert len(looks) == 42
    twice = evaluation_figures.styled_rows([Row((result_of(),))] * 2)
    assert [style.label for style in twice] == ["(a.1)", "(a.2)"]
