"""What a call, a profile, a match and a fault are: the typed records every room exchanges.

Crawlers make `RawCall` (as printed); `normalise` makes `Call` (typed, or unknown); `identity` joins the
calls of several documents; `match` makes `Match`. An unknown value is `None` or an empty tuple and never
a default that means something.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    field_validator,
)

Level = Literal["national", "regional", "interregional", "european"]
Status = Literal["forthcoming", "open", "closed", "unknown"]
Verdict = Literal["pass", "fail", "unknown"]
DeadlineKind = Literal["single", "stage 1", "stage 2", "cut-off"]
DocumentRole = Literal["page", "regulation", "opening", "amendment", "ceiling"]
Allocation = Literal["first come", "ranking", "lottery"]
ProfileKind = Literal[
    "sme", "large_company", "fieldlab", "hub", "testbed", "research_organisation", "public_body", "ngo"
]

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,79}$")]
Nuts = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}[A-Z0-9]{0,3}$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Record(BaseModel):
    """Base of all records: immutable, and a field that nobody declared is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Page(Record):
    """Where words came from: one fetched response, findable again in the archive."""

    url: str
    fetched_at: datetime
    sha256: str  # of the decoded response body
    archive_record: str  # "<archive file>#<WARC-Record-ID>", or the name of a sample file


class RawCall(Record):
    """One call as a source prints it: strings and nested strings, nothing interpreted."""

    source: str  # name of the source
    key: str  # the source's own stable key, unique within the source
    fields: dict[str, JsonValue]
    pages: tuple[Page, ...] = Field(min_length=1)  # the first holds the record, others add to it


class Issue(Record):
    """A fault or an oddity that a reader of the run should know of."""

    source: str  # whose it is: a source, or feedback, history
    severity: Literal["info", "warning", "error"]
    code: str  # a short stable name: "stale_row", "totals_differ", ...
    detail: str  # one line in plain words
    key: str | None = None  # the record it concerns


class Deadline(Record):
    """A moment by which something must be handed in.

    `at` is a date (the last day) where the source states no hour, else a datetime with its zone; `printed`
    are the source's words. `opens_on` is the first day of the round that ends with it, where that is stated.
    """

    at: date | datetime
    printed: str
    kind: DeadlineKind
    opens_on: date | None = None

    @field_validator("at", mode="before")
    @classmethod
    def _day_or_moment(cls, value: object) -> object:
        """Ten characters are a day: a midnight that is stated must not become a day, nor the reverse."""
        if isinstance(value, str):
            return date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
        return value


class Section(Record):
    """A headed part of a call's text; `heading` is empty where the source marks none."""

    heading: str
    text: str


class Consortium(Record):
    """What the call says of the consortium; `None` is not stated, which is not "none needed"."""

    min_partners: int | None = None
    min_countries: int | None = None


class Document(Record):
    """One record that tells of a call: a page, a regulation, an opening decision, an amendment, a ceiling."""

    document_id: str  # "<source>:<key>"
    source: str  # name of the source that it was read from
    role: DocumentRole  # what it is to the call: page, regulation, opening, amendment, ceiling
    title: str  # as printed
    url: str  # where a person reads it
    issuer: str | None = None  # as printed
    published_on: date | None = None  # the day that it states
    references: tuple[str, ...] = ()  # identifiers and addresses of other documents that it cites
    fetched_at: datetime  # when its page was fetched
    page_sha256: str  # of that page's decoded response body
    archive_record: str  # "<archive file>#<WARC-Record-ID>" of that page
    printed: dict[str, str]  # field name → this document's own words for it


class Claim(Record):
    """What one document states of a field."""

    document_id: str
    value: JsonValue  # as the field would hold it
    printed: str


class Contradiction(Record):
    """What is stated of a field in one call's documents excludes each other; the field is unknown.

    Where `settled_by` names a document, the field has that document's value: a later decision replaces an
    earlier one.
    """

    field: str
    claims: tuple[Claim, ...] = Field(min_length=2)
    settled_by: str | None = None


class Call(Record):
    """A typed funding call. Amounts are in EUR; rates are fractions of eligible costs (0 to 1)."""

    call_id: str  # "<source>:<key>" of the document that it was first known by, stable over runs
    source: str  # name of the source of the leading document
    level: Level
    programme: str | None  # fund or scheme, as the source names it
    title: str  # as printed
    url: str  # where a person reads it
    status: Status  # from the dates where they are stated, as of the run's date; else the claim
    status_note: str | None = None  # why the status differs from the source's claim
    claimed_status: str | None = None  # what the source says, whatever its dates say
    opens_on: date | None  # where one opening is stated; of several rounds each deadline has its own
    deadlines: tuple[Deadline, ...]  # ascending
    rolling: bool | None = None  # true: stated to have no fixed end
    until_spent: bool | None = None  # true: stated to end when the money is spent
    allocation: Allocation | None = None  # how the money is given out among applications
    budget_total_eur: float | None  # this topic's own money, or the ceiling of this opening
    call_budget_total_eur: float | None = None  # the pot shared with the call's other topics
    remaining_budget_eur: float | None = None  # as printed on the day the page was fetched
    expected_grants: int | None = None  # how many, as printed
    grant_max_eur: float | None  # most for one project
    grant_min_eur: float | None  # least for one project
    eligible_costs_min_eur: float | None = None  # thresholds on a project's eligible costs
    eligible_costs_max_eur: float | None = None  # most that they may be
    own_contribution_min_eur: float | None = None  # least that applicants pay themselves
    own_contribution_min_rate: float | None = None  # the same, as a fraction of eligible costs
    funding_rate: float | None  # of every applicant
    funding_rate_sme: float | None = None  # of SMEs, where it differs
    trl_min: int | None  # technology readiness level, 1 to 9
    trl_max: int | None  # technology readiness level, 1 to 9
    applicants: tuple[str, ...]  # kinds of organisation that may apply; empty: not stated
    regions: tuple[str, ...]  # NUTS codes that it is confined to; empty: not stated
    consortium: Consortium  # least number of partners, and of countries that they are from
    language: str | None  # ISO 639-1, of the text
    kind: str | None = None  # topic, call for proposals, cascade
    identifier: str | None = None  # the topic's, as the source writes it
    call_identifier: str | None = None  # of the call that the topic belongs to
    call_title: str | None = None  # of that call
    parent_topic: str | None = None  # of a cascade call: the topic whose grant pays it
    type_of_action: str | None = None  # as the source writes it: HORIZON Innovation Actions
    keywords: tuple[str, ...] = ()  # as printed
    sections: tuple[Section, ...] = ()  # its text, part by part, with the source's headings
    conditions: str | None = None  # text of the conditions, where the source keeps it apart
    checked_on: date | None = None  # when the publisher, or a person here, last checked what it says
    documents: tuple[Document, ...] = ()  # all that tell of this call, the leading one first
    contradictions: tuple[Contradiction, ...] = ()
    fetched_at: datetime  # when the leading document's page was fetched
    page_sha256: str  # of that page's decoded response body
    archive_record: str  # "<archive file>#<WARC-Record-ID>" of that page, or the name of a sample file
    printed: dict[str, str]  # field name → the source's own words for it


class Organisation(Record):
    """An organisation as a public catalogue describes it, with where that was read. No persons."""

    org_id: str  # "<source>:<the source's own key>"
    source: str  # name of the catalogue's source
    name: Text  # as printed
    title: str | None = None  # a longer name, or what the hub calls itself
    kind: str | None = None  # as the source prints it
    country: str | None = None  # as printed
    place: str | None = None  # as printed: a town, or an address
    website: str | None = None  # its own
    description: str | None = None  # as printed
    sectors: tuple[str, ...] = ()  # that it serves, in the catalogue's terms
    services: tuple[str, ...] = ()  # that it offers, in the catalogue's terms
    technologies: tuple[str, ...] = ()  # that it knows, in the catalogue's terms
    page: Page  # where this was read


class Topic(Record):
    """A topic of an earlier or a present call, by its identifier."""

    topic_id: str  # as the portal writes it
    title: Text  # as printed
    keywords: str | None = None  # as printed, in one piece


class Project(Record):
    """A project that an EU programme funded."""

    project_id: str  # number of the grant agreement
    title: str | None = None  # as CORDIS prints it
    objective: str | None = None  # its summary, as CORDIS prints it
    topic: str | None = None  # identifier of the topic that it was funded under
    action: str | None = None  # code of the type of action: HORIZON-RIA
    signed_on: date | None = None  # day the grant agreement was signed


class Participant(Record):
    """An organisation that takes part in EU projects, as CORDIS describes it. No persons."""

    org_id: str  # participant identification code (PIC)
    name: Text  # as CORDIS prints it
    country: str | None = None  # as CORDIS codes it: EL, UK
    nuts: str | None = None  # NUTS code of its region
    place: str | None = None  # town
    activity: str | None = None  # PRC private company, HES higher education, REC research, PUB public, OTH
    sme: bool | None = None  # small or medium-sized enterprise


class Participation(Record):
    """One organisation's part in one project."""

    project_id: str  # number of the grant agreement
    org_id: str  # participant identification code (PIC)
    role: str | None = None  # coordinator, participant, associatedPartner, thirdParty
    eur: float | None = None  # the EU's contribution to it


class Profile(Record):
    """A company, field lab or hub that looks for money, described in its own words."""

    id: Slug  # short name, which stays
    name: Text  # as it calls itself
    kind: ProfileKind
    language: Literal["nl", "en"]  # of the texts and of the digest
    label: Literal["example", "to be confirmed", "confirmed"]
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] = "NL"  # ISO 3166
    nuts: tuple[Nuts, ...] = ()  # NUTS codes of where it is
    place: str | None = None  # town
    employees: Annotated[int, Field(ge=0)] | None = None  # people it employs
    pic: Annotated[str, StringConstraints(pattern=r"^\d{9}$")] | None = None  # its code as an EU participant
    designated_hub: bool | None = None  # whether it is a designated European Digital Innovation Hub
    trl: Annotated[int, Field(ge=1, le=9)] | None = None  # readiness today of what it seeks money for
    project_costs_eur: Annotated[float, Field(gt=0)] | None = None  # of the project it has in mind
    partners: Annotated[int, Field(ge=0)] | None = None  # that are ready to join, itself not counted
    partner_countries: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")], ...] = ()
    description: Text  # what it is and does
    offers: tuple[Text, ...] = ()  # what it can do for others
    seeks: tuple[Text, ...] = ()  # what it wants to develop or needs money for
    themes: tuple[Text, ...] = ()  # terms of the vocabulary where they fit, else free
    website: str | None = None  # its own
    sources: tuple[str, ...] = ()  # where public facts were read


class Rule(Record):
    """One eligibility rule with the clause that decides it; no clause, no verdict but unknown."""

    rule: str
    verdict: Verdict
    clause: str | None
    url: str | None = None


class Eligibility(Record):
    """`fail` when any rule fails, `pass` when all pass, else `unknown`."""

    verdict: Verdict
    rules: tuple[Rule, ...]


class Evidence(Record):
    """A sentence of the profile, or its earlier project's title, beside what it meets in the call."""

    profile_text: str
    call_text: str
    call_heading: str = ""
    weight: float  # cosine of the two passages the sentences stand in, or of the project and the call


class Feedback(Record):
    """What a profile, or an adviser for it, said of a call. The last of one profile on one call counts."""

    profile_id: Slug  # who says it
    call_id: str  # of which call
    verdict: Literal["relevant", "not-for-us", "cleared"]  # cleared withdraws what was said before
    why: str | None = None  # in their own words
    given_at: AwareDatetime  # when it was said


class Match(Record):
    """How well one call fits one profile. A score ranks; it is no chance of winning."""

    profile_id: str  # the profile that it is for
    call_id: str  # the call
    rank: int  # 1 is best, among the profile's open calls
    score: float  # 0 to 1
    percentile: float  # 0 to 100: share of the profile's open calls that score lower
    confidence: Literal["low", "medium", "high"]  # how much text the score rests on
    basis: Literal["text", "text and history"] = "text"  # whether earlier projects counted in the score
    eligibility: Eligibility  # a verdict on each rule with the clause that decides it, and on all
    evidence: tuple[Evidence, ...]  # sentences of both that are nearest in meaning, best first
    reasons: tuple[str, ...]  # why it ranks where it does, in sentences for a reader
    feedback: Literal["relevant", "not-for-us"] | None = None  # what the profile said of this very call


class Wishes(Record):
    """How a reader wants to be told."""

    language: Literal["nl", "en"] = "nl"
    cadence: Literal["weekly", "monthly", "deadlines"] = "weekly"  # of new calls; deadlines are told weekly
    when_nothing: Literal["short", "none"] = "none"  # a short mail where there is nothing to tell, or none
    least_percentile: Annotated[float, Field(ge=0, le=100)] = 80.0  # of the new calls that are told in full
    zone: str = "Europe/Amsterdam"  # IANA name of the time zone that hours are told in

    @field_validator("zone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            return ZoneInfo(value).key
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"{value!r} is no time zone; write it as Europe/Amsterdam") from error


class Subscription(Wishes):
    """One mailing list that one address agreed to get: a profile's digest, or an adviser's mail."""

    subscription_id: str  # the same for the same address, list and profile in one home
    address: str  # where it goes
    list: Literal["digest", "adviser", "operator"]  # the last is told of sources that break
    profiles: tuple[Slug, ...] = ()  # the one that a digest is of; an adviser's clients, none: all
    consent_on: date  # day of the consent
    consent_source: Text  # how it was given: a form, a letter, a meeting
    stopped_on: date | None = None  # day on which the reader, or a refusing server, ended it


class Told(Record):
    """What a reader was last told of a call."""

    profile_id: str  # the profile that it was told for
    call_id: str  # the call, by the id that it then had
    on: date  # day of the mail
    status: Status
    listed: bool  # whether its source still listed it
    deadlines: tuple[Deadline, ...]  # those by which one could enter
    nearly_empty: bool  # whether its pot was
    reminded: int | None = None  # least number of days ahead at which its next deadline was told again


class Stage(Record):
    """Wall-clock seconds of one stage of a run, and what it worked on."""

    name: str
    seconds: float
    items: int | None = None


class Run(Record):
    """One weekly run. Memory is the peak resident size of the run and of its largest child, in MiB."""

    run_id: str  # unique, and in the order of starting
    as_of: date  # the day that counts as "today"
    mode: Literal["live", "replay"]  # from the sites, or from stored pages
    started_at: datetime  # when it began
    model: str  # name and content hash of the embedding model
    stages: tuple[Stage, ...] = ()  # in order, with seconds and how many items
    peak_memory_mib: float | None = None  # of the run or of its largest child
    # what it came to: sources_read, sources_broken, sources_partial, records, pages, calls, calls_open,
    # calls_unknown, profiles, matches, texts_encoded, errors, warnings; tries: processes that worked on it
    counters: dict[str, int] | None = None


class SourceHealth(Record):
    """How one source did in one run."""

    source: str  # name of the source
    level: Level
    # partial: what could not be reached is shown as last read; broken: nothing of this crawl is used; kept:
    # not asked for in this run. The last two show the last good records.
    state: Literal["ok", "partial", "kept", "broken"]
    records: int  # in use: of this run, or the last good ones
    stale: int = 0  # records in use that were last checked too long ago
    last_good_at: datetime | None  # newest page of the records in use
    detail: str | None = None  # what went wrong, in plain words
