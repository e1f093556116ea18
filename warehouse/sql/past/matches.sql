-- Those of the runs up to the chosen one.
CREATE VIEW core.matches AS FROM published.core.matches SEMI JOIN core.runs USING (run_id);
