"""The web page as people use it, in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import OpenPage
from playwright.sync_api import Page, expect
from service import Answer, Service

PHONE = {"width": 360, "height": 740}


def text_of(page: Page) -> str:
    return page.locator("#output").inner_text()


def write(page: Page, text: str) -> None:
    page.locator("#text").fill(text)


def translated(page: Page, text: str) -> None:
    expect(page.locator("#output")).to_have_text(text, use_inner_text=True)
    expect(page.locator("#output")).to_have_attribute("aria-busy", "false")


def linked(page: Page, side: str) -> list[str]:
    return page.locator(f"#{side} .word.linked").all_inner_texts()


def test_translates_while_one_types(service: Service, page: Page) -> None:
    page.locator("#text").press_sequentially("Guten Tag", delay=5)
    translated(page, "Tag Guten")
    assert len(service.lines()) <= 2  # not one for each letter
    write(page, "Guten Tag\n\nHallo Welt")
    translated(page, "Tag Guten\n\nWelt Hallo")
    assert service.lines()[-1] == ["Hallo Welt"]  # the first line is known
    write(page, "")
    translated(page, "")
    expect(page.locator("#copy")).to_be_hidden()


def test_what_is_stale_is_cancelled(service: Service, page: Page) -> None:
    service.slow = 5.0
    write(page, "slow one")
    expect(page.locator("#progress")).to_be_visible()
    page.wait_for_timeout(150)
    assert service.lines() == [["slow one"]]
    write(page, "quick one")
    translated(page, "one quick")
    page.wait_for_timeout(100)
    assert [each.gone for each in service.asked if each.path == "/translate"] == [True, False]
    assert text_of(page) == "one quick"


def test_markup_stays_text(page: Page) -> None:
    write(page, "<img/src=x/onerror=alert(1)> doubtful <b>")
    translated(page, "<b> doubtful <img/src=x/onerror=alert(1)>")
    expect(page.locator("#note-list li")).to_contain_text("<img/src=x/onerror=alert(1)> doubtful <b>")
    assert page.locator("#output img, #note-list b, #alternatives b").count() == 0


def test_long_texts_come_in_parts(service: Service, page: Page, open_page: OpenPage) -> None:
    service.settings["charLimit"] = -1
    page = open_page()
    text = "\n".join(f"line {number}" for number in range(250))
    write(page, text)
    translated(page, "\n".join(f"{number} line" for number in range(250)))
    assert list(map(len, service.lines())) == [100, 100, 50]


def test_keyboard_alone(service: Service, page: Page) -> None:
    """From an empty page to a chosen alternative, without a mouse."""
    keys, told = page.keyboard, page.locator("#told")
    page.locator("#text").focus()
    keys.type("eins zwei")
    translated(page, "zwei eins")
    reached = []
    for _ in range(12):
        keys.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
        if reached[-1] == "output":
            break
    assert reached == ["clear", "output"]
    keys.press("ArrowRight")
    expect(told).to_have_text("zwei: from zwei")
    keys.press("ArrowRight")
    expect(told).to_have_text("eins: from eins")
    assert (linked(page, "mirror"), linked(page, "output")) == (["eins"], ["eins"])
    keys.press("Home")
    expect(told).to_have_text("zwei: from zwei")
    keys.press("Tab")
    keys.press("Tab")
    keys.press("Enter")  # the first alternative
    translated(page, "ZWEI EINS")
    assert page.evaluate("document.activeElement.id") == "output"
    keys.press("Control+Shift+S")
    expect(page.locator("#source")).to_have_value("en")
    translated(page, "EINS ZWEI")
    page.locator("#text-tab").focus()
    keys.press("ArrowRight")
    expect(page.locator("#document-panel")).to_be_visible()
    expect(page.locator("#text-panel")).to_be_hidden()


def test_alternatives_of_a_line(page: Page) -> None:
    write(page, "ein Hund\nzwei Katzen")
    translated(page, "Hund ein\nKatzen zwei")
    page.locator("#output [data-line='0']").click()
    expect(page.locator("#alternatives h2")).to_have_text("Alternatives for ein Hund")
    page.locator("#output [data-line='1']").click()
    expect(page.locator("#alternatives h2")).to_have_text("Alternatives for zwei Katzen")
    page.get_by_role("button", name="KATZEN ZWEI", exact=True).click()
    translated(page, "Hund ein\nKATZEN ZWEI")
    page.get_by_role("button", name="Katzen zwei", exact=True).click()  # and back
    translated(page, "Hund ein\nKatzen zwei")


def test_words_that_belong_together(page: Page) -> None:
    write(page, "ein alter Hund\nund Katzen")
    translated(page, "Hund alter ein\nKatzen und")
    page.locator("#output .word", has_text="alter").hover()
    assert (linked(page, "mirror"), linked(page, "output")) == (["alter"], ["alter"])
    box = page.locator("#mirror .word", has_text="Katzen").bounding_box()
    assert box
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    assert linked(page, "output") == ["Katzen"]
    page.locator("#text").press("Control+Home")
    page.locator("#text").press("ArrowRight")
    assert linked(page, "output") == ["ein"]
    page.locator("#text").press("X")
    assert linked(page, "output") == []


def test_the_mirror_lies_behind_the_text(page: Page) -> None:
    """A word's mark is where the word is: the area is as high as its text, and neither of the two scrolls."""
    write(
        page,
        "\n".join(
            "ein Satz, der so lang ist, dass er in keine Zeile dieses Fensters passt und umbricht" for _ in range(6)
        ),
    )
    sizes = page.evaluate(
        "['text', 'mirror'].map(id => document.getElementById(id)).map(e => [e.scrollHeight, e.clientWidth])"
    )
    assert sizes[0] == sizes[1]
    assert page.evaluate("text.scrollHeight <= text.clientHeight")


def test_doubtful_lines_are_said(page: Page) -> None:
    write(page, "all right\nthis is doubtful\nand failed\nUnmet term")
    expect(page.locator("#verdict")).to_have_text("3 of 4 lines worth a second look")
    assert [each.split(":")[0] for each in page.locator("#note-list li").all_inner_texts()] == [
        "Doubtfulthis is doubtful", "Failedand failed", "TermUnmet is not translated as the glossary says",
    ]  # fmt: skip
    assert page.locator(".doubt-line").all_inner_texts() == ["doubtful is this", "failed and", "term Unmet"]


def test_languages(service: Service, page: Page) -> None:
    source, target = page.locator("#source"), page.locator("#target")
    source.select_option("auto")
    expect(target).to_have_value("en")
    write(page, "the dog")
    expect(target).to_have_value("ar")  # not English, which it is
    target.select_option("de")
    expect(source.locator("option:checked")).to_have_text("English (detected)")
    translated(page, "dog the")
    assert service.asked[-1].fields["source"] == "en"
    page.locator("#swap").click()
    expect(source).to_have_value("de")
    expect(target).to_have_value("en")
    expect(page.locator("#text")).to_have_value("dog the")
    source.select_option("ar")
    assert target.locator("option").all_inner_texts() == ["English"]
    expect(page.locator("#text")).to_have_attribute("dir", "rtl")
    page.reload()
    expect(source).to_have_value("ar")  # as before


def test_right_to_left(open_page: OpenPage, service: Service) -> None:
    page = open_page("?source=en&target=ar&q=one+two")
    translated(page, "two one")
    assert "?" not in page.url
    expect(page.locator("#output")).to_have_attribute("dir", "rtl")
    expect(page.locator("#text")).to_have_attribute("dir", "ltr")
    expect(page.locator("#alternative-list button").first).to_have_attribute("lang", "ar")
    page.locator("#output").press("ArrowLeft")
    expect(page.locator("#told")).to_have_text("two: from two")


def test_glossary(service: Service, page: Page) -> None:
    write(page, "der Hund")
    translated(page, "Hund der")
    page.get_by_role("button", name="Glossary").click()
    page.get_by_label("Terms").fill("# mine\nHund = hound\nBello")
    page.get_by_role("button", name="Save").click()
    translated(page, "hound der")
    assert service.asked[-1].fields["glossary"] == "Hund\thound\nBello"
    expect(page.locator("#glossary-count")).to_have_text("2")
    page.reload()
    write(page, "ein Hund")
    translated(page, "hound ein")
    page.locator("#swap").click()  # another pair, another list
    expect(page.locator("#glossary-count")).to_be_hidden()


def test_glossary_of_a_file(service: Service, page: Page, tmp_path: Path) -> None:
    terms = tmp_path / "terms.tsv"
    terms.write_text("Katze\tcat\n", encoding="utf-8")
    page.get_by_role("button", name="Glossary").click()
    page.locator("#glossary-file").set_input_files(terms)
    expect(page.get_by_label("Terms")).to_have_value("Katze\tcat\n")
    page.get_by_label("Terms").press("Escape")
    expect(page.locator("#glossary-count")).to_be_hidden()  # nothing was saved


def test_documents(service: Service, page: Page, tmp_path: Path) -> None:
    document = tmp_path / "brief.txt"
    document.write_text("Hallo", encoding="utf-8")
    page.get_by_role("tab", name="Document").click()
    expect(page.locator("#formats")).to_have_text("txt, docx")
    page.locator("#file").set_input_files(document)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download brief.en.txt").click()
    assert download.value.suggested_filename == "brief.en.txt"
    assert download.value.path().read_text() == "translated new.txt"
    told = "translated; 1 line is worth a second look; 2 × formula left as it was: it is no text"
    expect(page.locator("#file-list li .faint")).to_have_text(told)
    fields = service.asked[-1].fields
    assert (fields["name"], fields["source"], fields["target"]) == ("brief.txt", "de", "en")


@pytest.mark.parametrize(
    ("answer", "told", "again"),
    [
        (Answer(503, "Too much to do", {"retry-after": "1"}), "Too much to do. Trying again in 1 s.", True),
        (Answer(429, "Too many requests", {"retry-after": "1"}), "Too many requests. Trying again in 1 s.", True),
        (Answer(400, "en is not supported"), "en is not supported", False),
        (Answer(500, "Cannot translate text"), "Cannot translate text", False),
    ],
)
def test_errors(service: Service, open_page: OpenPage, answer: Answer, told: str, again: bool) -> None:
    page = open_page(may_fail=True)
    service.next = [answer]
    write(page, "ein Hund")
    expect(page.locator("#message-text")).to_have_text(told)
    if not again:
        write(page, "zwei Hunde")
    translated(page, "Hund ein" if again else "Hunde zwei")
    expect(page.locator("#message")).to_be_hidden()


def test_documents_that_fail(service: Service, open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page(may_fail=True)
    service.next = [Answer(400, "Invalid file")]
    page.get_by_role("tab", name="Document").click()
    page.locator("#file").set_input_files([{"name": "a.docx", "mimeType": "", "buffer": b"no zip"}])
    expect(page.locator("#file-list .failed")).to_have_text("Invalid file")
    page.locator("#source").select_option("auto")
    page.locator("#file").set_input_files([{"name": "b.docx", "mimeType": "", "buffer": b""}])
    expect(page.locator("#file-list li").first).to_contain_text("1 line is worth a second look")
    assert service.asked[-1].fields["source"] == "auto"


@pytest.mark.parametrize(("status", "required"), [(403, False), (400, True)])
def test_keys(service: Service, open_page: OpenPage, status: int, required: bool) -> None:
    service.settings["keyRequired"] = required
    page = open_page(may_fail=True)
    service.next = [Answer(status, "Please contact the server operator to get an API key")]
    write(page, "ein Hund")
    page.get_by_role("button", name="Enter an API key").click()
    page.get_by_role("textbox", name="API key").fill("secret")
    page.get_by_role("button", name="Save").click()
    translated(page, "Hund ein")
    assert service.asked[-1].fields["api_key"] == "secret"


def test_too_long(service: Service, page: Page) -> None:
    write(page, "𝒜" * 501)  # two units of UTF-16 each, one character
    expect(page.locator("#counter")).to_have_text("501 / 500")
    expect(page.locator("#message-text")).to_have_text("1 over the limit: this server takes 500 characters at a time.")
    page.wait_for_timeout(150)
    assert service.lines() == []


def test_offline(service: Service, open_page: OpenPage) -> None:
    page = open_page(may_fail=True)
    page.context.set_offline(True)
    write(page, "ein Hund")
    expect(page.locator("#message-text")).to_have_text("You are offline. Trying again in 2 s.")
    page.context.set_offline(False)
    translated(page, "Hund ein")


def test_copy(page: Page, running: tuple[Service, str]) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    write(page, "ein Hund\nzwei")
    translated(page, "Hund ein\nzwei")
    page.locator("#copy").click()
    expect(page.locator("#copy")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "Hund ein\nzwei"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible(service: Service, open_page: OpenPage, scheme: str) -> None:
    """Nothing that axe finds serious, in any state of the page."""
    page = open_page(color_scheme=scheme)
    check = Axe()

    def serious() -> list[str]:
        found = check.run(page, options={"resultTypes": ["violations"]}).response["violations"]
        return [
            f"{each['id']}: {each['nodes'][0]['html']}" for each in found if each["impact"] in ("serious", "critical")
        ]

    write(page, "all right\nthis is doubtful")
    translated(page, "right all\ndoubtful is this")
    page.locator("#output .word").first.hover()
    assert serious() == []
    page.get_by_role("button", name="Glossary").click()
    assert serious() == []
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="Document").click()
    assert serious() == []
    write_too_much = "a" * 501
    page.get_by_role("tab", name="Text").click()
    write(page, write_too_much)
    assert serious() == []


def test_themes(open_page: OpenPage, service: Service) -> None:
    def paper(page: Page) -> str:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    page = open_page(color_scheme="light")
    light = paper(page)
    page.get_by_role("button", name="Theme").click()
    assert paper(page) == light
    page.get_by_role("button", name="Theme: light").click()
    dark = paper(page)
    assert dark != light
    page.reload()
    assert paper(page) == dark
    assert paper(open_page(color_scheme="dark")) == dark


def test_phone(open_page: OpenPage, service: Service) -> None:
    service.settings["apiKeys"] = True  # a button more
    page = open_page(viewport=PHONE, has_touch=True, is_mobile=True)
    write(page, "Donaudampfschifffahrtsgesellschaftskapitänswitwenrentenauszahlungsstelle " * 3 + "\nthis is doubtful")
    expect(page.locator("#note-list li")).to_have_count(1)
    rows = page.evaluate("['.mark', '#theme-button'].map(each => document.querySelector(each).getBoundingClientRect())")
    assert rows[0]["bottom"] > rows[1]["top"]  # beside each other
    for tab in ("Document", "Text"):
        page.get_by_role("tab", name=tab).tap()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.locator("#output .word").last.tap()
    assert linked(page, "mirror") == ["this"]


def test_results_are_announced(page: Page) -> None:
    expect(page.locator("#output")).to_have_attribute("aria-live", "polite")
    expect(page.locator("#message")).to_have_attribute("role", "alert")
    expect(page.locator("#told")).to_have_attribute("role", "status")
