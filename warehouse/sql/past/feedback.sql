-- What had been said by the chosen run.
CREATE VIEW core.feedback AS
FROM published.core.feedback WHERE given_at <= (SELECT max(started_at) FROM core.runs);
