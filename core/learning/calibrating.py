"""Fits a calibration to forecasts of held-out rows. Needs scikit-learn, imported when called."""

from __future__ import annotations

import numpy as np

from core.learning.labels import Labels
from core.series import Floats
from core.strategy.calibration import Calibration, Method, log_odds, sigmoid

ENOUGH_FOR_ISOTONIC = 1000.0
"""Independent observations from which isotonic calibration is the better one: Niculescu-Mizil and Caruana, Predicting
Good Probabilities with Supervised Learning (ICML 2005), section 4.3. Overlapping labels count by their uniqueness."""

PRIOR_SHIFT, PRIOR_SLOPE = 0.25, 0.5
_STEPS = 50


def calibrate(forecast: Floats, label: Labels, weight: Floats) -> Calibration:
    """`forecast` are probabilities of rows that the model did not see; `weight` is each row's uniqueness.

    With ENOUGH_FOR_ISOTONIC independent observations isotonic, with fewer Platt's line. That is the whole rule: the
    scores of the two are never compared.
    """
    if float(weight.sum()) >= ENOUGH_FOR_ISOTONIC:
        return _isotonic(forecast, label, weight)
    return platt(forecast, label, weight)


def platt(forecast: Floats, label: Labels, weight: Floats) -> Calibration:
    """A line in log-odds (Platt, Probabilistic Outputs for Support Vector Machines, 1999), by Newton's steps.

    log-odds = base + shift + slope * (forecast - base), all in log-odds, base being the labels' mean. A normal prior
    for each of `shift` (0 with deviation PRIOR_SHIFT) and `slope` (1 with deviation PRIOR_SLOPE) leaves the forest its
    word where a few hundred overlapping labels say little: without one the slope is noise, from 0 to over 100. A slope
    below zero would turn a bad model around; then it is zero.
    """
    base = float(log_odds(np.array([float(weight @ label) / float(weight.sum())]))[0])
    design = np.column_stack((np.ones(len(forecast)), log_odds(forecast) - base))
    prior = np.array([0.0, 1.0])
    strength = np.diag([PRIOR_SHIFT**-2, PRIOR_SLOPE**-2])
    line = prior.copy()
    for _ in range(_STEPS):
        said = sigmoid(base + design @ line)
        pull = design.T @ (weight * (label - said)) - strength @ (line - prior)
        curve = (design * (weight * said * (1.0 - said))[:, None]).T @ design + strength
        step = np.linalg.solve(curve, pull)
        line = line + step
        if float(np.abs(step).max()) < 1e-10:
            break
    slope = max(0.0, float(line[1]))
    return Calibration(Method.PLATT, (base + float(line[0]) - slope * base,), (slope,))


def _isotonic(forecast: Floats, label: Labels, weight: Floats) -> Calibration:
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(forecast, label, sample_weight=weight)
    return Calibration(
        Method.ISOTONIC,
        tuple(float(each) for each in fitted.X_thresholds_),
        tuple(float(each) for each in fitted.y_thresholds_),
    )
