-- A row is one theme: what open calls and the north's companies ask of it, and which labs and hubs of the north offer it.
CREATE VIEW mart.region_gaps AS
WITH northern AS (
    SELECT id, name, kind, unnest(themes) AS theme FROM core.profiles
    WHERE country = 'NL' AND len(list_filter(nuts, lambda n: n[:4] IN ('NL11', 'NL12', 'NL13'))) > 0
), told AS (
    SELECT
        theme,
        count(*) FILTER (kind IN ('sme', 'large_company')) AS companies,
        count(*) FILTER (kind IN ('fieldlab', 'hub', 'testbed', 'research_organisation')) AS labs,
        list(name ORDER BY id) FILTER (kind IN ('sme', 'large_company')) AS company_names,
        list(name ORDER BY id) FILTER (kind IN ('fieldlab', 'hub', 'testbed', 'research_organisation')) AS lab_names
    FROM northern GROUP BY theme
), asked AS (
    SELECT
        t.theme, count(*) AS open_calls,
        CAST(sum(CAST(c.budget_total_eur AS DECIMAL(18, 2))) AS DOUBLE) AS budget_eur,
        min(c.next_deadline) AS next_deadline, list(c.call_id ORDER BY c.call_id) AS call_ids
    FROM core.call_themes AS t JOIN mart.open_calls AS c USING (call_id) GROUP BY t.theme
)
SELECT
    theme,                                      -- of pipeline/themes.yml
    coalesce(a.open_calls, 0) AS open_calls,    -- whose title or keywords name the theme
    a.budget_eur,                               -- of those that state their own money
    a.next_deadline,                            -- soonest of them
    coalesce(t.companies, 0) AS companies,      -- of the north, that give the theme in their profile
    coalesce(t.labs, 0) AS labs,                -- labs, hubs and research organisations of the north that do
    coalesce(a.open_calls, 0) > 0 AND coalesce(t.labs, 0) = 0 AS gap, -- money is open, and nobody in the north offers it
    coalesce(t.company_names, []) AS company_names, -- of those companies
    coalesce(t.lab_names, []) AS lab_names, -- of those labs
    coalesce(a.call_ids, []) AS call_ids    -- of those open calls
FROM told AS t FULL JOIN asked AS a USING (theme)
ORDER BY gap DESC, open_calls DESC, theme;
