"""Readers of printed pages: hostile HTML, section markers in all forms, JSON in strings, strict fields."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawlers.reading import Fields, clean, html_to_text, json_in_string, parse_json, sections, words


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>two &amp; three</p>", "One\n\ntwo & three"),
        ("<ul><li>a</li><li>b</li></ul>", "- a\n- b"),
        ("a<br/>b", "a\nb"),
        ("<b>bold</b> and <i>plain</i>", "bold and plain"),
        ("x<script>steal()</script><style>p{}</style><!-- secret -->y", "xy"),
        ("<table><tr><td>1</td><td>2</td></tr></table>", "1\n\n2"),
        ("9<sup>e</sup> call", "9e call"),
        ("a\u202eb\u200bc\x07d", "abcd"),
        ("non\u00a0breaking   space\n across lines", "non breaking space across lines"),
        ("", ""),
        ("<p>unclosed <b>tags", "unclosed tags"),
    ],
)
def test_html_to_text(html: str, text: str) -> None:
    assert html_to_text(html) == text


MARKERS = {
    "p": '<p class="topicdescriptionkind">Expected Outcome:</p>',
    "span": '<span class="topicdescriptionkind">Expected Outcome:</span>',
    "upper-case span": '<SPAN CLASS="topicdescriptionkind">Expected Outcome:</SPAN>',
    "nested": '<div><p class="topicdescriptionkind"><b>Expected</b> Outcome:</p></div>',
}


@pytest.mark.parametrize("marker", MARKERS.values(), ids=MARKERS.keys())
def test_sections_by_marker(marker: str) -> None:
    html = f'{marker}<p>First.</p><p>Second.</p><p class="topicdescriptionkind">Scope:</p>Third.'
    assert sections(html) == [
        {"heading": "Expected Outcome", "text": "First.\n\nSecond."},
        {"heading": "Scope", "text": "Third."},
    ]


def test_null_marker_heads_nothing_but_keeps_its_text() -> None:
    html = '<p class="topicdescriptionkind">null</p>Activities are expected to achieve TRL 6-7.'
    assert sections(html) == [{"heading": "", "text": "Activities are expected to achieve TRL 6-7."}]


def test_sections_without_markers_follow_known_headings_at_line_starts() -> None:
    html = "<p>Objective: more pilots</p><p>Scope: mills. The scope: is wide</p>"
    assert sections(html) == [
        {"heading": "Objective", "text": "more pilots"},
        {"heading": "Scope", "text": "mills. The scope: is wide"},
    ]


@pytest.mark.parametrize("html", ["<p>Just text.</p>", "Just text."])
def test_text_without_any_heading_is_one_section(html: str) -> None:
    assert sections(html) == [{"heading": "", "text": "Just text."}]


def test_empty_description_has_no_sections() -> None:
    assert sections("") == []
    assert sections('<p class="topicdescriptionkind">Scope:</p>  ') == []


@given(st.text())
def test_no_input_breaks_the_readers(text: str) -> None:
    shown = html_to_text(text)
    assert shown == clean(shown)
    assert not set(shown) & set("\x00\u202e\ue000")
    assert all(set(section) == {"heading", "text"} and section["text"] for section in sections(text))


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner, max_size=3), max_leaves=6
    )
)
def test_json_in_string_reads_what_json_wrote(value: object) -> None:
    expected = value if isinstance(value, list) else json_in_string(value)
    assert json_in_string(json.dumps(value) if isinstance(value, list) else value) == expected


def test_json_cut_in_half_stays_text() -> None:
    assert json_in_string('[{"a": 1') == '[{"a": 1'


@pytest.mark.parametrize(
    "printed", [r'{"a": ["x\ud800y"]}', rb'{"a": ["x\ud800y"]}', b'{"a": ["x\xed\xa0\x80y"]}']
)
def test_half_a_character_in_json_is_replaced(printed: str | bytes) -> None:
    assert parse_json(printed) == {"a": ["x?y"]}


@pytest.mark.parametrize("printed", ["[" * 100_000, '{"a":' * 100_000, "", '{"a": 1', b"\xff\xfe\x00"])
def test_json_that_cannot_be_read_is_a_value_error_and_stays_text_inside_a_string(
    printed: str | bytes,
) -> None:
    with pytest.raises(ValueError):
        parse_json(printed)
    assert json_in_string(printed) == printed


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        (["water", "membranes"], ["water", "membranes"]),
        (['["water", "membranes"]'], ["water", "membranes"]),
        (["water", '["water", "5G"]'], ["water", "5G"]),
        ([" ", 7, None], []),
    ],
)
def test_keywords_in_both_shapes(printed: list[object], expected: list[str]) -> None:
    assert words(printed) == expected


def test_fields_report_what_nobody_took() -> None:
    fields = Fields({"title": ["T"], "sme": True, "empty": [], "new": 1})
    assert fields.first("absent", "title") == "T"
    assert fields.all("sme") == ["true"]
    fields.drop(["empty"])
    assert list(fields.leftovers()) == ["new"]
