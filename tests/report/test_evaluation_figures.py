"""The report's figures, as objects."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex
from sklearn import metrics

from avmil.evaluation.aggregation import Row, rows
from avmil.report import evaluation_figures, images
from avmil.report.evaluation_figures import RunOnClass, Style
from tests.made_results import result_of

A = Style("(a)", "#0072b2", "o", "●", "-")
B = Style("(b)", "#d55e00", "s", "■", "--")


def bars(published=(None, None)):
    return evaluation_figures.class_f1_bars(
        [[0.2, 0.4], [0.75]], [A, B], published
    ).axes[0]


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_bars_are_as_long_as_the_mean_f1():
    patches = bars().patches
    assert [bar.get_width() for bar in patches] == pytest.approx([0.3, 0.75])
    assert [to_hex(bar.get_facecolor()) for bar in patches] == [
        A.color,
        B.color,
    ]
    assert texts(bars()) == ["F1", "30.0", "75.0"]
    labels = [label.get_text() for label in bars().get_yticklabels()]
    assert labels == ["(a)", "(b)"]


def test_runs_of_one_system_have_a_dot_each():
    (dots,) = bars().lines
    assert dots.get_xydata().tolist() == [[0.2, 0], [0.4, 0]]


def test_paper_marks_the_systems_that_it_has():
    axes = bars((None, 0.642))
    (segment,) = axes.collections[0].get_segments()
    assert segment[:, 0] == pytest.approx([0.642, 0.642])
    assert segment[:, 1].mean() == 1
    assert texts(axes) == ["F1", "30.0", "75.0", "paper", "64.2"]


def test_figure_grows_with_the_systems():
    def height_in(num_systems):
        figure = evaluation_figures.class_f1_bars(
            [[0.5]] * num_systems, [A] * num_systems, [None] * num_systems
        )
        return figure.get_size_inches()[1]

    assert height_in(7) - height_in(4) == pytest.approx(
        3 * (height_in(2) - height_in(1))
    )


def runs_of(*styles):
    generator = np.random.default_rng(0)
    labels = generator.random(100) < 0.25
    return [
        RunOnClass(style, labels, generator.random(100), 0.5 + k / 10, 0.3)
        for k, style in enumerate(styles)
    ]


def test_curves_are_those_of_scikit_learn_with_the_tuned_threshold():
    runs = runs_of(A, B)
    lines = evaluation_figures.precision_recall_curves(runs).axes[0].lines
    for run, line in zip(runs, lines[:2], strict=True):
        precision, recall, _ = metrics.precision_recall_curve(
            run.labels, run.scores
        )
        np.testing.assert_array_equal(line.get_xdata(), recall)
        np.testing.assert_array_equal(line.get_ydata(), precision)
        assert line.get_drawstyle() == "steps-post"
        assert line.get_color() == run.style.color
    points = [(m.get_xdata()[0], m.get_ydata()[0]) for m in lines[2:4]]
    assert points == [(0.3, 0.5), (0.3, 0.6)]
    assert [marker.get_marker() for marker in lines[2:4]] == ["o", "s"]


def test_chance_is_the_share_of_clips_with_the_class():
    runs = runs_of(A)
    line = evaluation_figures.precision_recall_curves(runs).axes[0].lines[-1]
    assert line.get_ydata() == [np.mean(runs[0].labels)] * 2
    assert line.is_dashed()


def test_several_runs_of_a_system_have_thinner_lines_of_one_color():
    runs = runs_of(A, A, B)
    lines = evaluation_figures.precision_recall_curves(runs).axes[0].lines[:3]
    widths = [line.get_linewidth() for line in lines]
    assert widths[0] == widths[1] < widths[2]
    assert [line.get_color() for line in lines] == [r.style.color for r in runs]


def test_class_that_no_test_clip_holds_says_so():
    run = RunOnClass(A, np.zeros(3), np.arange(3.0), 0, 0)
    axes = evaluation_figures.precision_recall_curves([run]).axes[0]
    assert texts(axes) == ["no test clip holds it"]
    assert len(axes.lines) == 2  # The marker and the level of chance.


def strips(names=("horn", "bus")):
    labels = np.array([[1, 0], [0, 1], [0, 0]])
    scores = np.array([[3.0, 1.0], [2.0, 5.0], [-np.inf, -np.inf]])
    thresholds = np.array([2.5, 4.0])
    return evaluation_figures.threshold_strips(
        names, labels, scores, thresholds, A
    ).axes[0]


def test_strips_show_clips_with_the_class_above_those_without():
    negatives, positives = strips().lines
    assert sorted(negatives.get_xdata()) == [1, 2]
    assert sorted(positives.get_xdata()) == [3, 5]
    assert positives.get_color() == A.color
    above = dict(zip(positives.get_xdata(), positives.get_ydata(), strict=True))
    below = dict(zip(negatives.get_xdata(), negatives.get_ydata(), strict=True))
    assert 2 > above[3] > below[2] > 1 > above[5] > below[1] > 0


def test_strips_have_a_line_at_each_threshold():
    segments = strips().collections[0].get_segments()
    assert [segment[0].tolist() for segment in segments] == [[2.5, 1], [4, 0]]


def test_names_of_classes_are_no_formulas():
    axes = strips(("$\\alpha$", "a_b^c"))
    assert texts(axes) == ["$\\alpha$", "a_b^c"]
    assert "$\\alpha$" in images.to_svg(axes.figure)


def test_long_names_of_classes_are_cut():
    assert texts(strips(("x" * 99, "bus"))) == ["x" * 55 + "…", "bus"]


def test_styles_are_distinct_and_name_rows_as_the_paper_does():
    systems = ("visual_wsddn", "other", "av_two_stream", "another")
    found = evaluation_figures.styles(rows(list(map(result_of, systems))))
    assert [style.label for style in found] == ["(a)", "(d)", "(1)", "(2)"]
    many = [Row((result_of(str(index)),)) for index in range(42)]
    looks = {(s.color, s.marker) for s in evaluation_figures.styles(many)}
    assert len(looks) == 42
    twice = evaluation_figures.styles([Row((result_of(),))] * 2)
    assert [style.label for style in twice] == ["(a.1)", "(a.2)"]
