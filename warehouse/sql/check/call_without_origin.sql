-- Every call can be traced to a page in the archive.
SELECT call_id || ': no page, hash or archive record' AS why FROM core.calls
WHERE url = '' OR archive_record = '' OR length(page_sha256) <> 64;
