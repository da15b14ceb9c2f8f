"""The page of a video in a real browser, from the file system."""

from __future__ import annotations

import base64
import dataclasses
import json

import cv2
import numpy as np
import pytest

from avmil.evaluation.clip_localization import ClassLocalization
from avmil.report import video_page
from tests.browser import chromium
from tests.localized_clips import make_clip, overlapping
from tests.media_files import noise, numbered_image, write_clip

pytestmark = pytest.mark.slow

WIDTH_PX, HEIGHT_PX, DURATION_S = 64, 48, 6.0
DOG_FOUND = frozenset([1, 3])  # In the first two frames.
EVENTS = {"dog": [(1.0, 2.0, 0.5)], "siren": [(3.0, 5.0, 0.9)]}
BLACK, WHITE = [0, 0, 0, 255], [255, 255, 255, 255]
HOSTILE_CLASS = "</script><script>alert(1)</script>"
NAME = '"><img src=x onerror=alert(1)>.mp4'


def planted():
    """Two regions a frame; that of "siren" is box 5 k for frame k."""
    frames = np.repeat(np.arange(6), 2)  # [M]
    moving = np.stack([5 * frames, frames, 5 * frames + 19, frames + 29], 1)
    whole = np.array([0, 0, WIDTH_PX - 1, HEIGHT_PX - 1])
    first = np.arange(12) % 2 == 0
    siren = np.where(first, 0.4 + 0.1 * frames, 0.0)
    dog = np.where(first, 0.0, 1.0 - 0.1 * frames)
    ramp = np.linspace(0, 1, 12)
    return make_clip(
        boxes=np.where(first[:, None], moving, whole),
        region_times_s=frames + 0.5,
        region_scores=np.stack([dog, siren], axis=1),
        segment_times_s=overlapping(12),
        segment_scores=np.stack([ramp, ramp[::-1]], axis=1),
        duration_s=DURATION_S,
        class_names=("dog", "siren"),
        scores=np.array([0.7, 0.6]),
        frame_size_px=(WIDTH_PX, HEIGHT_PX),
    )


def cut(clip, frames=6, regions=12, segments=12, **changes):
    """The clip with the first of its frames, regions and segments only."""
    return dataclasses.replace(
        clip,
        frame_times_s=clip.frame_times_s[:frames],
        boxes=clip.boxes[:regions],
        region_times_s=clip.region_times_s[:regions],
        region_scores=clip.region_scores[:regions],
        segment_times_s=clip.segment_times_s[:segments],
        segment_scores=clip.segment_scores[:segments],
        **changes,
    )


@pytest.fixture(scope="module")
def clip_path(tmp_path_factory):
    images = [numbered_image(number) for number in range(60)]
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    return write_clip(path, images, noise(DURATION_S))


@pytest.fixture(scope="module")
def embedded(clip_path):
    content = base64.b64encode(clip_path.read_bytes()).decode()
    return f"data:video/mp4;base64,{content}"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def show(browser, tmp_path):
    """Opens a page; afterwards, nothing may be in the browser's console."""

    def open_page(clip, source, ready="video.readyState >= 2", **changes):
        dog, other = clip.class_names
        facts = {
            dog: {"is_predicted": True, "found_regions": DOG_FOUND},
            other: {},
        }
        classes = [
            ClassLocalization(
                clip,
                name,
                threshold=0.65,
                confidence=(9, 10),
                **{"events": EVENTS.get(name, ())} | facts[name] | changes,
            )
            for name in clip.class_names
        ]
        page = video_page.render(classes, "Run a", False, NAME, source)
        (tmp_path / "page.html").write_text(page, "utf-8")
        browser.get((tmp_path / "page.html").as_uri())
        wait(browser, ready)
        return browser

    browser.get_log("browser")
    browser.get_log("performance")
    resize(browser, 1300)
    yield open_page
    assert browser.get_log("browser") == []


@pytest.fixture
def page(show, embedded):
    """The planted page with its video ready to play."""
    return show(planted(), embedded)


def wait(driver, condition):
    from selenium.webdriver.support.wait import WebDriverWait

    WebDriverWait(driver, 20, 0.05).until(
        lambda driver: driver.execute_script(f"return {condition}"), condition
    )


def ask(driver, expression):
    return driver.execute_script(f"return {expression}")


def resize(driver, width_px, height_px=900):
    metrics = {"width": width_px, "height": height_px}
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        metrics | {"deviceScaleFactor": 1, "mobile": False},
    )


def press(driver, *keys):
    from selenium.webdriver import ActionChains

    ActionChains(driver).send_keys(*keys).perform()


def element(driver, element_id):
    return driver.find_element("id", element_id)


def click_at(driver, element_id, x_fraction, y_fraction=0.5):
    """Clicks into an element and returns the x of the pointer, as a share."""
    from selenium.webdriver import ActionChains

    target = element(driver, element_id)
    driver.execute_script("arguments[0].scrollIntoView()", target)
    width, height = target.size["width"], target.size["height"]
    x = round((x_fraction - 0.5) * width)
    y = round((y_fraction - 0.5) * height)
    ActionChains(driver).move_to_element_with_offset(
        target, x, y
    ).click().perform()
    return 0.5 + x / width


def rect_of(driver, selector):
    """Where an element lies in the window: left, top, width, height."""
    rect = driver.execute_script(
        "return document.querySelector(arguments[0])"
        ".getBoundingClientRect().toJSON()",
        selector,
    )
    return np.array([rect[k] for k in ("left", "top", "width", "height")])


def color(driver, track, x_fraction, y_fraction=0.5):
    """Reads a pixel of a track, from a copy as the browser advises."""
    return driver.execute_script(
        "const canvas = document.querySelector(`#${arguments[0]} canvas`);"
        "const pixel = new OffscreenCanvas(1, 1).getContext('2d');"
        "pixel.drawImage(canvas, -Math.floor(arguments[1] * canvas.width),"
        "-Math.floor(arguments[2] * canvas.height));"
        "return [...pixel.getImageData(0, 0, 1, 1).data]",
        track,
        x_fraction,
        y_fraction,
    )


def boxes_shown(driver):
    """Regions drawn, from below to above."""
    return ask(
        driver,
        "[...document.querySelectorAll('#boxes rect')]"
        ".map((box) => Number(box.dataset.region))",
    )


def choose(driver, index):
    driver.find_elements("css selector", ".class label")[index].click()


def test_click_and_drag_on_the_segments_go_there(page):
    from selenium.webdriver import ActionChains

    for x_fraction in (0.25, 0.8, 0.03):
        x_fraction = click_at(page, "segment-track", x_fraction)
        expected_s = x_fraction * DURATION_S
        assert ask(page, "video.currentTime") == pytest.approx(expected_s, 0.01)
        left, _, width, _ = rect_of(page, "#segment-track")
        cursor_left, _, cursor_width, _ = rect_of(page, "#cursor")
        cursor_x = cursor_left + cursor_width / 2
        assert cursor_x == pytest.approx(left + x_fraction * width, abs=1.5)
        now_s = float(
            element(page, "segment-track").get_attribute("aria-valuenow")
        )
        assert now_s == pytest.approx(expected_s, abs=0.01)
    track = element(page, "segment-track")
    step = track.size["width"] // 4
    ActionChains(page).move_to_element(track).click_and_hold().move_by_offset(
        step, 0
    ).release().perform()
    assert ask(page, "state.timeS") == pytest.approx(4.5, abs=0.05)


def test_page_opens_at_the_best_moment(page):
    wait(page, "!video.seeking && video.currentTime === 0.5")
    assert ask(page, "video.paused")
    assert boxes_shown(page) == [1]
    assert ask(page, "byId('overlay').ariaLabel") == "Box: dog"
    assert element(page, "play").text == "Play"


def test_heat_maps_and_boxes_follow_the_class(page):
    # "dog" rises over the segments and falls over the frames.
    assert color(page, "segment-track", 0.01) == BLACK
    assert color(page, "segment-track", 0.99) == WHITE
    assert color(page, "region-track", 0.08) == WHITE
    page.execute_script("seek(2.6)")
    assert boxes_shown(page) == []  # A frame without it.
    assert (
        element(page, "region-score").text == "here: score 0.800, scaled 0.80"
    )
    choose(page, 1)
    # "siren" falls over the segments; in the regions it is not found.
    assert color(page, "segment-track", 0.01) == WHITE
    assert color(page, "segment-track", 0.99) == BLACK
    faded = color(page, "region-track", 0.92)
    assert max(faded[:3]) < 215
    assert min(faded[:3]) > 120
    assert boxes_shown(page) == [4]
    label = page.find_element("css selector", "#boxes .faded")
    assert label.text == "siren: not found"
    assert element(page, "region-score").text == "here: score 0.600, not found"


def test_all_regions_are_shown_as_heat(page):
    page.execute_script("seek(1.5)")
    element(page, "heat").click()
    assert boxes_shown(page) == [2, 3, 3]  # The best one with its border.
    heat = page.find_elements("css selector", "#boxes .heat")
    opacities = [float(box.get_attribute("fill-opacity")) for box in heat]
    assert opacities == pytest.approx([0, 0.27], abs=0.01)


def test_box_lies_over_the_video(page):
    choose(page, 1)
    for size_px in [(1300, 900), (420, 900), (900, 420)]:
        resize(page, *size_px)
        for frame in (0, 3, 5):
            page.execute_script(f"seek({frame} + 0.3)")
            left, top, width, height = rect_of(page, "#stage")
            scale = min(width / WIDTH_PX, height / HEIGHT_PX)
            left += (width - WIDTH_PX * scale) / 2  # Black bars at its sides.
            top += (height - HEIGHT_PX * scale) / 2
            box_px = np.array([5 * frame, frame, 20, 30])
            expected = box_px * scale + [left, top, 0, 0]
            rect = rect_of(page, f"#boxes [data-region='{2 * frame}']")
            np.testing.assert_allclose(rect, expected, atol=1.0)


def test_picture_is_seen_behind_its_boxes(page, tmp_path):
    wait(page, "!video.seeking")
    path = tmp_path / "page.png"
    assert page.save_screenshot(str(path))
    image = cv2.imread(str(path)).astype(int)  # [H, W, 3], BGR
    left, top, width, height = rect_of(page, "#stage").astype(int)
    stage = image[top : top + height, left : left + width]
    assert np.ptp(stage.mean(axis=(0, 2))) > 50  # Bars of the drawn number.
    yellow = (stage[..., 0] < 90) & (stage[..., 1:].min(axis=2) > 150)
    assert yellow.sum() > 300


def test_wide_pixels_stretch_the_boxes(show, embedded):
    boxes = np.tile(np.float32([0, 0, 31, 47]), (12, 1))
    narrow = cut(planted(), frame_size_px=(32, 48))
    page = show(dataclasses.replace(narrow, boxes=boxes), embedded)
    box = rect_of(page, "#boxes rect")
    assert box[2] / box[3] == pytest.approx(WIDTH_PX / HEIGHT_PX, rel=0.01)


def test_turned_video_has_no_boxes_but_says_so(show, embedded):
    page = show(cut(planted(), frame_size_px=(48, 64)), embedded)
    assert "The player turns this video" in element(page, "notice").text
    assert ask(page, "getComputedStyle(byId('overlay')).display") == "none"


def test_touch_moves_the_time(page):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.actions.pointer_input import PointerInput

    track = element(page, "segment-track")
    finger = PointerInput("touch", "finger")
    actions = ActionChains(page)
    actions.w3c_actions.devices = []
    drag = actions.w3c_actions.add_pointer_input("touch", finger.name)
    drag.create_pointer_move(origin=track)
    drag.create_pointer_down()
    quarter = track.size["width"] // 4
    drag.create_pointer_move(x=quarter, origin=track)
    drag.create_pointer_up(0)
    actions.w3c_actions.perform()
    assert ask(page, "state.timeS") == pytest.approx(4.5, abs=0.05)


def test_nothing_stands_for_what_was_not_scored(show, embedded):
    # The segments end at 3.36 s; frames were due, but there are two only.
    page = show(cut(planted(), frames=2, regions=4, segments=6), embedded)
    choose(page, 1)  # Its first segment scores highest.
    assert color(page, "segment-track", 3.3 / 6) == BLACK
    assert color(page, "segment-track", 3.4 / 6)[3] == 0
    assert color(page, "region-track", 1.9 / 6)[3] == 255
    assert color(page, "region-track", 2.1 / 6)[3] == 0
    click_at(page, "segment-track", 0.8)
    assert element(page, "segment-score").text == "here: nothing scored"
    x_fraction = click_at(page, "region-track", 0.7)
    assert ask(page, "state.timeS") == pytest.approx(6 * x_fraction, abs=0.05)
    assert element(page, "region-score").text == "here: nothing scored"
    assert boxes_shown(page) == [2]  # That of the last frame stays.


def test_bars_are_drawn_and_events_and_pills_lead_there(page):
    def assert_bar(kind, start, length):
        lane_left, _, lane_width, _ = rect_of(page, f"#{kind}-bars")
        left, _, width, _ = rect_of(page, f"#{kind}-bars span")
        share = np.array([left - lane_left, width]) / lane_width
        np.testing.assert_allclose(share, [start, length], atol=0.005)

    assert_bar("region", 0, 2 / 6)
    assert_bar("segment", 1 / 6, 1 / 6)
    page.find_elements("css selector", ".class ol button")[1].click()
    assert ask(page, "state.classIndex") == 1
    assert ask(page, "video.currentTime") == pytest.approx(3.0)
    assert_bar("segment", 3 / 6, 2 / 6)
    page.find_element("css selector", "#verdict button").click()
    assert ask(page, "state.classIndex") == 0
    assert ask(page, "video.currentTime") == pytest.approx(0.5)


def test_controls_have_names(page):
    for selector in ("button", "input", "[role=slider]", "video"):
        for found in page.find_elements("css selector", selector):
            assert found.accessible_name


def test_keys_move_time_and_class_but_not_those_of_a_control(page):
    from selenium.webdriver import Keys

    press(page, Keys.RIGHT, Keys.RIGHT, Keys.RIGHT, Keys.LEFT)
    assert ask(page, "video.currentTime") == pytest.approx(0.5 + 0.96)
    press(page, Keys.END)
    assert ask(page, "video.currentTime") == pytest.approx(6.0, abs=0.05)
    press(page, Keys.HOME)
    assert ask(page, "video.currentTime") == 0
    press(page, Keys.DOWN)
    assert ask(page, "state.classIndex") == 1
    press(page, "]")  # From the last class to the first.
    assert ask(page, "state.classIndex") == 0
    press(page, Keys.UP, "[")
    assert ask(page, "state.classIndex") == 0
    assert ask(page, "classInputs[0].checked")
    element(page, "mute").send_keys(" ")
    wait(page, "video.muted && video.paused")
    element(page, "heat").send_keys(" ")
    assert ask(page, "byId('heat').checked && video.paused")
    page.find_element("css selector", "#classes input").send_keys(Keys.DOWN)
    assert ask(page, "state.classIndex") == 1
    assert ask(page, "document.activeElement.value") == "1"


def test_space_plays_and_the_cursor_follows(page):
    press(page, " ")
    wait(page, "video.currentTime > 1.2 && state.timeS > 1.2")
    assert element(page, "play").text == "Pause"
    press(page, " ")
    wait(page, "video.paused && byId('play').textContent === 'Play'")
    wait(page, "Math.abs(state.timeS - video.currentTime) < 0.01")
    frame = int(ask(page, "video.currentTime"))
    assert boxes_shown(page) == ([2 * frame + 1] if frame < 2 else [])


def test_page_fits_a_narrow_window(page):
    resize(page, 420)
    wait(page, "document.documentElement.scrollWidth <= 420")
    wait(page, "byId('ruler').children.length < 8")
    choose(page, 1)
    assert color(page, "segment-track", 0.01) == WHITE


def test_nothing_is_requested_and_nothing_may_be(page, browser):
    messages = (
        json.loads(entry["message"])["message"]
        for entry in browser.get_log("performance")
    )
    addresses = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    assert addresses
    assert all(url.startswith(("file:", "data:")) for url in addresses)
    refused = page.execute_async_script(
        "const done = arguments[0];"
        "addEventListener('securitypolicyviolation',"
        " (event) => done(event.effectiveDirective));"
        "fetch('http://127.0.0.1:9/').catch(() => {});"
    )
    assert refused == "connect-src"
    # The refusal is the only thing in the console.
    assert all(
        "Content Security Policy" in entry["message"]
        for entry in browser.get_log("browser")
    )


def test_video_beside_the_page_plays(show, clip_path, tmp_path):
    name = "a b#1?.mp4"
    (tmp_path / name).write_bytes(clip_path.read_bytes())
    page = show(planted(), name)
    page.execute_script("seek(2.5)")
    wait(page, "!video.seeking && video.currentTime === 2.5")
    assert ask(page, "byId('notice').hidden")


def test_page_works_where_the_video_does_not(show, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video at all")
    page = show(planted(), "broken.mp4", ready="!byId('notice').hidden")
    assert "cannot play the video" in element(page, "notice").text
    assert not element(page, "play").is_enabled()
    x_fraction = click_at(page, "segment-track", 0.6)
    assert ask(page, "state.timeS") == pytest.approx(6 * x_fraction, abs=0.02)
    choose(page, 1)
    assert boxes_shown(page) == [6]


def test_pictures_of_unknown_codec_are_told(show, tmp_path):
    images = [numbered_image(number) for number in range(20)]
    path = tmp_path / "old.mp4"
    write_clip(path, images, noise(2.0), video_codec="mpeg4")
    page = show(planted(), "old.mp4", ready="!byId('notice').hidden")
    assert "codec is unknown" in element(page, "notice").text
    page.execute_script("seek(1.6)")
    assert boxes_shown(page) == [3]


def test_one_modality_shows_its_track_only(show, embedded):
    none = {"found_regions": frozenset()}
    page = show(cut(planted(), regions=0), embedded, **none)
    assert not element(page, "region-track").is_displayed()
    assert not element(page, "heat").is_displayed()
    wait(page, "video.currentTime === 1")  # Where the event begins.
    click_at(page, "segment-track", 0.5)
    assert ask(page, "state.timeS") == pytest.approx(3, abs=0.02)
    page = show(cut(planted(), segments=0), embedded, events=())
    assert not element(page, "segment-track").is_displayed()
    click_at(page, "region-track", 0.2)
    assert boxes_shown(page) == [3]


def test_sound_without_any_picture(show, tmp_path):
    write_clip(tmp_path / "sound.wav", (), noise(2.0), audio_codec="pcm_s16le")
    blind = cut(planted(), frames=0, regions=0, frame_size_px=(0, 0))
    none = {"found_regions": frozenset()}
    page = show(blind, "sound.wav", **none)
    assert not element(page, "stage").is_displayed()
    press(page, " ")
    wait(page, "state.timeS > 1.2")
    for duration_s, last in [(0.0, "0.0 s"), (300.0, "5:00")]:
        nothing = cut(blind, segments=0, duration_s=duration_s)
        page = show(nothing, "sound.wav", events=(), **none)
        choose(page, 1)
        assert ask(page, "state.classIndex") == 1
        assert ask(page, "byId('ruler').lastChild?.textContent") == last


def test_hostile_text_stays_text(show, embedded):
    names = HOSTILE_CLASS, "siren"
    page = show(cut(planted(), class_names=names), embedded)
    assert page.title == NAME
    assert page.find_element("css selector", "h1").text == NAME
    assert page.find_element("css selector", ".name").text.startswith(
        HOSTILE_CLASS
    )
    assert page.find_element("css selector", "#boxes text").text == names[0]
    assert ask(page, "document.images.length") == 0
