-- Every deadline keeps the source's words.
SELECT call_id || ': a deadline without printed words' AS why FROM mart.deadlines WHERE coalesce(printed, '') = '';
