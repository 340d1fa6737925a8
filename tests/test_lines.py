import numpy as np
import pytest
import scipy.special
import scipy.stats

from jclip.metrics.lines import (
    AXES,
    TESTBED_SEED,
    Line,
    band,
    fit,
    fit_plane,
    fit_two,
    huber,
    inverse,
    ols,
    percentiles,
    resample,
    resample_plane,
    transform,
)

SCIPY = {
    "logit": (scipy.special.logit, scipy.special.expit),
    "probit": (scipy.stats.norm.ppf, scipy.stats.norm.cdf),
    "raw": (np.asarray, np.asarray),
}


def models(n=40, seed=0, outliers=0):
    """Accuracies near a line on logit axes."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.5, 0.9, n)
    places = 0.9 * transform(x, "logit") - 0.6 + rng.normal(0, 0.05, n)
    places[:outliers] += 2
    return x, inverse(places, "logit")


@pytest.mark.parametrize("axes", AXES)
def test_transforms_are_those_of_scipy_and_go_back(axes):
    there, _ = SCIPY[axes]
    shares = np.linspace(1e-6, 1 - 1e-6, 101)
    np.testing.assert_allclose(transform(shares, axes), there(shares), atol=1e-9)
    np.testing.assert_allclose(inverse(there(shares), axes), shares, rtol=1e-9)
    assert inverse(transform(np.array([0.0, 1.0]), axes), axes).tolist() == [0, 1]


@pytest.mark.parametrize("axes", AXES)
def test_least_squares_agree_with_scipy(axes):
    x, y = models()
    line, expected = (
        fit(x, y, axes=axes),
        scipy.stats.linregress(*map(SCIPY[axes][0], (x, y))),
    )
    found = line.slope, line.intercept, line.r
    assert found == pytest.approx((expected.slope, expected.intercept, expected.rvalue))
    assert line.n == 40
    places = expected.slope * SCIPY[axes][0](x) + expected.intercept
    np.testing.assert_allclose(line.expected(x), SCIPY[axes][1](places), rtol=1e-9)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("outliers", [0, 3, 12])
def test_robust_fits_agree_with_statsmodels(outliers):
    rlm = pytest.importorskip("statsmodels.api")
    x, y = models(outliers=outliers)
    peer = rlm.RLM(y, rlm.add_constant(x), rlm.robust.norms.HuberT(1.345))
    found = peer.fit(conv="coefs", tol=1e-12, maxiter=1000).params
    assert [*map(float, huber(x, y, tolerance=1e-12))] == pytest.approx(
        found[::-1],
        rel=1e-4,  # its scale divides by 0.67449, not by 0.6745
    )


@pytest.mark.parametrize("outliers", [0, 3, 12])
def test_robust_fits_solve_hubers_equations(outliers):
    x, y = models(outliers=outliers)
    slope, intercept = huber(x, y, tolerance=1e-12)
    residual = y - slope * x - intercept
    scaled = residual / (np.median(abs(residual)) / 0.6745)
    psi = np.clip(scaled, -1.345, 1.345)
    assert abs(psi.mean()) < 1e-9 and abs((psi * x).mean()) < 1e-9


def test_robust_fits_heed_most_of_the_models():
    x, clean = models()
    _, y = models(outliers=6)
    right = fit(x, clean).slope, fit(x, clean).intercept
    robust, plain = (fit(x, y, method=method) for method in ("huber", "ols"))
    assert abs(robust.intercept - right[1]) < 0.1 < abs(plain.intercept - right[1])


def test_models_exactly_on_one_line_decide_a_robust_fit():
    x = np.linspace(0.4, 0.9, 11)
    y = 0.5 * x + 0.1
    y[[2, 7]] = 0.9
    assert [*map(float, huber(x, y))] == pytest.approx([0.5, 0.1], abs=1e-6)


def test_many_fits_at_once_are_the_same_as_one_by_one():
    x, y = (np.stack(values) for values in zip(*(models(seed=s) for s in range(5))))
    for method in (ols, huber):
        together = np.stack(method(x, y), axis=1)
        alone = [np.stack(method(*each)) for each in zip(x, y)]
        np.testing.assert_allclose(together, alone, rtol=1e-6)


def test_models_without_a_place_are_left_out():
    x, y = models(10)
    more_x, more_y = np.append(x, [0.7, 1.0, np.nan]), np.append(y, [0.0, 0.5, 0.5])
    assert fit(more_x, more_y) == fit(x, y)
    assert fit(more_x, more_y, axes="raw").n == 12


@pytest.mark.parametrize(
    ("x", "y"),
    [([], []), ([0.5], [0.5]), ([0.5, 0.5], [0.1, 0.2]), ([0.5, 1], [0.5, 0.5])],
)
def test_a_line_needs_two_different_models(x, y):
    with pytest.raises(ValueError, match="two models with different accuracies"):
        fit(np.array(x, float), np.array(y, float))


def test_unknown_axes_and_methods_name_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'logit'"):
        fit(*models(), axes="logits")
    with pytest.raises(ValueError, match="did you mean 'huber'"):
        fit(*models(), method="hubert")


def test_equal_accuracies_under_shift_have_no_correlation():
    line = fit(np.array([0.5, 0.6, 0.7]), np.full(3, 0.4))
    assert line.slope == pytest.approx(0) and np.isnan(line.r)


def test_two_lines_do_not_see_the_models_of_each_other_nor_those_at_the_pivot():
    x = np.array([0.5, 0.6, 0.7, 0.75, 0.8, 0.9])
    y = np.array([0.1, 0.2, 0.3, 0.99, 0.5, 0.7])
    lines = fit_two(x, y, 0.75, axes="raw")
    assert lines.below == fit(x[:3], y[:3], axes="raw")
    assert lines.above == fit(x[4:], y[4:], axes="raw")
    assert lines.at(0.75) is lines.below and lines.at(0.76) is lines.above


def test_resampled_lines_are_those_of_a_loop_over_the_testbeds_draws():
    x, y = models(12)
    found = resample(x, y, resamples=50, seed=TESTBED_SEED, legacy=True)
    rng, rows = np.random.RandomState(TESTBED_SEED), []
    for _ in range(50):
        drawn = rng.choice(12, 12)
        peer = scipy.stats.linregress(*(scipy.special.logit(v[drawn]) for v in (x, y)))
        rows.append((peer.slope, peer.intercept))
    np.testing.assert_allclose(found, rows, rtol=1e-9)
    at = np.array([0.6, 0.8])
    low, high = band(found, at, legacy=True)
    for a, *ends in zip(at, low, high):
        values = sorted(s * scipy.special.logit(a) + i for s, i in rows)
        assert ends == pytest.approx(scipy.special.expit([values[1], values[48]]))


@pytest.mark.parametrize("method", ["ols", "huber"])
def test_bands_hold_the_line_and_narrow_with_more_models(method):
    at, widths = np.linspace(0.55, 0.85, 5), []
    for n in (15, 120):
        x, y = models(n)
        coefficients = resample(x, y, method=method, resamples=300)
        low, high = band(coefficients, at)
        expected = fit(x, y, method=method).expected(at)
        assert (low < expected).all() and (expected < high).all()
        widths.append((high - low).mean())
    assert widths[1] < widths[0] / 1.4


def test_draws_of_one_model_alone_are_left_out():
    found = resample(np.array([0.5, 0.6]), np.array([0.4, 0.5]), resamples=100)
    assert 0 < len(found) < 100 and np.isfinite(found).all()


def test_percentiles_are_those_of_numpy():
    values = np.random.default_rng(0).normal(size=(101, 3))
    low, high = percentiles(values)
    np.testing.assert_allclose([low, high], np.percentile(values, [2.5, 97.5], axis=0))
    assert (percentiles(values, legacy=True)[0] <= low).all()


def test_a_line_says_what_it_expects():
    line = Line(1.0, 0.0, 1.0, 2)
    np.testing.assert_allclose(line.expected(np.array([0.0, 0.3, 1.0])), [0, 0.3, 1])


def two_sets(n=30, noise=0.05):
    """Accuracies of models on two clean sets, and near a plane under shift."""
    rng = np.random.default_rng(3)
    x = rng.uniform(0.4, 0.9, (n, 2))
    places = transform(x, "logit") @ [0.6, 0.3] - 0.8 + rng.normal(0, noise, n)
    return x, inverse(places, "logit")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("axes", AXES)
def test_planes_agree_with_statsmodels(axes):
    peer = pytest.importorskip("statsmodels.api")
    x, y = two_sets()
    there = SCIPY[axes][0]
    expected = peer.OLS(there(y), peer.add_constant(there(x), prepend=False)).fit()
    plane = fit_plane(x, y, axes=axes)
    assert [*plane.slopes, plane.intercept] == pytest.approx(list(expected.params))
    assert plane.r2 == pytest.approx(expected.rsquared) and plane.n == 30
    places = expected.predict(peer.add_constant(there(x), prepend=False))
    np.testing.assert_allclose(plane.expected(x), SCIPY[axes][1](places))


def test_a_plane_over_one_set_is_the_line():
    x, y = models()
    plane, line = fit_plane(x[:, None], y), fit(x, y)
    assert plane.slopes == pytest.approx((line.slope,))
    assert (plane.intercept, plane.r2) == pytest.approx((line.intercept, line.r**2))


def test_resampled_planes_are_those_of_a_loop():
    x, y = two_sets(12)
    draws = np.random.default_rng(0).integers(0, 12, (50, 12))
    found = resample_plane(x, y, resamples=50)
    for drawn, coefficients in zip(draws, found, strict=True):
        plane = fit_plane(x[drawn], y[drawn])
        assert [*plane.slopes, plane.intercept] == pytest.approx(list(coefficients))


def test_sets_with_one_and_the_same_accuracies_have_no_plane():
    x, y = models(5)
    with pytest.raises(ValueError, match="5 models"):
        fit_plane(np.stack([x, x], axis=1), y)
    with pytest.raises(ValueError, match="2 models"):
        fit_plane(*(values[:2] for values in two_sets()))
