"""What a call asks of a consortium: how many, from where, in which roles, each with the clause that says so.

A rule that must be met is told apart from a wish. What a sentence asks for in words we do not know is not
read as a rule: `needs` gives what was understood, and the clause is there to be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Literal

from pipeline.history import has_lineage
from pipeline.nuts import countries
from pipeline.organisations import Kind, Known
from pipeline.prose import clauses
from pipeline.schema import Call, Record
from pipeline.themes import named_themes, themes
from pipeline.thresholds import differ

What = Literal["members", "countries", "member states", "role", "place", "theme"]
BY_ONE = frozenset(("role", "theme", "place"))  # what a single member can fill; the others take all of them
EU = frozenset("AT BE BG CY CZ DE DK EE EL ES FI FR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split())
# Countries associated to Horizon Europe, as far as they certainly are for all that a call may ask (European
# Commission, list of participating countries). That others count, or these elsewhere, is not told.
ASSOCIATED = frozenset("AL AM BA FO GE IL IS MD ME MK NO RS TN TR UA UK XK".split())
_BESIDE_EU = tuple(sorted(ASSOCIATED))
# Regulation (EU) 2021/695, Article 2: the widening countries among the member states.
WIDENING = frozenset("BG CY CZ EE EL HR HU LT LV MT PL PT RO SI SK".split())
REGULATION = "https://eur-lex.europa.eu/eli/reg/2021/695/oj"
_THREE = (
    "Regulation (EU) 2021/695, Article 22(2), unless the call says otherwise: three independent legal "
    "entities of three different member states or associated countries, one at least of a member state"
)


class Need(Record):
    """One thing that a call asks of a consortium."""

    need_id: str  # unique within the call: members, countries, role-2
    what: What
    least: int  # how many members, or countries
    must: bool  # a rule; else a wish
    words: str  # in a few words
    clause: str  # the sentence that asks it
    url: str  # where that stands
    kinds: tuple[Kind, ...] = ()  # of a role: kinds of organisation that fill it
    small: bool = False  # of a role: only small and medium-sized enterprises fill it
    places: tuple[str, ...] = ()  # countries that count; empty: all do
    theme: str | None = None  # of `themes.yml`
    tellable: bool = True  # whether what is known of organisations can tell who fills it


# Role → pattern of its names, the kinds that fill it, and whether only small companies do.
_ROLES: dict[str, tuple[str, tuple[Kind, ...], bool]] = {
    "SME": (
        r"SMEs?|small\s+(?:and|or|to)\s+medium(?:[\s-]sized)?\s+(?:enterprises?|companies|businesses)"
        r"|mkb(?:-?(?:bedrij(?:f|ven)|ondernem\w+)|['’]ers?)?",
        ("company",),
        True,
    ),
    "company": (
        r"compan(?:y|ies)|enterprises?|businesses|manufacturers?|industry"
        r"|industrial\s+(?:partners?|players?|actors?|companies|organi[sz]ations?)"
        r"|onderneming(?:en)?|ondernemers?|bedrij(?:f|ven)|bedriuw(?:en)?|unternehmen",
        ("company",),
        False,
    ),
    "university": (
        r"universit(?:y|ies)|higher\s+education\s+(?:institutions?|establishments?)"
        r"|academi(?:a|c\s+(?:partners?|institutions?|organi[sz]ations?))|universiteit(?:en)?|hogescho(?:ol|len)",
        ("university",),
        False,
    ),
    "research organisation": (
        r"research\s+(?:and\s+technology\s+)?(?:performing\s+)?(?:organi[sz]ations?|institut(?:ions?|es?)"
        r"|cent(?:re|er)s?)|RTOs?|knowledge\s+institut(?:ions?|es?)|kennisinstelling(?:en)?"
        r"|onderzoeks(?:instelling(?:en)?|organisaties?|instituut|instituten)|kennisynstellings?"
        r"|forschungseinrichtung(?:en)?",
        ("research", "university"),
        False,
    ),
    "public body": (
        r"public\s+(?:bod(?:y|ies)|authorit(?:y|ies)|administrations?)|municipalit(?:y|ies)"
        r"|(?:local|regional|national|city|municipal)\s+(?:(?:and|or|and/or)\s+(?:local|regional|national)\s+)?"
        r"(?:public\s+)?(?:authorit(?:y|ies)|governments?)|gemeenten?|provincies?|waterschap(?:pen)?|overhe(?:id|den)"
        r"|overheids\w+",
        ("public",),
        False,
    ),
    "civil society organisation": (
        r"civil\s+society\s+organi[sz]ations?|CSOs?|NGOs?|non-governmental\s+organi[sz]ations?"
        r"|maatschappelijke\s+organisaties?",
        ("ngo",),
        False,
    ),
    "digital innovation hub": (r"(?:european\s+)?digital\s+innovation\s+hubs?|E?DIHs?", ("hub",), False),
    # who is one of these, nothing that is known of organisations can tell
    "end user": (r"end[\s-]?users?|eindgebruikers?", (), False),
    "farmer": (r"farmers?|boeren|agrariërs", (), False),
    "hospital": (r"hospitals?|ziekenhui(?:s|zen)|clinics?|clinical\s+cent(?:re|er)s?", (), False),
    "standardisation body": (r"standardi[sz]ation\s+(?:bod(?:y|ies)|organi[sz]ations?)", (), False),
    "network operator": (
        r"(?:(?:transmission|distribution|network|grid)\s+(?:system\s+)?operators?|TSOs?|DSOs?|utilit(?:y|ies))"
        r"(?:\s*\((?:TSOs?|DSOs?)\))?",
        (),
        False,
    ),
    "investor": (r"investors?|investeerders?", (), False),
}
_NUMBER = {
    **dict(zip("one two three four five six seven eight nine ten".split(), range(1, 11), strict=True)),
    **dict(zip("een twee drie vier vijf zes zeven acht negen tien".split(), range(1, 11), strict=True)),
    **dict.fromkeys(("a", "an", "één", "ien"), 1),
}
_COUNT = rf"(?:{'|'.join(_NUMBER)}|[1-9]\d?)"
_ROLE = re.compile(
    rf"(?:\b(?!ten\s+(?:minste|hoogste)\b)(?P<count>{_COUNT})\s+(?:(?!(?:and|or|en|of)\b)[\w-]+\s+){{0,3}}?)?(?<![\w-])(?:"
    + "|".join(f"(?P<r{i}>{pattern})" for i, (pattern, _, _) in enumerate(_ROLES.values()))
    + r")(?![\w-])",
    re.IGNORECASE,
)
_OR = re.compile(r"^\s*,?\s*(?:and/or|en/of|or|of|oder)\s+(?:(?:an?|een|one|other|any|relevant)\s+)*$", re.I)
_COMMA = re.compile(r"^\s*,\s*(?:(?:an?|een|one)\s+)?$")
_TOGETHER = (
    r"consorti(?:um|a)|konsorti\w+|partnerships?|samenwerkingsverband(?:en)?|gearwurkingsferb\w*|verbund\w*"
)
_SUBJECT = re.compile(
    rf"\b(?:{_TOGETHER}|proposals?|projects?|applicants?|applications?|project(?:en)?|aanvra(?:ag|gen))\b",
    re.I,
)
_MEMBERS = re.compile(
    rf"\b(?:{_TOGETHER}|beneficiar(?:y|ies)|participants?|legal\s+entit(?:y|ies)|deelnemers?)\b",
    re.IGNORECASE,
)
_MUST = re.compile(
    r"\b(?:must|shall|ha(?:s|ve)\s+to|needs?\s+to|(?:is|are)\s+required\s+to|moet(?:en)?|dien(?:t|en)|muss|müssen"
    r"|moatt?e?|besta(?:at|an)\s+(?:ten\s+minste|minimaal|minstens)?\s*uit)\b",
    re.IGNORECASE,
)
_WISH = re.compile(
    r"\b(?:should|expected|encouraged|recommended|preferabl\w+|ideally|bij\s+voorkeur|wenselijk|aanbevolen|may|can"
    r"|kunnen|mogen|where\s+(?:relevant|appropriate|applicable|possible)|when\s+(?:relevant|applicable)|if|unless"
    r"|indien|tenzij|waar\s+mogelijk|such\s+as|zoals|e\.g|stakeholders?|actors|either|adequate|relevant\s+mix"
    r"|multi-actor|or\s+more|of\s+meer)\b",
    re.IGNORECASE,
)
_JOIN = re.compile(
    r"\b(?:includ\w+|involv\w+|compris\w+|consist\w*|composed|bring\w*\s+together|participation|participat\w+"
    r"|representatives?|engag\w+|made\s+up|besta(?:at|an)\b[^.;]{0,20}\buit|bestaande\s+uit|betrek\w+|deelne\w+"
    r"|deelname|omvat\w*|gezamenlijk)\b",
    re.IGNORECASE,
)
_NOT = re.compile(
    r"\b(?:not\s+(?:required|necessar\w+|be|eligible|include|involve)|need\s+not|cannot|niet|geen|without|zonder"
    r"|exclud\w+|could|support\s+to|services?\s+(?:to|for)|third\s+parties|sub-?grant\w*|letters?\s+of\s+\w+"
    r"|may\s+(?:consider|exceptionally|consist|be\s+composed)|expected\s+outcomes)\b",
    re.IGNORECASE,
)
# What a project has to have, where who is named after it is only whom that is for.
_THING = re.compile(
    r"\b(?:plans?|mechanisms?|strateg\w+|activit\w+|tasks?|measures?|support\w*|train\w+|budgets?|services?|pilots?"
    r"|assess\w+|analys\w+|demonstrat\w+|cases?|data|packages?|descriptions?|guid\w+|tools?|results?|awards?|grants?"
    r"|plannen|maatregelen|activiteiten|begeleiding|diensten)\b",
    re.IGNORECASE,
)
_ENTITY = (
    r"(?:(?:independent\s+)?legal\s+entit(?:y|ies)|partners?|beneficiar(?:y|ies)|applicants?|participants?"
    r"|organi[sz]ations?|compan(?:y|ies)|entit(?:y|ies)|partner(?:s)?|deelnemers?|organisaties?)"
)
REACH = 90  # characters that a role may stand behind the verb that asks for it, or behind the role before it
LONGEST = 600  # characters of a clause that are kept


def needs(call: Call) -> tuple[Need, ...]:
    """What a call asks: numbers, countries, roles and themes; rules first, then wishes.

    Where the call's documents differ about numbers, none is given. A programme's own rule is given where the
    call states none and its type of action has one.
    """
    found = [*_numbers(call), *_places(call), *_roles(call), *_themes(call)]
    return tuple(sorted(found, key=lambda need: not need.must))


def fills(need: Need, member: Known) -> bool:
    """Whether a member counts for a need, as far as is known of it; unknown does not count."""
    if need.what in ("countries", "member states", "place"):
        return member.country is not None and (not need.places or member.country in need.places)
    if need.what == "role":
        return member.kind in need.kinds and (not need.small or member.sme is True)
    if need.what == "theme":
        return need.theme in member.themes
    return True


def met(need: Need, members: Sequence[Known]) -> bool:
    """Whether members together meet a need: enough of them, or of countries."""
    those = [member for member in members if fills(need, member)]
    count = len({member.country for member in those}) if need.what == "countries" else len(those)
    return count >= need.least


def part_of(need: Need, member: Known) -> str | None:
    """What a member that counts for a need brings to it, in a few words; None where all do."""
    if need.what == "countries":
        return f"{member.country}, one of {need.least} countries"
    if need.what in ("members", "member states"):
        return None
    return need.words.removeprefix("at least 1 ").removeprefix("somebody who ")


def readable(call: Call) -> Iterator[str]:
    """The sentences of a call that may ask something of a consortium."""
    yield from clauses((call.conditions or "", *(section.text for section in call.sections)))


def _numbers(call: Call) -> Iterator[Need]:
    """Least members and countries: as the call states them, else as its programme does."""
    if differ(call, "consortium"):
        return
    least, clause = call.consortium, call.printed.get("consortium")
    if clause and least.min_partners:
        words = f"at least {least.min_partners} members"
        yield _need(call, "members", least.min_partners, words, clause)
        # "at least 2 SMEs" are not two of any kind
        counted = [names for names, count in _runs(clause, 0) if count == least.min_partners]
        yield from (_role(call, names, least.min_partners, clause, True, 0) for names in counted[:1])
    if clause and least.min_countries:
        words = f"from at least {least.min_countries} countries"
        named = re.search(r"\b(?:member\s+states?|lidstaten|associated)\b|geassocieerd", clause, re.I)
        joins = re.search(r"\bassociated\b|geassocieerd", clause, re.I) and has_lineage(call.identifier)
        lands = tuple(sorted(EU | ASSOCIATED if joins else EU if named else ()))
        yield _need(call, "countries", least.min_countries, words, clause, places=lands)
    if not clause and three_countries(call):
        for what, number, words, places in (
            ("members", 3, "at least 3 members", ()),
            ("countries", 3, "from at least 3 member states or associated countries", EU | ASSOCIATED),
            ("member states", 1, "at least 1 from a member state", EU),
        ):
            yield Need(
                need_id=what.replace(" ", "-"),
                what=what,
                least=number,
                must=True,
                words=words,
                clause=_THREE,
                url=REGULATION,
                places=tuple(sorted(places)),
            )


def three_countries(call: Call) -> bool:
    """Whether the programme asks three countries of a call's type of action: (research and) innovation."""
    action = " ".join((call.type_of_action or "").split())
    plain = re.fullmatch(r"HORIZON (?:JU )?(?:Research and )?Innovation Actions", action, re.IGNORECASE)
    return plain is not None and call.kind != "cascade"


def _places(call: Call) -> Iterator[Need]:
    """Countries, or groups of them, that at least so many members must be from."""
    seen: set[tuple[str, ...]] = set()
    for sentence in readable(call):
        if not (_MUST.search(sentence) and _SUBJECT.search(sentence)) or _NOT.search(sentence):
            continue
        for match in _from_place().finditer(sentence):
            places = _group(match["place"])
            if not places or places in seen or (places == _BESIDE_EU and not has_lineage(call.identifier)):
                continue
            seen.add(places)
            count = _NUMBER.get(match["count"].lower()) or int(match["count"])
            words = f"at least {count} from {' '.join(match['place'].split())}"
            must = _WISH.search(sentence) is None
            yield _need(call, "place", count, words, sentence, len(seen), must=must, places=places)


@cache
def _from_place() -> re.Pattern[str]:
    names = "|".join(sorted(map(re.escape, countries()), key=len, reverse=True))
    group = r"(?:widening|associated)\s+countr(?:y|ies)|(?:EU\s+)?member\s+states?|EU\s+countr(?:y|ies)"
    return re.compile(
        rf"\bat\s+least\s+(?P<count>{_COUNT})\s+(?:other\s+)?(?:[\w-]+\s+){{0,2}}?{_ENTITY}"
        rf"[^.;,]{{0,60}}?\b(?:established|based|located|registered|from|in)\s+(?:in\s+|from\s+)?(?:an?\s+|the\s+)?"
        rf"(?P<place>{group}|{names})\b(?!\s+(?:or|and)\b)",
        re.IGNORECASE,
    )


def _group(words: str) -> tuple[str, ...]:
    text = " ".join(words.lower().split())
    if text.startswith("widening"):
        return tuple(sorted(WIDENING))
    if text.startswith("associated"):
        return _BESIDE_EU
    if "member state" in text or text.startswith("eu "):
        return tuple(sorted(EU))
    code = countries().get(text)
    return (code,) if code else ()


def _roles(call: Call) -> Iterator[Need]:
    """Kinds of organisation that a sentence asks to be in the consortium, or wishes there."""
    seen: dict[tuple[str, ...], Need] = {}
    for sentence in readable(call):
        asked = _MUST.search(sentence) or _WISH.search(sentence)
        if not asked or not _SUBJECT.search(sentence) or _NOT.search(sentence):
            continue
        join = _JOIN.search(sentence)
        if not join:
            continue
        for names, count in _runs(sentence, join.end()):
            counted = count is not None and re.search(
                r"\bat\s+least\b|\bminim|\bten\s+minste\b|\bminstens\b", sentence
            )
            rule = _MUST.search(sentence) and not _WISH.search(sentence)
            must = bool(rule and (_MEMBERS.search(sentence) or counted))
            need = _role(call, names, count or 1, sentence, must, len(seen) + 1)
            before = seen.get(names)
            if before is None or (need.must, need.least) > (before.must, before.least):
                seen[names] = need if before is None else need.model_copy(update={"need_id": before.need_id})
    yield from seen.values()


def _runs(sentence: str, start: int) -> Iterator[tuple[tuple[str, ...], int | None]]:
    """The roles that a sentence names from a place on, with their count; those joined by "or" are one."""
    group: list[str] = []
    count: int | None = None
    commas: list[tuple[tuple[str, ...], int | None]] = []
    end = start
    reached = start
    for match in _ROLE.finditer(sentence, start):
        if match.start() - reached > REACH or _THING.search(sentence, reached, match.start()):
            break
        reached = match.end()
        name = list(_ROLES)[int(str(match.lastgroup)[1:])]
        between = sentence[end : match.start()] if group else ""
        if group and _OR.search(between):
            group = [*(each for names, _ in commas for each in names), *group, name]
            count = commas[0][1] if commas else count
            commas = []
        elif group and _COMMA.search(between) and match["count"] is None:
            commas.append((tuple(dict.fromkeys(group)), count))
            group, count = [name], None
        else:
            yield from commas
            commas = []
            if group:
                yield tuple(dict.fromkeys(group)), count
            told = match["count"]
            group, count = [name], (_NUMBER.get(told.lower()) or int(told)) if told else None
        end = match.end()
    yield from commas
    if group:
        yield tuple(dict.fromkeys(group)), count


def _role(call: Call, names: tuple[str, ...], count: int, sentence: str, must: bool, number: int) -> Need:
    parts = [_ROLES[name] for name in names]
    kinds = tuple(dict.fromkeys(kind for _, some, _ in parts for kind in some))
    told = " or ".join(names)
    return _need(
        call,
        "role",
        count,
        f"at least {count} × {told}" if count > 1 else f"at least 1 {told}",
        sentence,
        number,
        must=must,
        kinds=kinds,
        small=all(small for _, _, small in parts),
        tellable=all(some for _, some, _ in parts),
    )


def _themes(call: Call) -> Iterator[Need]:
    """Themes that the call names: each is a competence that somebody should bring."""
    for theme, term in named_themes(call).items():
        label = themes()[theme]["en"][0]
        yield Need(
            need_id=f"theme-{theme}",
            what="theme",
            least=1,
            must=False,
            words=f"somebody who knows {label}",
            clause=term,
            url=call.url,
            theme=theme,
        )


def _need(
    call: Call,
    what: What,
    least: int,
    words: str,
    clause: str,
    number: int | None = None,
    *,
    must: bool = True,
    kinds: Iterable[Kind] = (),
    small: bool = False,
    places: Iterable[str] = (),
    tellable: bool = True,
) -> Need:
    return Need(
        need_id=what if number is None else f"{what}-{number}",
        what=what,
        least=least,
        must=must,
        words=words,
        clause=clause[:LONGEST],
        url=call.url,
        kinds=tuple(kinds),
        small=small,
        places=tuple(places),
        tellable=tellable,
    )
