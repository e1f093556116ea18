"""Earlier projects of the warehouse or a benchmark → the arrays that the history features need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from embeddings.adapter import Adapter, Vectors, adapter_for, unit
from embeddings.encode import Encoder
from pipeline.history import Heads, History
from pipeline.network import Members
from pipeline.schema import Project, Topic

if TYPE_CHECKING:
    import pyarrow

    from warehouse.records import Records

YEARS = 5  # older projects tell little of what an organisation does now
TITLE_WEIGHT = 0.5  # of a project's title beside the vector of its title and objective
_ACTIVITY = {code: number for number, code in enumerate(("", "HES", "OTH", "PRC", "PUB", "REC"))}
Progress = Callable[[int, int], None]
PastRecords = tuple[History | None, Mapping[str, Sequence[Project]]]  # and projects by organisation


def past_of(
    warehouse: Records,
    org_ids: Sequence[str],
    encoder: Encoder,
    day: date,
    progress: Progress | None = None,
) -> PastRecords:
    """What a warehouse knows before a day, and some organisations' projects; nothing where they had none."""
    projects = warehouse.project_records(org_ids, day) if org_ids else {}
    if not projects:
        return None, {}
    found = past(
        warehouse.topics().to_arrow_table(),
        warehouse.projects(day).to_arrow_table(),
        warehouse.participants().to_arrow_table(),
        warehouse.participations(day).to_arrow_table(),
        encoder,
        adapter_for(encoder),
        day,
        progress,
    )
    return found, projects


def past(
    topics: pyarrow.Table,
    projects: pyarrow.Table,
    participants: pyarrow.Table,
    participations: pyarrow.Table,
    encoder: Encoder,
    adapter: Adapter,
    day: date,
    progress: Progress | None = None,
) -> History:
    """The projects signed in the YEARS before `day` that name their topic, with everybody who was in them.

    Tables have the columns of `warehouse.history.History`. A topic of which only the identifier is known has
    a vector of zeros.
    """
    rows = [Project.model_validate(row) for row in projects.to_pylist()]
    used = [p for p in rows if p.topic and p.signed_on and 0 < (day - p.signed_on).days <= YEARS * 366]
    used.sort(key=lambda project: project.project_id)
    known = {row["topic_id"]: Topic.model_validate(row) for row in topics.to_pylist()}
    topic_ids = sorted({str(project.topic) for project in used})
    number = {topic_id: i for i, topic_id in enumerate(topic_ids)}
    place = {project.project_id: i for i, project in enumerate(used)}
    orgs = sorted(
        (str(row["org_id"]), row["sme"] is True and row["activity"] == "PRC")
        for row in participants.to_pylist()
    )
    row_of = {org_id: i for i, (org_id, _) in enumerate(orgs)}
    pairs = sorted(
        {
            (row_of[org], place[project])
            for org, project in zip(
                participations["org_id"].to_pylist(), participations["project_id"].to_pylist(), strict=True
            )
            if project in place and org in row_of
        }
    )
    members = csr_matrix(
        (np.ones(len(pairs), dtype=np.float32), tuple(np.array(pairs, dtype=np.int64).reshape(-1, 2).T)),
        shape=(len(orgs), len(used)),
    )
    plain = project_vectors(used, encoder, progress)
    named = topic_vectors([known.get(key) for key in topic_ids], encoder, progress)
    return History(
        topic_ids=topic_ids,
        project_ids=[project.project_id for project in used],
        org_ids=[org_id for org_id, _ in orgs],
        topic_of=np.array([number[str(project.topic)] for project in used], dtype=np.int64),
        years=np.array([(day - project.signed_on).days / 365 for project in used if project.signed_on]),
        members=members,
        small=np.array([small for _, small in orgs], dtype=np.bool_),
        plain=plain.astype(np.float64),
        adapted=adapter.apply(plain, "query").astype(np.float64),
        topics=adapter.apply(named, "passage").astype(np.float64),
    )


def members(
    history: History,
    participants: pyarrow.Table,
    participations: pyarrow.Table,
    encoder: Encoder,
    progress: Progress | None = None,
) -> Members:
    """What is known of a history's organisations; a name in capitals is encoded in lower case."""
    about = {str(row["org_id"]): row for row in participants.to_pylist()}
    rows = [about[org_id] for org_id in history.org_ids]
    names = [str(row["name"]) for row in rows]
    place = {project: number for number, project in enumerate(history.project_ids)}
    led: Counter[int] = Counter()
    money: dict[tuple[int, int], float] = {}
    for part in participations.select(["project_id", "org_id", "role", "eur"]).to_pylist():
        org, project = history.number_of.get(part["org_id"]), place.get(part["project_id"])
        if org is None or project is None:
            continue
        led[org] += part["role"] == "coordinator"
        money[org, project] = part["eur"] or 0.0
    pairs = sorted(money)
    shares = csr_matrix(
        ([money[pair] for pair in pairs], tuple(np.array(pairs, dtype=np.int64).reshape(-1, 2).T)),
        shape=(len(rows), len(place)),
    )
    total = np.maximum(np.asarray(shares.sum(axis=0)).ravel(), 1e-9)
    return Members(
        country=_numbered([row["country"] for row in rows]),
        activity=np.array([_ACTIVITY.get(row["activity"], 0) for row in rows], dtype=np.int64),
        region=np.array([(row["nuts"] or "")[:4] for row in rows], dtype=np.str_),
        names=encoder.encode(
            [name.title() if name.isupper() else name for name in names], kind="query", progress=progress
        ).astype(np.float64),
        coordinated=np.array([led[number] for number in range(len(rows))], dtype=np.float64),
        shares=(shares @ diags(1.0 / total)).tocsr(),
    )


def _numbered(codes: Sequence[str | None]) -> NDArray[np.int64]:
    """Codes as numbers in the order of the alphabet, so that the same code has the same number each time."""
    number = {code: place for place, code in enumerate(sorted({code or "" for code in codes}))}
    return np.array([number[code or ""] for code in codes], dtype=np.int64)


def heads(
    topics: Sequence[Topic],
    encoder: Encoder,
    adapter: Adapter,
    progress: Progress | None = None,
    languages: Sequence[str | None] | None = None,
) -> Heads:
    """Today's topics by what is known of them before anybody applies: identifier, title and keywords."""
    plain = topic_vectors(topics, encoder, progress, languages)
    return Heads(
        ids=[topic.topic_id for topic in topics],
        plain=plain.astype(np.float64),
        adapted=adapter.apply(plain, "passage").astype(np.float64),
        keywords=np.array([len((topic.keywords or "").split()) for topic in topics], dtype=np.float32),
        words=np.array([len(topic.title.split()) for topic in topics], dtype=np.float32),
    )


def project_vectors(
    projects: Sequence[Project], encoder: Encoder, progress: Progress | None = None
) -> Vectors:
    """(projects, d) vectors of length 1: title and as much of the objective as fits, and the title again."""
    titles = [project.title or "" for project in projects]
    texts = [
        title + ". " + next(iter(encoder.split(project.objective or "", prefix=f"{title}. ")), "")
        for title, project in zip(titles, projects, strict=True)
    ]
    both = (encoder.encode(each, kind="query", progress=progress) for each in (texts, titles))
    whole, title_alone = both
    return unit(whole + TITLE_WEIGHT * title_alone)


def topic_vectors(
    topics: Sequence[Topic | None],
    encoder: Encoder,
    progress: Progress | None = None,
    languages: Sequence[str | None] | None = None,
) -> Vectors:
    """(topics, d) vectors of length 1 of title and keywords, and the title again; zeros where unknown.

    `languages` are those of the texts, ISO 639-1; without them English.
    """
    titles = [topic.title if topic else "" for topic in topics]
    texts = ["\n".join(filter(None, (t.title, t.keywords))) if t else "" for t in topics]
    whole, title_alone = (
        encoder.encode(each, kind="passage", languages=languages, progress=progress)
        for each in (texts, titles)
    )
    found = unit(whole + title_alone)
    found[[topic is None for topic in topics]] = 0.0
    return found
