"""Evaluation: scores with signatures, tests of differences, and a page to read them on."""

from nmt.evaluation.scores import EvaluationError, Scores, score

__all__ = ["EvaluationError", "Scores", "score"]
