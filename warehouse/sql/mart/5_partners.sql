-- A row is an organisation that could be a partner, with its record in EU projects: of the hub's profiles, of the catalogue of
-- European Digital Innovation Hubs, and of earlier EU projects. It is a record and no ranking.
CREATE VIEW mart.partners AS
WITH record AS (
    SELECT
        s.org_id, count(*) AS projects, count(*) FILTER (s.role = 'coordinator') AS coordinated,
        max(p.signed_on) AS last_signed_on, CAST(sum(CAST(s.eur AS DECIMAL(18, 2))) AS DOUBLE) AS eur
    FROM core.participations AS s JOIN core.projects AS p USING (project_id) GROUP BY s.org_id
), candidate AS (
    SELECT
        id AS org_id, 'profile' AS origin, name, kind, country, nuts[1] AS nuts, place, website, pic,
        CASE kind WHEN 'sme' THEN true WHEN 'large_company' THEN false END AS sme
    FROM core.profiles
    UNION ALL
    SELECT org_id, source, name, kind, country, NULL, place, website, NULL, NULL FROM core.organisations
    UNION ALL
    SELECT org_id, 'cordis', name, activity, country, nuts, place, NULL, org_id, sme FROM core.participants AS p
    WHERE org_id NOT IN (SELECT pic FROM core.profiles WHERE pic IS NOT NULL)
)
SELECT
    c.org_id,                               -- profile id, "<source>:<key>" of a catalogue, or participant identification code
    c.name,                                 -- as its origin writes it
    c.kind,                                 -- as its origin tells it: a profile's kind, the catalogue's words, CORDIS' activity
    c.country,                              -- as its origin writes it
    c.nuts,                                 -- NUTS code of its region; NULL: not stated
    c.place,                                -- town, or address, as its origin writes it
    c.sme,                                  -- small or medium-sized enterprise; NULL: not stated
    c.origin,                               -- profile, edih, cordis
    coalesce(r.projects, CASE WHEN c.pic IS NOT NULL AND EXISTS (FROM core.projects) THEN 0 END)
        AS projects,                        -- EU projects that it takes or took part in; NULL: not known
    coalesce(r.coordinated, CASE WHEN c.pic IS NOT NULL AND EXISTS (FROM core.projects) THEN 0 END)
        AS coordinated,                     -- those of them that it coordinates
    r.last_signed_on,                       -- signing of its latest project's grant agreement
    r.eur,                                  -- the EU's contributions to it, as far as stated
    coalesce(r.projects, CASE WHEN c.pic IS NOT NULL AND EXISTS (FROM core.projects) THEN 0 END) = 0
        AS newcomer,                        -- whether it is in none; NULL: not known
    c.website,                              -- its own
    c.pic                                   -- participant identification code; NULL: not known, and its record neither
FROM candidate AS c LEFT JOIN record AS r ON r.org_id = c.pic;
