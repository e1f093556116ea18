-- Every deadline keeps the source's words.
SELECT call_id || ': a deadline without printed words' AS why FROM core.deadlines WHERE coalesce(printed, '') = '';
