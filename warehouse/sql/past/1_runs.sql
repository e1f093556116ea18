-- The chosen run and those before it: the last run of the day, or of the nearest day before.
CREATE TABLE core.runs AS
WITH chosen AS (
    SELECT * FROM published.core.runs WHERE as_of <= getvariable('day') ORDER BY as_of DESC, started_at DESC, run_id DESC LIMIT 1
)
SELECT r.* FROM published.core.runs AS r, chosen
WHERE (r.started_at, r.run_id) <= (chosen.started_at, chosen.run_id);
