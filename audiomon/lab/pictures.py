"""Pictures of trainings and judgements, as PNG: for model cards and report pages. Draws what it is given."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiomon.errors import UserError
from audiomon.features import LogMelSpec
from audiomon.lab.evaluate.judgement import Answers
from audiomon.lab.tensorflow_process import INSTALL
from audiomon.lab.train.loop import Epoch

Float32 = NDArray[np.float32]

_DPI = 80
_INK, _FAINT, _GOOD, _OTHER = "#222222", "#bbbbbb", "#2f6f4f", "#c8553d"
# More classes than this cannot be told apart by colour; the worst ones are drawn.
_MOST_CURVES = 10
_MOST_NUMBERS = 20


def confusion_picture(answers: Answers, title: str) -> bytes:
    """Draw what each label (row) was taken for (column), coloured by share of the row, with the counts."""
    counts = answers.confusion
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    size = 2.5 + 0.5 * min(len(answers.labels), 24)
    figure, axes = _figure(size + 0.8, size)
    axes.imshow(shares, cmap="Greens", vmin=0, vmax=1)
    axes.set_xticks(range(len(answers.labels)), answers.labels, rotation=45, ha="right", fontsize=9)
    axes.set_yticks(range(len(answers.labels)), answers.labels, fontsize=9)
    if len(answers.labels) <= _MOST_NUMBERS:
        for row, column in np.argwhere(counts):
            colour = "white" if shares[row, column] > 0.6 else _INK
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=9, color=colour)
    axes.set_xlabel("taken for")
    axes.set_ylabel("is")
    axes.set_title(title, fontsize=10)
    return _png(figure)


def precision_recall_picture(answers: Answers, title: str) -> bytes:
    """Draw precision against recall for every label, as its threshold moves, with the average precision."""
    from sklearn.metrics import average_precision_score, precision_recall_curve

    curves = []
    for number, label in enumerate(answers.labels):
        is_it = answers.right == number
        if is_it.any():
            scores = answers.scores[:, number]
            curves.append((float(average_precision_score(is_it, scores)), label, is_it, scores))
    figure, axes = _figure(6.4, 4.6)
    for average, label, is_it, scores in sorted(curves, key=lambda curve: curve[:2])[:_MOST_CURVES]:
        precision, recall, _ = precision_recall_curve(is_it, scores)
        axes.step(recall, precision, where="post", label=f"{label} ({average:.2f})", linewidth=1.4)
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    axes.grid(alpha=0.3)
    axes.legend(title="average precision", fontsize=8, title_fontsize=8, loc="lower left")
    axes.set_title(title, fontsize=10)
    return _png(figure)


def reliability_picture(answers: Answers, title: str) -> bytes:
    """Draw how often a highest score was right, by the score; on the diagonal, scores are probabilities."""
    figure, (above, below) = _figure(4.6, 4.8, rows=2, height_ratios=[3, 1])
    scores, shares, counts = (np.array(column) for column in zip(*answers.calibration, strict=True))
    above.plot([0, 1], [0, 1], color=_FAINT, linewidth=1)
    above.plot(scores, shares, marker="o", color=_GOOD)
    above.set_ylim(0, 1.02)
    above.set_ylabel("share right")
    above.set_title(f"{title}: calibration error {answers.calibration_error:.3f}", fontsize=10)
    below.bar(scores, counts, width=0.06, color=_FAINT)
    below.set_xlabel("highest score")
    below.set_ylabel("count")
    for axes in (above, below):
        axes.set_xlim(0, 1.02)
        axes.grid(alpha=0.3)
    return _png(figure)


def curves_picture(epochs: Sequence[Epoch], title: str) -> bytes:
    """Draw loss and accuracy by epoch."""
    figure, (above, below) = _figure(6.4, 4.8, rows=2)
    numbers = [epoch.number for epoch in epochs]
    for axes, training, validation in (
        (above, "loss", "validation_loss"),
        (below, "accuracy", "validation_accuracy"),
    ):
        axes.plot(numbers, [getattr(epoch, training) for epoch in epochs], color=_OTHER, label="training, augmented")
        watched = [getattr(epoch, validation) for epoch in epochs]
        if np.isfinite(watched).any():
            axes.plot(numbers, watched, color=_GOOD, label="validation")
        axes.set_ylabel(training)
        axes.grid(alpha=0.3)
    above.legend(fontsize=8)
    above.set_title(title, fontsize=10)
    below.set_xlabel("epoch")
    return _png(figure)


def spectrograms_picture(windows: dict[str, Float32], spec: LogMelSpec) -> bytes:
    """Draw one window of each class as the model reads it.

    Args:
        windows: log-mel windows, shape (frames, n_mels), by label.
        spec: what they are.
    """
    import librosa.display

    columns = min(5, len(windows))
    rows = -(-len(windows) // columns)
    figure, grid = _figure(2.3 * columns + 0.6, 2.0 * rows + 0.4, rows=rows, columns=columns)
    panels = np.atleast_1d(grid).ravel()
    for panel, (label, window) in zip(panels, windows.items(), strict=False):
        librosa.display.specshow(
            window.T,
            sr=spec.sample_rate,
            hop_length=spec.hop_length,
            n_fft=spec.n_fft,
            fmin=spec.fmin,
            fmax=spec.fmax or spec.sample_rate / 2,
            x_axis="s",
            y_axis="mel",
            ax=panel,
            cmap="magma",
        )
        panel.set_title(label, fontsize=9)
        panel.set_xticks(np.arange(0, spec.window_s, max(0.5, spec.window_s // 3)))
        panel.label_outer()
        panel.tick_params(labelsize=7)
        panel.set_xlabel("")
        panel.set_ylabel("")
    for panel in panels[len(windows) :]:
        panel.set_visible(False)
    figure.supxlabel("seconds", fontsize=8)
    figure.supylabel("Hz", fontsize=8)
    return _png(figure)


def check_drawing() -> None:
    """Look for matplotlib before minutes of work.

    Raises:
        UserError: it is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise UserError(f"pictures need matplotlib, which is not installed: {INSTALL}") from None


def _figure(
    width: float, height: float, rows: int = 1, columns: int = 1, height_ratios: list[float] | None = None
) -> tuple[Any, Any]:
    check_drawing()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, height_ratios=height_ratios)


def _png(figure: Any) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=_DPI, metadata={"Software": None})
    return out.getvalue()
