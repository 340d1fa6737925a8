"""The report as a file, and as a person sees it in a browser."""

import html.parser
import re
import shutil
import time
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from jclip.report.figures import write_figure
from jclip.report.grids import summary_grid, table_grid
from jclip.report.page import KEPT, SHOWN, write_report
from jclip.report.rows import write_rows
from jclip.report.sections import Section, Summary
from jclip.report.tables import Column, Table, write_table
from jclip.studies.accuracy import STUDY, summarise
from jclip.types import Facts, Row
from tests import made_up_rows

RECORD = {
    "command": ["experiments/evaluate.py", "--models=a,b"],
    "versions": {"python": "3.11.7", "jax": "0.10.2"},
    "devices": ["tpu: v5"],
    "git": {"commit": "c0ffee", "changed": True},
    "started": "2026-11-21T23:53:26+00:00",
    "seconds": 61.3,
    "flags": {"limit": None, "models": ["a", "b"]},
    "left_out": ["imagenet-a: not in /data"],
    "unreadable": {"imagenet-0": {"x.jpg": "truncated"}},
    "models": {
        "model-000": {"network": "VisionTransformer 224", "heads": ["openai80", "own"]}
    },
    "datasets": {
        "imagenet-0": {"images": 50000, "reference": "Deng et al., 2009"},
        "imagenet-1": {"images": 10000, "suite": "world", "licence": "MIT"},
    },
}
LOSS = Column("nll", "negative log-likelihood", "number", "lower")


def losses(models) -> Section:
    """A second study, with numbers of which the lower are better."""
    rows = tuple(
        Row(model, "imagenet-0", "nll", 3 - 0.1 * i, 1000)
        for i, model in enumerate(models)
    )
    table = Table("losses", "Losses", rows, (LOSS,))
    summary = Summary((table,), headline=Table("nll", "Loss", rows, (LOSS,)))
    return Section("calibration_error", "How sure is it?", "Lower is better.", summary)


def report(folder: Path, models: int, datasets: int, **changes) -> Path:
    """A report with two studies and all files that it links to."""
    facts = made_up_rows.facts(models)
    rows = made_up_rows.rows(facts, datasets)
    accuracy = Section(STUDY.name, STUDY.question, STUDY.reading, summarise(rows, {}))
    sections = [accuracy, losses(facts)]
    for section in sections:
        for table in section.summary.tables:
            write_table(folder, table)
        for figure in section.summary.figures:
            write_figure(folder / "figures", figure, facts)
    write_rows(folder / "rows.jsonl", rows)
    (folder / "run.json").write_text("{}")
    path = folder / "report.html"
    fields = {"facts": facts, "record": RECORD, **changes}
    write_report(path, sections, rows, **fields)
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    return report(tmp_path_factory.mktemp("small"), 5, 3)


class Elements(html.parser.HTMLParser):
    """Tags with their attributes, in order."""

    def __init__(self, text: str):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_the_page_asks_for_no_other_file_and_links_to_files_that_are_there(small):
    elements = Elements(small.read_text()).found
    assert not {"img", "iframe", "object", "video"} & {tag for tag, _ in elements}
    assert not any("src" in attributes for _, attributes in elements)
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {a["href"] for tag, a in elements if tag == "a"}
    assert {"accuracy.csv", "rows.jsonl", "figures/accuracy.png"} < links
    for link in links:
        assert link[1:] in ids if link[0] == "#" else (small.parent / link).exists()


def test_names_from_outside_are_text_and_no_markup(tmp_path):
    evil = "<script>alert(1)</script>"
    rows = (Row(evil, '"><b>', "top1", 0.5, 2, 0.1, 0.9, method=evil),)
    section = Section("a", evil, evil, summarise(rows, {}))
    record = {"command": [evil], "left_out": [evil], "flags": {"x": evil}}
    path = tmp_path / "report.html"
    write_report(path, [section], rows, facts={}, record=record, problems=[evil])
    assert evil not in path.read_text() and '"><b>' not in path.read_text()


def test_a_run_that_says_nothing_of_itself_has_a_report(tmp_path):
    path = tmp_path / "report.html"
    write_report(path, [losses(["a"])], (), facts={}, record={})
    assert "Losses" in path.read_text()


def test_the_summary_has_a_line_for_each_model_and_the_columns_of_all_studies():
    facts = made_up_rows.facts(4)
    rows = made_up_rows.rows(list(facts)[:3], 2)
    accuracy = Section("accuracy", "?", "", summarise(rows, {}))
    grid = summary_grid([accuracy, losses(facts)], facts)
    assert [line.keys[0] for line in grid.lines] == list(facts)
    assert grid.groups == (("Top-1 accuracy", 2), ("Loss", 1))
    assert [cell is None for cell in grid.lines[3].cells] == [True, True, False]
    value = next(r.value for r in rows if r.dataset == "imagenet-1")
    assert grid.lines[0].cells[1].text == f"{100 * value:.2f}"
    assert [line.cells[2].best for line in grid.lines] == [False, False, False, True]


def test_without_facts_the_summary_has_no_columns_for_them():
    rows = made_up_rows.rows(["a", "b"], 1)
    section = Section("accuracy", "?", "", summarise(rows, {}))
    assert summary_grid([section], {}).keys == ("model",)
    assert len(summary_grid([section], {"a": Facts("CLIP zero-shot")}).keys) == 3


def test_what_all_lines_of_a_table_share_is_said_once():
    rows = [
        Row(model, "x", "nll", 1.0, n, method="own", slice=part)
        for model, n, part in [("a", 2, "real"), ("a", 3, ""), ("b", 3, "")]
    ]
    grid = table_grid(Table("t", "T", tuple(rows), (LOSS,)))
    assert grid.keys == ("model", "slice", "n")
    assert grid.same == (("dataset", "x"), ("method", "own"))
    assert grid.lines[0].keys == ("a", "real", "2")


@pytest.mark.parametrize(
    ("seconds", "text"), [(3.4, "3 s"), (119.0, "119 s"), (133.0, "2 min 13 s")]
)
def test_times_are_short(seconds, text, tmp_path):
    path = tmp_path / "report.html"
    record = {"seconds": seconds, "started": RECORD["started"]}
    write_report(path, [losses(["a"])], (), facts={}, record=record)
    assert f"took {text}." in path.read_text()


def test_two_hundred_models_on_fifteen_sets_make_a_light_page(tmp_path):
    facts = made_up_rows.facts(210)
    rows = made_up_rows.rows(facts, 15)
    section = Section("accuracy", "?", "", summarise(rows, {}))
    path, start = tmp_path / "report.html", time.process_time()
    write_report(path, [section], rows, facts=facts, record=RECORD)
    assert time.process_time() - start < 20
    assert path.stat().st_size < 5e6
    text = path.read_text()
    assert text.count("<tr>") > 210 * 15
    alive = re.sub("<template>.*?</template>", "", text, flags=re.DOTALL)
    assert len(Elements(alive).found) < 10_000


def test_a_table_that_is_too_long_for_a_page_says_where_the_rest_is(tmp_path):
    rows = tuple(
        Row(f"m{i}", "x", "nll", float(i), 2, slice=str(i)) for i in range(KEPT + 5)
    )
    summary = Summary((Table("losses", "Losses", rows, (LOSS,)),))
    path = tmp_path / "report.html"
    write_report(path, [Section("a", "?", "", summary)], rows, facts={}, record={})
    assert f"{SHOWN} of {KEPT:,} lines" in path.read_text()
    assert "The other 5 lines are in the CSV alone." in path.read_text()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("the programs chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        *("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run"),
        *("disable-background-networking", "disable-component-update", "disable-sync"),
        f"user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=driver)
    driven = webdriver.Chrome(options=options, service=service)
    yield driven
    driven.quit()


def show(browser, path, *, width=1280, scheme="light"):
    # Without motion, or clicks miss what still scrolls.
    wishes = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
    wishes = [{"name": name, "value": value} for name, value in wishes.items()]
    size = {"width": width, "height": 900, "deviceScaleFactor": 1}
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {**size, "mobile": width < 500}
    )
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": wishes})
    browser.get(path.resolve().as_uri())


def column(table, place: int) -> list[str]:
    """What a person reads in a column."""
    cells = table.find_elements(By.CSS_SELECTOR, f"tbody tr > :nth-child({place})")
    return [cell.text for cell in cells]


def words_of(browser) -> str:
    return browser.find_element(By.TAG_NAME, "body").text


def test_a_person_sees_title_sections_and_what_was_run(browser, small):
    show(browser, small)
    assert browser.title == "jclip report: 5 models, 3 data sets"
    seen = words_of(browser)
    for part in (
        *("Summary", STUDY.question, "How sure is it?", "How to read this."),
        *("Lower is better.", "Calibration error", "5 models on 3 data sets"),
        *("What was run", "jax 0.10.2", "c0ffee, with changes", "tpu: v5", "61 s"),
        *("50,000 images", "Deng et al., 2009", "Demonstration.", "1 of imagenet-0"),
        "model-000, VisionTransformer 224, head: openai80, own",
        *("imagenet-a: not in /data", "model-004", "experiments/evaluate.py"),
    ):
        assert part in seen
    assert browser.get_log("browser") == []


def test_problems_are_seen_above_all_numbers(browser, tmp_path):
    path = report(tmp_path, 2, 1, problems=["accuracy of x: NaN"])
    show(browser, path)
    seen = words_of(browser)
    assert seen.index("accuracy of x: NaN") < seen.index("Summary\nBold")


def test_every_column_of_every_table_sorts_by_click_both_ways(browser, small):
    show(browser, small)
    tables = browser.find_elements(By.TAG_NAME, "table")
    assert len(tables) == 3
    for table in tables:
        headings = table.find_elements(By.CSS_SELECTOR, "thead tr:last-child th")
        for place, heading in enumerate(headings, start=1):
            orders = []
            for _ in range(2):
                heading.find_element(By.TAG_NAME, "button").click()
                orders.append(heading.get_attribute("aria-sort"))
                found = column(table, place)
                key = float if re.fullmatch(r"[\d.]+", found[0]) else str
                down = orders[-1] == "descending"
                assert found == sorted(found, key=key, reverse=down)
            assert sorted(orders) == ["ascending", "descending"]
    assert browser.get_log("browser") == []


def test_the_first_click_puts_the_best_on_top(browser, small):
    show(browser, small)
    table = browser.find_element(By.TAG_NAME, "table")
    for place in (4, 7):
        heading = table.find_element(
            By.CSS_SELECTOR, f"thead tr:last-child th:nth-child({place}) button"
        )
        heading.click()
        best = table.find_element(By.CSS_SELECTOR, f"tbody td:nth-child({place}) b")
        assert column(table, place)[0] == best.text


def test_sorting_works_from_the_keyboard_and_focus_is_seen(browser, small):
    show(browser, small)
    button = browser.find_element(By.CSS_SELECTOR, "#table-summary th.number button")
    while browser.switch_to.active_element != button:
        browser.switch_to.active_element.send_keys(Keys.TAB)
    assert button.value_of_css_property("outline-style") == "solid"
    button.send_keys(Keys.ENTER)
    heading = button.find_element(By.XPATH, "..")
    assert heading.get_attribute("aria-sort") == "descending"


def test_intervals_are_on_hover_and_shown_on_request(browser, small):
    show(browser, small)
    cell = browser.find_element(By.CSS_SELECTOR, "#table-summary td[data-i]")
    title = cell.get_attribute("title")
    assert re.match(r"\[[\d.]+, [\d.]+\], 95 % interval; n = 1,000", title)
    after = "return getComputedStyle(arguments[0], '::after').content"
    assert browser.execute_script(after, cell) == "none"
    browser.find_element(By.CSS_SELECTOR, "#table-summary .intervals").click()
    assert browser.execute_script(after, cell)[1:-1] == cell.get_attribute("data-i")


def test_models_without_a_number_come_last_in_either_order(browser, tmp_path):
    facts = made_up_rows.facts(4)
    rows = made_up_rows.rows(list(facts)[:3], 1)
    accuracy = Section("accuracy", "?", "", summarise(rows, {}))
    path = tmp_path / "report.html"
    sections = [accuracy, losses(facts)]
    write_report(path, sections, rows, facts=facts, record={})
    show(browser, path)
    table = browser.find_element(By.TAG_NAME, "table")
    for _ in range(2):
        table.find_element(By.CSS_SELECTOR, "th.number button").click()
        found = column(table, 4)
        assert "" not in found[:3] and found[3] == ""


def test_long_tables_show_more_on_request_and_are_searched_as_a_whole(
    browser, tmp_path
):
    path = report(tmp_path, 70, 2)
    show(browser, path)
    box = browser.find_element(By.ID, "table-accuracy-accuracy")
    status = box.find_element(By.CSS_SELECTOR, "[role=status]")
    assert len(column(box, 1)) == SHOWN and status.text == f"{SHOWN} of 140 lines"
    search = box.find_element(By.CSS_SELECTOR, "[type=search]")
    search.send_keys("MODEL-069")
    assert len(column(box, 1)) == 2 and status.text == "2 of 2 lines"
    search.send_keys(Keys.CONTROL, "a", Keys.DELETE)
    box.find_element(By.CSS_SELECTOR, ".more button").click()
    assert len(column(box, 1)) == 140 and status.text == "140 of 140 lines"


@pytest.mark.parametrize("width", [360, 390, 768, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_width_cuts_the_page_and_text_stands_out(browser, small, width, scheme):
    show(browser, small, width=width, scheme=scheme)
    root = "return document.documentElement"
    assert browser.execute_script(f"{root}.scrollWidth <= {root[7:]}.clientWidth")
    for selector in ("body", ".reading", "td.key", "figure a", "th button"):
        script = "return getComputedStyle(document.querySelector(arguments[0])).color"
        text = browser.execute_script(script, selector)
        page = browser.find_element(By.TAG_NAME, "body")
        assert contrast(text, page.value_of_css_property("background-color")) > 4.5
    name = browser.find_element(By.CSS_SELECTOR, "th[scope=row]")
    assert (name.size["height"] < 40) == (width > 760)
    figures = browser.find_elements(By.CSS_SELECTOR, "figure svg")
    (shown,) = [figure for figure in figures if figure.is_displayed()]
    letters = shown.find_elements(By.TAG_NAME, "text")
    assert min(each.size["height"] for each in letters) > 10


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2, from colours as a browser states them."""

    def luminance(colour):
        parts = [int(x) / 255 for x in re.findall(r"\d+", colour)[:3]]
        linear = [
            x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts
        ]
        return sum(w * x for w, x in zip((0.2126, 0.7152, 0.0722), linear))

    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)
