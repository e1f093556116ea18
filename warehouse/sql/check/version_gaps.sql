-- Versions of a call are 1 to n, and each call has its last one.
SELECT call_id || ': versions have a gap or the last is missing' AS why
FROM core.calls AS c LEFT JOIN core.call_versions AS v USING (call_id)
GROUP BY call_id, c.content_sha256
HAVING max(v.version) IS DISTINCT FROM count(v.version) OR arg_max(v.content_sha256, v.version) <> c.content_sha256;
