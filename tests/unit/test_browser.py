"""The page in a real browser: links lead somewhere, nothing is cut, nothing is complained about.

Chromium and its driver come from the system (Debian: chromium, chromium-driver) and Selenium from
the registry; where one of them is missing these tests are skipped. ``make test-browser`` runs them,
``BAYESINF_REPORTS=reports`` on every page of that folder besides.
"""

import importlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from straight_line import fit

import bayesinf
from bayesinf import report
from bayesinf.checks import check

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed"
)
WIDTHS = (1280, 390)  # a screen, a phone


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    options.add_argument("--disable-background-networking")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A page of our own, and all those of the folder that is named."""
    folder = tmp_path_factory.mktemp("page")
    fits = {"gibbs": fit(), "exact": fit("exact")}
    bayesinf.write_report(fits, folder)
    # The same page with a table that no phone and no sheet holds on one line.
    row = {f"quantity number {k}": "123.456 ± 0.123" for k in range(12)}
    wide = report.Table(pd.DataFrame([row]), "A wide table.")
    told = report.plain_story(fits, "A wire", "What is its resistance?")
    told = replace(told, numbers=report.Section("Numbers", tables=(wide,)))
    own = report.write(folder, told, fits, {n: check(f) for n, f in fits.items()}, command="x")
    further = os.environ.get("BAYESINF_REPORTS")
    return [own, *(sorted(Path(further).resolve().glob("**/index.html")) if further else ())]


def opened(browser, page):
    """Open a page, and wait until the browser has read it to its end."""
    browser.get(page.as_uri())
    ended = "return document.readyState"
    waiting = importlib.import_module("selenium.webdriver.support.wait").WebDriverWait
    waiting(browser, 20).until(lambda b: b.execute_script(ended) == "complete")


def sized(browser, width):
    """Set the width of the page, which a window of a phone's width does not allow."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600},
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_page(browser, pages, width):
    sized(browser, width)
    for page in pages:
        opened(browser, page)
        wide = browser.execute_script(
            "document.querySelectorAll('details').forEach(d => d.open = true);"
            "return [document.documentElement.scrollWidth, window.innerWidth]"
        )
        assert wide[0] <= wide[1], f"{page}: {wide[0]} > {wide[1]} pixels"


def test_on_a_phone_figures_keep_their_letters(browser, pages):
    """A figure of the page's width is scrolled by itself: 9 points are at least 9 pixels high."""
    sized(browser, WIDTHS[1])
    opened(browser, pages[0])
    figures = browser.execute_script(
        "return Array.from(document.images, i => [i.width, i.parentNode.clientWidth,"
        " i.parentNode.scrollWidth, +i.style.getPropertyValue('--share')])"
    )
    for width, seen, scrolled, share in figures:
        assert seen <= WIDTHS[1] and scrolled >= width >= share * 7.2 * 72


def test_links_lead_somewhere(browser, pages):
    sized(browser, WIDTHS[0])
    for page in pages:
        opened(browser, page)
        links = browser.execute_script(
            "return Array.from(document.querySelectorAll('a'), a => [a.getAttribute('href'),"
            " a.hash ? !!document.getElementById(decodeURIComponent(a.hash.slice(1))) : null])"
        )
        assert links
        for target, found in links:
            assert found if found is not None else (page.parent / target).is_file(), target


def test_pictures_load_and_nothing_is_complained_about(browser, pages):
    for page in pages:
        opened(browser, page)
        broken = browser.execute_script(
            "return Array.from(document.images).filter(i => !i.naturalWidth).map(i => i.alt)"
        )
        assert not broken, f"{page}: {broken}"
        assert not browser.get_log("browser"), page


def test_details_open_at_a_click(browser, pages):
    sized(browser, WIDTHS[0])
    opened(browser, pages[0])
    (details,) = browser.find_elements("tag name", "details")
    assert not details.get_attribute("open")
    details.find_element("tag name", "summary").click()
    assert details.get_attribute("open")


def test_on_paper_nothing_is_cut(browser, pages):
    """Every table fits the width of a sheet of A4 within its margins, 178 mm or 673 pixels."""
    for page in pages:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        sized(browser, 673)
        opened(browser, page)
        cut = browser.execute_script(
            "document.querySelectorAll('details').forEach(d => d.open = true);"
            "return Array.from(document.querySelectorAll('table, img, math, pre'))"
            ".filter(e => e.getBoundingClientRect().right > window.innerWidth + 1)"
            ".map(e => e.tagName + ': ' + e.textContent.slice(0, 60))"
        )
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
        assert not cut, f"{page}: {cut}"
