"""A headless Chromium for tests of pages."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
from collections.abc import Iterator

import pytest


@contextlib.contextmanager
def chromium(profile_dir: pathlib.Path, width_px: int = 1300) -> Iterator:
    """Starts a browser; skips the test where there is none.

    Args:
        profile_dir: Where the browser keeps its files.
        width_px: Of the window, which is 900 pixels high.

    Yields:
        A selenium driver whose console log can be read.
    """
    webdriver = pytest.importorskip("selenium.webdriver")
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    driver_path = shutil.which("chromedriver")
    if not browser or not driver_path:
        pytest.skip("Chromium or its chromedriver is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--autoplay-policy=no-user-gesture-required",
        f"--user-data-dir={profile_dir}",
        f"--window-size={width_px},900",
    ):
        options.add_argument(argument)
    options.set_capability(
        "goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"}
    )
    service = webdriver.ChromeService(driver_path)
    driver = webdriver.Chrome(options, service)
    try:
        yield driver
    finally:
        driver.quit()
