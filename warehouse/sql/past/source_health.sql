-- Those of the runs up to the chosen one.
CREATE VIEW core.source_health AS FROM published.core.source_health SEMI JOIN core.runs USING (run_id);
